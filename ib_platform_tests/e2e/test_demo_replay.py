"""A demo that replays the recorded capture: every ladder frame stored once, every state right."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.warehouse.connect import connect
from ib_platform_tests.e2e.running_demo import RunningDemo
from ib_platform_tests.support import CAPTURE_CONID, capture_ladder_payloads, capture_path

FAST = ["--speed", "3000", "--max-pause", "0.02"]


@pytest.mark.timeout(600)
def test_the_replayed_capture_is_stored_exactly_once_and_rebuilt_without_a_crossed_state(
    tmp_path: Path,
) -> None:
    with RunningDemo(tmp_path, arguments=["--replay", str(capture_path()), *FAST]) as demo:
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


def test_the_python_book_agrees_with_what_the_demo_is_asserted_to_store() -> None:
    """The figures above come from the pure core, not from the engine that is tested with them."""
    book, two_sided = LadderBook(), 0
    for payload in capture_ladder_payloads():
        rows = decode_ladder(payload)
        assert isinstance(rows, LadderRows)
        assert isinstance(book.apply(rows), LadderUpdate)
        two_sided += book.touch().two_sided
    assert (two_sided, book.window) == (1524, 197)
