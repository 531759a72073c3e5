"""A demo that replays the recorded capture: every ladder frame stored once, every state right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.marketdata.prices import to_decimal
from ib_platform.warehouse.connect import connect
from ib_platform_tests.e2e.running_demo import RunningDemo
from ib_platform_tests.support import CAPTURE_CONID, capture_ladder_payloads, capture_path
from ib_platform_tests.warehouse.recording import State, trade_date
from ib_platform_tests.warehouse.rerecord import rerecord
from ib_platform_tests.warehouse.server import EmbeddedServer
from ib_platform_tests.warehouse.test_bars import assert_twins_agree

PACES = [
    pytest.param(["--speed", "3000", "--max-pause", "0.02"], id="in seconds"),
    pytest.param(
        ["--speed", "60", "--max-pause", "0.5"], id="in 100 seconds", marks=pytest.mark.long
    ),
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("pace", PACES)
def test_the_replayed_capture_is_stored_exactly_once_and_rebuilt_without_a_crossed_state(
    tmp_path: Path, pace: list[str]
) -> None:
    with RunningDemo(tmp_path, arguments=["--replay", str(capture_path()), *pace]) as demo:
        client = connect(demo.config.clickhouse)
        count = "SELECT uniqExact(run_id, seq) FROM ladder_frames WHERE conid = {conid:UInt64}"
        parameters = {"conid": CAPTURE_CONID}
        demo.wait(
            lambda: client.query(count, parameters=parameters).result_rows[0][0] == 1525,
            "all 1,525 ladder frames in ClickHouse",
        )
        stored = client.query(
            "SELECT payload FROM frames WHERE topic = 'sbd' AND conid = {conid:UInt64} "
            "ORDER BY run_id, seq",
            parameters=parameters,
        ).result_columns[0]
        assert [bytes(p, "utf-8") if isinstance(p, str) else p for p in stored] == list(
            capture_ladder_payloads()
        ), "byte for byte, in order, each once"
        client.close()
    assert demo.end() == 0, demo.said
    summary = demo.summary()
    assert summary["replay"]["replay"]["done"]
    assert summary["replay"]["ladder_frames_sent"][str(CAPTURE_CONID)] == 1525
    contract = summary["contracts"]["CL.NYMEX.front"]
    assert contract["conid"] == CAPTURE_CONID
    assert contract["ladder_frames"] == 1525
    assert (contract["depth_rows"], contract["two_sided"]) == (1525, 1524)
    assert (contract["crossed"], contract["locked"]) == (0, 0)
    assert contract["epochs"] == 1, "repeated sts and act are no reconnect"
    assert contract["windows"] == 197
    assert summary["contracts"]["ES.CME.front"]["two_sided"] > 0, "the other pod keeps its market"
    assert demo.survivors() == []
    with EmbeddedServer(
        tmp_path,
        password_file=demo.config.clickhouse.password_file,
        embedded_folder=demo.config.clickhouse.embedded_folder,
    ) as server:
        client = server.connect(database="ib")
        assert_only_clocks_and_silences_are_said(client)
        assert_every_state_and_bar_is_the_twins(client)


def assert_only_clocks_and_silences_are_said(client: Any) -> None:
    """Of a capture that is played too fast, with the pauses of its morning."""
    rows = client.query(
        "SELECT contract, code, verdict, source FROM quality_checks ORDER BY contract, code"
    ).result_rows
    sources = {(contract, source) for contract, _, _, source in rows}
    assert sources == {("CL.NYMEX.front", "replayed"), ("ES.CME.front", "simulated")}
    broken = {(contract, code) for contract, code, word, _ in rows if word in ("warn", "fail")}
    assert {code for _, code in broken} <= {"Q01", "Q02", "Q04", "Q32"}, broken
    assert {contract for contract, _ in broken} <= {"CL.NYMEX.front"}
    assert {word for _, code, word, _ in rows if code in ("Q11", "Q12")} == {"not_applicable"}


def assert_every_state_and_bar_is_the_twins(client: Any) -> None:
    """What Dagster and the end of the demo built, against plain Python over the stored payloads."""
    runs = client.query(
        "SELECT run_id, paper_user FROM stream_events WHERE kind = 'run_started'"
    ).result_rows
    recorders = [rerecord(client, run_id, paper_user) for run_id, paper_user in runs]
    stored = client.query(
        "SELECT run_id, seq, epoch, window, sizes, best_bid, best_ask, bid_size, ask_size, "
        "two_sided, crossed, complete FROM depth ORDER BY run_id, seq"
    ).result_rows
    expected = sorted(depth_row(state) for recorder in recorders for state in recorder.states)
    assert [tuple(row) for row in stored] == expected
    assert len(stored) > 1525
    days = {trade_date(state.at) for recorder in recorders for state in recorder.states}
    assert sum(assert_twins_agree(client, recorders, day) for day in days) > 10
    client.close()


def depth_row(state: State) -> tuple[Any, ...]:
    touch = state.touch
    prices = [None if price is None else to_decimal(price) for price in (touch.bid, touch.ask)]
    return (
        state.run_id, state.seq, state.update.epoch, state.update.window, list(state.book),
        *prices, touch.bid_size, touch.ask_size, touch.two_sided, touch.crossed, state.complete,
    )  # fmt: skip


def test_the_python_book_agrees_with_what_the_demo_is_asserted_to_store() -> None:
    """The figures above come from the pure core, not from the engine that is tested with them."""
    book, two_sided = LadderBook(), 0
    for payload in capture_ladder_payloads():
        rows = decode_ladder(payload)
        assert isinstance(rows, LadderRows)
        assert isinstance(book.apply(rows), LadderUpdate)
        two_sided += book.touch().two_sided
    assert (two_sided, book.window) == (1524, 197)
