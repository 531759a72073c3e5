"""Verdicts: the pure judgement, and reports built from a record."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import StreamEventKind, Verdict
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.quality import Facts, Thresholds, judge
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full, rows_of

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
BEGIN, END = (to_ns(instant) for instant in trade_date_span(DAY))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
DURING = datetime(2026, 11, 18, 18, 5, tzinfo=UTC)
CL = "CL.NYMEX.front"
GOOD: dict[str, Any] = {
    "date_is_open": False,
    "assigned": True,
    "expected_seconds": 1000.0,
    "covered_seconds": 1000.0,
    "gap_seconds_by_cause": {},
    "ladder_frames": 100,
    "crossed_seconds": 0.0,
    "two_sided_seconds": 1000.0,
    "undecodable": 0,
    "frames_received": 500,
    "frames_stored": 500,
}


def verdict_of(**changes: Any) -> tuple[Verdict, list[str]]:
    return judge(Facts(**{**GOOD, **changes}), Thresholds())


def test_nothing_wrong_is_available() -> None:
    assert verdict_of() == (Verdict.AVAILABLE, [])


@pytest.mark.parametrize(
    ("changes", "verdict", "word"),
    [
        ({"ladder_frames": 0}, Verdict.MISSING, "no ladder frame"),
        ({"ladder_frames": 0, "date_is_open": True}, Verdict.PENDING, "yet"),
        # A holiday.
        ({"ladder_frames": 0, "expected_seconds": 0.0}, Verdict.AVAILABLE, None),
        ({"covered_seconds": 994.9}, Verdict.DEGRADED, "99.490 %"),
        ({"covered_seconds": 900.0}, Verdict.DEGRADED, "low coverage: 90.000 %"),
        ({"gap_seconds_by_cause": {"session_lost": 0.5}}, Verdict.DEGRADED, "0.500 s of session"),
        (
            {"gap_seconds_by_cause": {"quarantined": 1e-6}},
            Verdict.DEGRADED,
            "less than 1 ms of quar",
        ),
        ({"gap_seconds_by_cause": {"not_assigned": 0.5}}, Verdict.AVAILABLE, None),
        ({"gap_seconds_by_cause": {"maintenance": 3.0}}, Verdict.AVAILABLE, None),
        ({"crossed_seconds": 1.01}, Verdict.DEGRADED, "crossed book: 1.010 s"),
        ({"crossed_seconds": 0.99}, Verdict.AVAILABLE, None),
        ({"frames_stored": 499}, Verdict.DEGRADED, "received 500 frames, 499 are stored"),
        ({"frames_received": None, "frames_stored": None}, Verdict.AVAILABLE, None),
        ({"undecodable": 2}, Verdict.DEGRADED, "undecodable: 2"),
        ({"assigned": False}, Verdict.DEGRADED, "in no assignment"),
    ],
)
def test_verdicts(changes: dict[str, Any], verdict: Verdict, word: str | None) -> None:
    found, reasons = verdict_of(**changes)
    assert found is verdict
    assert (word in " ".join(reasons)) if word else not reasons


@given(
    covered=st.floats(0, 1000),
    received=st.integers(0, 10),
    stored=st.integers(0, 10),
    frames=st.integers(0, 3),
    is_open=st.booleans(),
)
def test_only_an_available_verdict_has_no_reasons(
    covered: float, received: int, stored: int, frames: int, is_open: bool
) -> None:
    verdict, reasons = verdict_of(
        covered_seconds=covered,
        frames_received=received,
        frames_stored=stored,
        ladder_frames=frames,
        date_is_open=is_open,
    )
    assert (verdict is Verdict.AVAILABLE) == (not reasons)
    if verdict is Verdict.AVAILABLE:
        assert received == stored
        assert covered >= 995


def test_coverage_is_unknown_when_nothing_was_expected() -> None:
    assert Facts(**{**GOOD, "expected_seconds": 0.0, "covered_seconds": 0.0}).coverage is None


def report(client: Any) -> dict[str, dict[str, Any]]:
    rows = client.query("SELECT * FROM quality_report").named_results()
    return {row["contract"]: row for row in rows}


def test_a_whole_day_is_available(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], BEGIN - 3600 * SECOND)
    recorder = Recorder("r")
    for at in range(BEGIN - 20 * SECOND, END + 20 * SECOND, 20 * SECOND):
        recorder.ladder(at, 1, full(r8=-1, r9=-7, r11=5))
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    row = report(client)[CL]
    assert (row["verdict"], row["reasons"], row["preliminary"]) == ("available", [], False)
    assert (row["expected_seconds"], row["coverage"]) == (86_400, 1)
    assert row["ladder_frames"] == row["two_sided"] == 4320
    assert (row["one_sided"], row["empty"], row["crossed"], row["locked"]) == (0, 0, 0, 0)
    assert (row["frames_received"], row["frames_stored"], row["frames_lost"]) == (4320, 4320, 0)
    assert (row["warm_up_share"], row["duplicates"]) == (0, 0)


def test_states_and_shares(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 60 * SECOND)
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, rows_of(60 * SECOND, {3: 4}))  # an orphan
    recorder.ladder(NOON + SECOND, 1, full())  # warm-up
    recorder.ladder(NOON + 2 * SECOND, 1, rows_of(60 * SECOND, {11: 0}))  # one side
    recorder.ladder(NOON + 3 * SECOND, 1, rows_of(60 * SECOND, {9: 0}))  # empty
    recorder.ladder(NOON + 4 * SECOND, 1, rows_of(60 * SECOND, {8: -1, 9: -2, 11: 4}))
    recorder.broken(NOON + 5 * SECOND, 1)
    recorder.insert(client)
    build_open_date(client, config, DAY, now=DURING)
    row = report(client)[CL]
    assert row["preliminary"]
    assert (row["ladder_frames"], row["orphans"], row["undecodable"]) == (5, 1, 1)
    assert (row["two_sided"], row["one_sided"], row["empty"]) == (2, 1, 1)
    assert row["warm_up_share"] == 0.75


def test_gaps_are_summed_by_cause(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 60 * SECOND)
    recorder = Recorder("r")
    for second in range(0, 100, 5):
        recorder.ladder(NOON + second * SECOND, 1, full())
        if second in (20, 60):
            recorder.event(
                NOON + (second + 1) * SECOND, StreamEventKind.DISCONNECTED, "session_lost"
            )
    recorder.insert(client)
    build_open_date(client, config, DAY, now=DURING)
    row = report(client)[CL]
    assert (row["gaps"], row["gap_seconds"]) == (2, 10)
    assert row["gap_seconds_by_cause"] == {"session_lost": 10.0}
    assert row["coverage"] == pytest.approx(1 - 10 / 95)
    assert row["verdict"] == "degraded"


def test_missing_and_pending(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1), ("ES.CME.front", "beta", 2)], NOON - 60 * SECOND)
    build_open_date(client, config, DAY, now=DURING)
    assert {row["verdict"] for row in report(client).values()} == {"pending"}
    assert {row["coverage"] for row in report(client).values()} == {None}
    finalize(client, config, DAY, now=AFTER)
    assert {row["verdict"] for row in report(client).values()} == {"missing"}
    row = report(client)[CL]
    assert (row["conid"], row["frames_received"], row["warm_up_share"]) == (1, None, None)
    assert row["gap_seconds"] == row["expected_seconds"] > 0


def test_a_contract_without_conid_is_reported(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 60 * SECOND)
    client.command("TRUNCATE TABLE contracts")
    finalize(client, config, DAY, now=AFTER)
    assert (report(client)[CL]["conid"], report(client)[CL]["verdict"]) == (None, "missing")


def test_what_was_never_assigned_is_reported_too(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 77, full())
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    row = report(client)["conid.77"]
    assert (row["verdict"], row["coverage"], row["ladder_frames"]) == ("degraded", None, 1)


def test_the_spool_balance_counts_every_topic(client: Any, config: PlatformConfig) -> None:
    assign(client, [(CL, "alpha", 1)], NOON - 60 * SECOND)
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    for second in range(10):
        recorder.other(NOON + second * SECOND)
    recorder.event(NOON + 10 * SECOND, StreamEventKind.RUN_STOPPED)
    del recorder.frames[4]  # lost on the way
    del recorder.frames[-1]  # and the last one, that only the event knows of
    recorder.insert(client)
    client.insert("frames", recorder.frames[:2])
    finalize(client, config, DAY, now=AFTER)
    row = report(client)[CL]
    assert (row["frames_received"], row["frames_stored"], row["frames_lost"]) == (11, 9, 2)
    assert "spool balance: the pod received 11 frames, 9 are stored" in row["reasons"]


def test_a_run_across_the_border_balances_on_both_dates(
    client: Any, config: PlatformConfig
) -> None:
    assign(client, [(CL, "alpha", 1)], BEGIN)
    recorder = Recorder("r")
    for second in range(-5, 5):
        recorder.ladder(END + second * SECOND, 1, full())
    recorder.insert(client)
    for day, count in ((DAY, 5), (date(2026, 11, 19), 5)):
        finalize(client, config, day, now=AFTER)
        rows = client.query(
            "SELECT frames_received, frames_stored FROM quality_report "
            "WHERE trade_date = {day:Date}",
            {"day": day},
        ).result_rows
        assert rows == [(count, count)]
