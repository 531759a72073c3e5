"""The summary counts in ClickHouse what a demo did, and nothing of an earlier one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.demo.summary import PodHistory, build_summary, complaints, contract_line
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full, trade_date

BEGAN = datetime(2026, 11, 18, 18, tzinfo=UTC)
BEGIN = to_ns(BEGAN)
CONTRACTS = [("CL.NYMEX.front", "alpha", 7), ("ES.CME.front", "beta", 8)]
HISTORY = {"alpha": PodHistory([("t", "STREAMING")], 12.5), "beta": PodHistory()}


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    connection = connect(warehouse)
    yield connection
    connection.close()


def streamed(run_id: str, begin: int, seconds: int, *, stopped: bool) -> Recorder:
    """One run of alpha: a full frame, then one every second."""
    recorder = Recorder(run_id)
    recorder.event(begin, StreamEventKind.RUN_STARTED)
    recorder.event(begin, StreamEventKind.SUBSCRIBE_REQUESTED, conid=7)
    for second in range(seconds):
        recorder.ladder(begin + second * SECOND, 7, full())
    if stopped:
        counts = {"received": recorder.seq, "spooled": recorder.seq}
        recorder.event(recorder.last_at + 1, StreamEventKind.RUN_STOPPED, **counts)
    return recorder


def summary_of(client: Any) -> dict[str, Any]:
    return build_summary(client, BEGAN, HISTORY)


def test_a_killed_run_counts_what_its_successor_found_in_the_spool(
    client: Any, tmp_path: Path
) -> None:
    assign(client, CONTRACTS, BEGIN, grace=0)
    earlier = streamed("alpha-0", BEGIN - 100 * SECOND, 50, stopped=True)
    killed = streamed("alpha-1", BEGIN + SECOND, 90, stopped=False)
    after = streamed("alpha-2", BEGIN + 100 * SECOND, 100, stopped=False)
    after.event(
        after.last_at, StreamEventKind.RUN_RECOVERED, "streamer_died", run_id="alpha-1", frames=90
    )
    for recorder in (earlier, killed, after):
        recorder.insert(client)
    unfinished = summary_of(client)["pods"]["alpha"]
    assert (unfinished["received"], unfinished["stored"]) == (None, 190), "alpha-2 has not ended"

    counts = {"received": after.seq, "spooled": after.seq}
    end = Recorder("alpha-2", events=list(after.events))
    end.event(after.last_at + 1, StreamEventKind.RUN_STOPPED, **counts)
    end.insert(client)
    config = make_config(tmp_path, clickhouse={"database": client.database})
    finalize(client, config, trade_date(BEGIN), now=datetime.now(UTC) + timedelta(days=1))
    summary = summary_of(client)
    pod = summary["pods"]["alpha"]
    assert (pod["runs"], pod["received"], pod["spooled"], pod["stored"]) == (2, 190, 190, 190)
    assert pod["duplicates"] == 0
    assert summary["total"] == {"received": 190, "spooled": 190, "stored": 190}

    contract = summary["contracts"]["CL.NYMEX.front"]
    assert contract["conid"] == 7
    assert contract["ladder_frames"] == contract["two_sided"] == 190
    assert contract["epochs"] == 2
    assert contract["complete_1m_bars"] == 1
    assert ("streamer_died", 10.0) in [tuple(gap) for gap in contract["gaps"]]
    line = contract_line("CL.NYMEX.front", contract)
    assert "190 ladder frames, 190 two-sided states, 0 crossed; bars: 1s 190, 5s 39, 1m 4" in line
    assert "streamer_died 10.0 s" in line

    never = summary["contracts"]["ES.CME.front"]
    assert (never["ladder_frames"], never["verdict"]) == (0, "missing")
    assert complaints(summary) == ["pod beta never reached STREAMING", "pod beta stored no frame"]


def test_the_newest_bars_of_an_empty_database_are_no_error(client: Any) -> None:
    assign(client, CONTRACTS, BEGIN)
    sql = files("ib_platform.warehouse.queries").joinpath("demo_latest.sql").read_text()
    rows = list(client.query(sql, parameters={"since": 0.0}).named_results())
    assert [row["contract"] for row in rows] == ["CL.NYMEX.front", "ES.CME.front"]
    assert {row["last_bar"] for row in rows} == {row["verdict"] for row in rows} == {None}


def test_complaints_name_what_is_wrong() -> None:
    pod = {"reached_streaming": True, "received": 3, "spooled": 3, "stored": 2}
    summary = {"pods": {"alpha": pod}, "contracts": {"CL": {"verdict": None}}}
    assert complaints(summary) == [
        "pod alpha: received 3, spooled 3, stored 2 are not equal",
        "contract CL has no quality verdict",
    ]
    pod["stored"] = 3
    summary["contracts"]["CL"]["verdict"] = "available"
    assert complaints(summary) == []
