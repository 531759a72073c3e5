"""Holes that a clock which was set back has folded away are gaps of their true length."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config import ClickHouse
from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.evidence import Evidence, Run, Silence, Spell, Step
from ib_platform.warehouse.folds import folds
from ib_platform.warehouse.gaps import find_gaps
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
CL = "CL.NYMEX.front"
AFTER = datetime(2026, 11, 30, tzinfo=UTC)


def spell(begin: int, end: int, run: str, epoch: int, seqs: tuple[int, int], **more: Any) -> Spell:
    fields = {"ended_by": "run_end", "cause": None, "paper_user": "alpha", **more}
    return Spell(
        1, run_id=run, epoch=epoch, begin=begin, end=end, last_frame_at=end,
        first_seq=seqs[0], last_seq=seqs[1], **fields,
    )  # fmt: skip


def evidence(spells: list[Spell], steps: list[Step], **more: Any) -> Evidence:
    runs = [Run("alpha", "r", 0, 100, recovered=True), Run("alpha", "s", 60, 200)]
    fields: dict[str, Any] = {"silences": [], "causes": [], "silent_after": 1000, **more}
    return Evidence("alpha", spells, runs=runs, steps=steps, **fields)


def found(spells: list[Spell], steps: list[Step], **more: Any) -> list[tuple[int, int, Cause]]:
    gaps = find_gaps([Span(0, 200)], evidence(spells, steps, **more))
    return [(gap.begin, gap.end, gap.cause) for gap in gaps]


DIED = [spell(0, 100, "r", 1, (0, 9)), spell(80, 200, "s", 1, (0, 9))]


def test_between_two_runs() -> None:
    """Dead for 15, the clock set back by 35: nothing of it is seen at the two ends."""
    step = Step("s", 0, -35, after_run="r")
    assert found(DIED, []) == []
    assert found(DIED, [step]) == [(100, 115, Cause.STREAMER_DIED)]


def test_the_rest_of_a_hole_that_is_seen_in_part() -> None:
    spells = [DIED[0], spell(110, 200, "s", 1, (0, 9))]
    step = Step("s", 0, -35, after_run="r")
    assert found(spells, [step]) == [
        (100, 110, Cause.STREAMER_DIED),
        (110, 145, Cause.STREAMER_DIED),
    ]


def test_a_machine_that_was_started_in_between_gives_the_times_that_came_twice() -> None:
    step = Step("s", 0, None, after_run="r")
    assert found(DIED, [step]) == [(80, 100, Cause.STREAMER_DIED)]


@pytest.mark.parametrize(
    ("before_seq", "gaps"),
    [
        (9, []),
        (10, [(100, 130, Cause.DISCONNECTED)]),
        (20, [(100, 130, Cause.DISCONNECTED)]),
        (21, []),
    ],
)
def test_only_a_step_between_the_streams_counts(
    before_seq: int, gaps: list[tuple[int, int, Cause]]
) -> None:
    spells = [
        spell(0, 100, "r", 1, (0, 9), ended_by="disconnected"),
        spell(90, 200, "r", 2, (20, 30)),
    ]
    assert found(spells, [Step("r", before_seq, -40)]) == gaps


def test_a_ladder_that_was_asked_for_again_has_no_hole() -> None:
    spells = [
        spell(0, 100, "r", 1, (0, 9), ended_by="next_epoch"),
        spell(60, 200, "r", 2, (10, 30)),
    ]
    assert found(spells, [Step("r", 10, -40)]) == []


def test_a_clock_that_was_set_forward_folds_nothing_and_hides_what_was_set_back() -> None:
    forward, back = Step("r", 10, 90), Step("s", 0, -35, after_run="r")
    assert folds(evidence(DIED, [forward])) == []
    assert folds(evidence(DIED, [forward, back])) == []


def test_another_pod_has_what_was_missed() -> None:
    step = Step("s", 0, -35, after_run="r")
    other = spell(95, 110, "b", 1, (0, 9), paper_user="beta")
    assert found([*DIED, other], [step]) == [(110, 115, Cause.STREAMER_DIED)]


def test_runs_are_in_the_order_that_they_say_themselves() -> None:
    """Set back so far that the later run has the earlier times."""
    spells = [spell(0, 40, "s", 1, (0, 9)), spell(50, 200, "r", 1, (0, 9))]
    runs = [Run("alpha", "s", 0, 40), Run("alpha", "r", 50, 200, recovered=True)]
    step = Step("s", 0, -220, after_run="r")
    (gap,) = folds(Evidence("alpha", spells, [], runs, [], 1000, steps=[step]))
    assert (gap.begin, gap.end) == (200, 220)


@given(
    died=st.integers(50, 150),
    missed=st.integers(1, 80),
    back=st.integers(1, 140),
    stepped_after=st.integers(0, 80),
)
def test_every_stamp_that_was_missed_is_in_a_gap_by_the_clock_before(
    died: int, missed: int, back: int, stepped_after: int
) -> None:
    begin = died + missed - back
    spells = [
        spell(0, died, "r", 1, (0, 9)),
        spell(begin, max(begin, died) + 100, "s", 1, (0, 9)),
    ]
    runs = [Run("alpha", "r", 0, died, recovered=True), Run("alpha", "s", begin, 400)]
    step = Step("s", 0, -back, after_run="r")
    gaps = find_gaps(
        [Span(-200, max(begin, died) + 100)],
        Evidence("alpha", spells, [], runs, [], 1000, steps=[step]),
    )
    inside = {unit for gap in gaps for unit in range(gap.begin, gap.end)}
    assert set(range(died, died + missed)) <= inside
    assert all(a.end <= b.begin for a, b in zip(gaps, gaps[1:], strict=False))


@pytest.mark.parametrize(
    ("doubts", "silent"),
    [
        ([], [(100, 200)]),
        ([("r", Span(90, 210), Cause.LATE_STAMPS)], []),
        ([("r", Span(120, 130), Cause.CLOCK_STEP)], [(100, 120), (130, 200)]),
        ([("r", Span(120, 195), Cause.CLOCK_STEP)], [(100, 120)]),
        ([("another", Span(90, 210), Cause.LATE_STAMPS)], [(100, 200)]),
    ],
)
def test_a_streamer_that_stood_still_has_heard_no_silence(
    doubts: list[tuple[str, Span, Cause]], silent: list[tuple[int, int]]
) -> None:
    silences = [Silence(1, "r", 100, 200)]
    spells = [spell(0, 200, "r", 1, (0, 9))]
    gaps = found(spells, [], silences=silences, doubts=doubts, silent_after=10)
    assert gaps == [(begin, end, Cause.SILENT_LADDER) for begin, end in silent]


def _ladders(run: Recorder, begin: int, until: int) -> None:
    for at in range(begin, until, SECOND):
        run.ladder(at, 1, full())


def test_by_sql_from_the_record(warehouse: ClickHouse, tmp_path: Path) -> None:
    """A run dies after a minute; while nobody runs for 20 s, its clock is set back by 50 s."""
    config = make_config(tmp_path).model_copy(update={"clickhouse": warehouse})
    first, second = Recorder("alpha-1"), Recorder("alpha-2")
    died = NOON + 59 * SECOND
    began = died - 30 * SECOND
    _ladders(first, NOON, died + SECOND)
    span = {"begin": _iso(died - 50 * SECOND), "end": _iso(died + 20 * SECOND)}
    step = {"step_ms": -50_000, "after_run": "alpha-1", **span}
    second.event(began, StreamEventKind.CLOCK_STEP, "clock_step", **step)
    second.event(began, StreamEventKind.RUN_RECOVERED, "streamer_died", run_id="alpha-1")
    _ladders(second, began, began + 300 * SECOND)
    with closing(connect(warehouse)) as client:
        assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
        first.insert(client)
        second.insert(client)
        finalize(client, config, DAY, now=AFTER)
        gaps = client.query(
            "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause FROM gaps "
            "ORDER BY begin"
        ).result_rows
        windows = client.query(
            "SELECT run_id FROM suspect_windows WHERE cause = 'clock_step' ORDER BY run_id"
        ).result_rows
    assert [tuple(row) for row in gaps[:-1]] == [(died, died + 20 * SECOND, "streamer_died")]
    assert [row[0] for row in windows] == ["alpha-1", "alpha-2"]


def test_numbers_that_damage_took_while_the_clock_was_set_back(
    warehouse: ClickHouse, tmp_path: Path
) -> None:
    """The record goes on 10 s later, and its stamps 30 s earlier."""
    config = make_config(tmp_path).model_copy(update={"clickhouse": warehouse})
    run = Recorder("alpha-1")
    last, on = NOON + 59 * SECOND, NOON + 29 * SECOND
    _ladders(run, NOON, last + SECOND)
    torn = {"run_id": "alpha-1", "next_seq": 60, "found_seq": 70}
    run.seq, run.set_by = 70, on - last - 10 * SECOND
    _ladders(run, on, on + 300 * SECOND)
    run.event(on + 300 * SECOND, StreamEventKind.SPOOL_TORN, "spool_damaged", **torn)
    with closing(connect(warehouse)) as client:
        assign(client, [(CL, "alpha", 1)], NOON - 5 * SECOND)
        run.insert(client)
        finalize(client, config, DAY, now=AFTER)
        gaps = client.query(
            "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end) FROM gaps "
            "WHERE cause = 'spool_damaged' ORDER BY begin"
        ).result_rows
    assert [tuple(row) for row in gaps] == [(last, last + 10 * SECOND)]


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat()
