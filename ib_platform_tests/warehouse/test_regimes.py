"""A clock that is set back shows the same times twice: what is missing in either pass is a gap."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config import ClickHouse
from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.evidence import Evidence, Leap, Loss, Run, Silence, Spell, StepBack
from ib_platform.warehouse.gaps import find_gaps
from ib_platform.warehouse.regimes import regimes
from ib_platform.warehouse.runs import in_order
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform.warehouse.steps import _told, read_leaps
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


def evidence(spells: list[Spell], steps: list[StepBack], **more: Any) -> Evidence:
    runs = [Run("alpha", "r", 0, 100, recovered=True), Run("alpha", "s", 60, 200)]
    fields: dict[str, Any] = {"silences": [], "causes": [], "silent_after": 1000, **more}
    return Evidence("alpha", spells, runs=runs, steps=steps, **fields)


def found(spells: list[Spell], steps: list[StepBack], **more: Any) -> list[tuple[int, int, Cause]]:
    gaps = find_gaps([Span(0, 200)], evidence(spells, steps, **more))
    return [(gap.begin, gap.end, gap.cause) for gap in gaps]


DIED = [spell(0, 100, "r", 1, (0, 9)), spell(80, 200, "s", 1, (0, 9))]


def test_without_a_step_there_is_one_regime() -> None:
    told = evidence(DIED, [])
    ((span, same),) = regimes(told)
    assert same is told
    assert span.begin < 0 < 10**18 < span.end


def test_between_two_runs() -> None:
    """Dead for 15, the clock set back by 35: nothing of it is seen at the two ends."""
    assert found(DIED, []) == []
    step = StepBack("s", 0, until=115, since=80)
    assert found(DIED, [step]) == [(100, 115, Cause.STREAMER_DIED)]


def test_the_rest_of_a_hole_that_is_seen_in_part() -> None:
    spells = [DIED[0], spell(115, 200, "s", 1, (0, 9))]
    step = StepBack("s", 0, until=145, since=105)
    assert found(spells, [step]) == [(100, 145, Cause.STREAMER_DIED)]


def test_a_regime_begins_with_the_reason_why_nothing_was_followed() -> None:
    spells = [DIED[0], spell(85, 200, "s", 1, (0, 9))]
    step = StepBack("s", 0, until=100, since=80)
    assert found(spells, [step]) == [(80, 85, Cause.STREAMER_DIED)]


@pytest.mark.parametrize(
    ("before_seq", "gaps"),
    [
        (9, []),
        (10, [(70, 90, Cause.DISCONNECTED), (100, 110, Cause.DISCONNECTED)]),
        (20, [(70, 90, Cause.DISCONNECTED), (100, 110, Cause.DISCONNECTED)]),
        (21, []),
    ],
)
def test_only_a_step_between_two_streams_hides_something(
    before_seq: int, gaps: list[tuple[int, int, Cause]]
) -> None:
    spells = [
        spell(0, 100, "r", 1, (0, 9), ended_by="disconnected"),
        spell(90, 200, "r", 2, (20, 30)),
    ]
    assert found(spells, [StepBack("r", before_seq, until=110, since=70)]) == gaps


def test_what_was_lost_in_one_pass_is_not_in_the_other() -> None:
    """Found by the chaos test: the clock was set back into the time of an earlier loss."""
    spells = [
        spell(0, 60, "r", 1, (0, 9), ended_by="disconnected"),
        spell(75, 140, "r", 2, (20, 50), first_at=75),
    ]
    step = StepBack("r", 30, until=100, since=40)
    assert found(spells, []) == [(60, 75, Cause.DISCONNECTED), (140, 200, Cause.STREAMER_DIED)]
    assert found(spells, [step]) == [(60, 75, Cause.DISCONNECTED), (140, 200, Cause.STREAMER_DIED)]


@pytest.mark.parametrize(
    ("between", "is_missing"),
    [(None, True), ((25, 26), False), ((29, 30), True), ((35, 36), True)],
)
def test_a_loss_lies_in_the_regimes_that_its_numbers_tell(
    between: tuple[int, int] | None, is_missing: bool
) -> None:
    """The other pass of these times lacks nothing."""
    spells = [spell(0, 140, "r", 1, (0, 50), first_at=0, ended_by="disconnected")]
    step = StepBack("r", 30, until=100, since=40)
    loss = Loss("r", 101, 105, "disk_full", between)
    gaps = [gap for gap in found(spells, [step], losses=[loss]) if gap[2] is Cause.DISK_FULL]
    assert gaps == [(101, 105, Cause.DISK_FULL)] * is_missing


def test_another_pod_has_what_was_missed() -> None:
    step = StepBack("s", 0, until=115, since=80)
    other = spell(95, 110, "b", 1, (0, 9), paper_user="beta", ended_by="disconnected")
    assert found([*DIED, other], [step]) == [(110, 115, Cause.DISCONNECTED)]


@pytest.mark.parametrize(
    ("said", "order"),
    [
        ([], "abc"),
        ([("a", "c")], "bca"),
        ([("a", "c"), ("b", "a")], "cab"),
        ([("b", "a")], "abc"),
        ([("x", "c"), ("b", "x")], "abc"),
    ],
)
def test_runs_are_in_the_order_that_they_say_themselves(
    said: list[tuple[str, str]], order: str
) -> None:
    runs = [Run("alpha", run_id, at, 99) for at, run_id in enumerate("abc")]
    found = in_order(runs, said)
    assert "".join(run.run_id for run in found) == order
    assert [run.number for run in found] == [0, 1, 2]


def test_what_contradicts_itself_has_some_order() -> None:
    runs = [Run("alpha", run_id, at, 99) for at, run_id in enumerate("ab")]
    assert len(in_order(runs, [("a", "b"), ("b", "a")])) == 2


def test_regimes_follow_the_places_of_runs() -> None:
    """Set back so far that the later run has the earlier times."""
    spells = [spell(0, 40, "s", 1, (0, 9)), spell(50, 200, "r", 1, (0, 9))]
    runs = [
        Run("alpha", "s", 0, 40, number=1),
        Run("alpha", "r", 50, 200, recovered=True, number=0),
    ]
    step = StepBack("s", 0, until=220, since=0)
    told = Evidence("alpha", spells, [], runs, [], 1000, steps=[step])
    (before, _), (after, _) = regimes(told)
    assert (before.end, after.begin) == (220, 0)
    gaps = find_gaps([Span(50, 230)], told)
    assert (200, 220, Cause.STREAMER_DIED) in [(gap.begin, gap.end, gap.cause) for gap in gaps]


@dataclass
class World:
    """A ladder with a frame each second while it is followed, and a clock that is set back."""

    followed: list[bool]
    back: dict[int, int]

    def shown(self, at: int) -> int:
        """What the wall clock shows in second ``at``."""
        return at - sum(by for since, by in self.back.items() if since <= at)

    def evidence(self) -> Evidence:
        spells: list[Spell] = []
        steps: list[StepBack] = []
        seq, begun = 0, -1
        for at, is_followed in enumerate([*self.followed, False]):
            if at in self.back:
                steps.append(StepBack("r", seq, self.shown(at) + self.back[at], self.shown(at)))
            if is_followed and begun < 0:
                begun, first = at, seq
            elif not is_followed and begun >= 0:
                begin, end = self.shown(begun), self.shown(at - 1) + 1
                fields = {"ended_by": "disconnected", "first_at": begin}
                seqs = (first, seq - 1)
                spells.append(spell(min(begin, end), end, "r", len(spells), seqs, **fields))
                begun = -1
            seq += is_followed
        runs = [Run("alpha", "r", 0, len(self.followed))]
        return Evidence("alpha", spells, [], runs, [], 10**6, steps=steps)


@given(
    followed=st.lists(st.booleans(), min_size=5, max_size=80),
    back=st.dictionaries(st.integers(1, 79), st.integers(1, 25), max_size=4),
)
def test_every_time_that_was_missed_is_a_gap_and_no_other(
    followed: list[bool], back: dict[int, int]
) -> None:
    world = World(followed, {at: by for at, by in back.items() if at < len(followed)})
    shown = [world.shown(at) for at in range(len(followed))]
    expected = Span(max(0, min(shown)), shown[-1] + 1)
    missed = {t for t, f in zip(shown, followed, strict=True) if not f}
    gaps = find_gaps([expected], world.evidence(), [expected])
    units = [unit for gap in gaps for unit in range(gap.begin, gap.end)]
    assert len(units) == len(set(units))
    assert set(units) == missed & set(range(*expected))


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
    looks = {"before": _iso(died), "after": _iso(began)}
    step = {"step_ms": -50_000, "after_run": "alpha-1", **span, **looks}
    second.set_by = -50 * SECOND
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
    assert [tuple(row) for row in gaps] == [(on - 10 * SECOND, on), (last, last + 10 * SECOND)]


def _compacted(
    warehouse: ClickHouse, tmp_path: Path, runs: list[Recorder], now: datetime = AFTER
) -> list[tuple[int, int, str]]:
    """Gaps of a contract that is assigned at noon, in seconds after noon, without the last one."""
    config = make_config(tmp_path).model_copy(update={"clickhouse": warehouse})
    build = finalize if now is AFTER else build_open_date
    with closing(connect(warehouse)) as client:
        assign(client, [(CL, "alpha", 1)], NOON, grace=0)
        for run in runs:
            run.insert(client)
        build(client, config, DAY, now=now)
        rows = client.query(
            "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end), cause FROM gaps "
            "ORDER BY begin"
        ).result_rows
    return [((b - NOON) // SECOND, (e - NOON) // SECOND, cause) for b, e, cause in rows]


def _step(run: Recorder, before: int, after: int, **more: Any) -> None:
    looks = {"before": _iso(NOON + before * SECOND), "after": _iso(NOON + after * SECOND)}
    span = {"begin": looks["after"], "end": looks["before"]}
    step_ms = (after - before) * 1000 - more.pop("passed_ms", 0)
    told = {"step_ms": step_ms, **looks, **span, **more}
    run.set_by += step_ms * 1_000_000
    run.event(NOON + after * SECOND, StreamEventKind.CLOCK_STEP, "clock_step", **told)


@pytest.mark.parametrize(
    ("assigned", "wanted"),
    [
        # Missed in the first pass; what the second one misses lies in that.
        (Span(0, 300), [(0, 80)]),
        (Span(80, 300), [(30, 35)]),
        # Made just before the clock was set back, at a time that it shows again.
        (Span(85, 300), [(30, 35)]),
        # It had ended by then.
        (Span(85, 95), []),
        # Made after the clock was set back, by a clock that was not.
        (Span(200, 300), []),
    ],
)
@pytest.mark.parametrize("market", [None, [Span(0, 300)], [Span(33, 300)]])
def test_an_assignment_holds_when_the_clock_is_set_back_behind_it(
    assigned: Span, wanted: list[tuple[int, int]], market: list[Span] | None
) -> None:
    """Found by the chaos test: a run from 80 to 100 sets its clock back to 20, and misses some."""
    spells = [
        spell(80, 100, "r", 1, (0, 9), ended_by="next_epoch"),
        spell(20, 30, "r", 2, (10, 19), ended_by="disconnected"),
        spell(35, 300, "r", 3, (20, 99)),
    ]
    step = StepBack("r", 10, until=100, since=20)
    gaps = find_gaps([assigned], evidence(spells, [step]), market)
    shut = 33 if market == [Span(33, 300)] else 0
    assert [(gap.begin, gap.end) for gap in gaps] == [(max(b, shut), e) for b, e in wanted]


def test_times_that_a_clock_never_showed_are_not_missed() -> None:
    """Found by the chaos test: set ahead by 40 in a new run, before its ladder was followed."""
    spells = [spell(0, 100, "r", 1, (0, 9)), spell(155, 200, "s", 1, (5, 9))]
    gaps = [(100, 110, Cause.STREAMER_DIED), (150, 155, Cause.STREAMER_DIED)]
    leap = Leap("s", 2, Span(110, 150))
    assert found(spells, [], leaps=[leap]) == gaps
    whole = [(100, 155, Cause.STREAMER_DIED)]
    assert found(spells, [], leaps=[Leap("of_beta", 2, Span(110, 150))]) == whole
    # In a later pass of the clock the run skipped them, in the first one they are missed.
    later = StepBack("s", 1, until=190, since=90)
    assert (100, 190, Cause.STREAMER_DIED) in found(spells, [later], leaps=[leap])


def _steps_of(*told: dict[str, Any], runs: list[dict[str, Any]]) -> tuple[list[Any], list[Any]]:
    events = [
        {"kind": StreamEventKind.CLOCK_STEP, "run_id": "s", "after_seq": 0, "at": 0}
        | {"detail": json.dumps(detail)}
        for detail in told
    ]
    by_run = {row["run_id"]: row for row in runs}
    return list(_told(events, by_run)), read_leaps(runs, events)


@pytest.mark.parametrize(
    ("step", "last_offset", "back", "skipped"),
    [
        # Seconds: set back by 20, and 5 passed between the looks; the frames agree, or are unknown.
        (-20, 20, [(65, 45)], []),
        (-20, None, [(65, 45)], []),
        # The run before has told of it: its last frames show the clock of the new run.
        (-20, 0, [], []),
        # And it was set back by 30 after that.
        (-20, 30, [(75, 45)], []),
        (20, -20, [], [(65, 80)]),
        (20, 0, [], []),
    ],
)
def test_a_step_between_runs_is_that_of_their_frames(
    step: int, last_offset: int | None, back: list[tuple[int, int]], skipped: list[tuple[int, int]]
) -> None:
    """Found by the chaos test: of the run before, a part of the spool was cut off."""
    before, after = (60, 45) if step < 0 else (60, 85)
    at = {"before": _iso(before * SECOND), "after": _iso(after * SECOND)}
    span = {"begin": at["before"], "end": at["after"]}
    told = {"step_ms": step * 1000, "after_run": "r", **at, **span}
    own = {"run_id": "s", "first_seq": 0, "first_offset": 0}
    runs = [own]
    if last_offset is not None:
        runs.append({"run_id": "r", "last_offset": last_offset * SECOND})
    steps, leaps = _steps_of(told, runs=runs)
    assert [(s.until // SECOND, s.since // SECOND) for s in steps] == back
    assert [(x.skipped.begin // SECOND, x.skipped.end // SECOND) for x in leaps] == skipped


def test_a_step_was_when_the_streamer_saw_it(warehouse: ClickHouse, tmp_path: Path) -> None:
    """Found by the chaos test: set back by 8 s while the streamer stood still for 3 s; the next
    frame came 2 s after it had looked. The clock never showed what it would have shown then."""
    run = Recorder("alpha-1")
    _ladders(run, NOON, NOON + 21 * SECOND)
    _step(run, 20, 15, passed_ms=3000)
    run.event(NOON + 15 * SECOND, StreamEventKind.DISCONNECTED, "disconnected")
    run.event(NOON + 16 * SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, "disconnected", 1)
    _ladders(run, NOON + 17 * SECOND, NOON + 100 * SECOND)
    gaps = _compacted(warehouse, tmp_path, [run])
    assert gaps[:-1] == [(15, 17, "disconnected"), (20, 23, "disconnected")]


@pytest.mark.parametrize("seq", [60, 65, 70])
def test_a_step_that_was_told_inside_of_damage_divides_it(
    warehouse: ClickHouse, tmp_path: Path, seq: int
) -> None:
    """Found by the chaos test: the numbers 60 to 69 were lost, for 10 s, and 4 s after the last
    frame before them the streamer had told that its clock was set back by 40 s."""
    run = Recorder("alpha-1")
    _ladders(run, NOON, NOON + 60 * SECOND)
    run.seq = seq
    _step(run, 63, 23)
    run.seq = 70
    _ladders(run, NOON + 29 * SECOND, NOON + 329 * SECOND)
    torn = {"run_id": "alpha-1", "next_seq": 60, "found_seq": 70}
    run.event(NOON + 329 * SECOND, StreamEventKind.SPOOL_TORN, "spool_damaged", **torn)
    gaps = _compacted(warehouse, tmp_path, [run])
    assert gaps[:-1] == [(23, 29, "spool_damaged"), (59, 63, "spool_damaged")]


def test_a_step_in_a_run_turns_no_order_around(warehouse: ClickHouse, tmp_path: Path) -> None:
    """Found by a reviewer: set back before the run that it follows, a run seemed to be the first,
    and the other one its successor."""
    first, second = Recorder("alpha-1"), Recorder("alpha-2")
    _ladders(first, NOON + 20 * SECOND, NOON + 101 * SECOND)
    second.event(NOON + 109 * SECOND, StreamEventKind.RUN_STARTED)
    recovered = {"run_id": "alpha-1", "frames": 81}
    at = NOON + 109 * SECOND
    second.event(at, StreamEventKind.RUN_RECOVERED, "streamer_died", **recovered)
    _ladders(second, NOON + 110 * SECOND, NOON + 200 * SECOND)
    _step(second, 200, 10)
    _ladders(second, NOON + 10 * SECOND, NOON + 41 * SECOND)
    second.event(NOON + 41 * SECOND, StreamEventKind.DISCONNECTED, "disconnected")
    second.event(NOON + 69 * SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, conid=1)
    _ladders(second, NOON + 70 * SECOND, NOON + 400 * SECOND)
    *gaps, last = _compacted(warehouse, tmp_path, [first, second])
    assert gaps == [
        (0, 20, "not_assigned"),
        (40, 70, "disconnected"),
        (100, 110, "streamer_died"),
    ]
    assert (last[0], last[2]) == (399, "unknown")


def test_what_frames_show_needs_no_event(warehouse: ClickHouse, tmp_path: Path) -> None:
    """Found by the chaos test: the event of the step was lost with a piece of the spool."""
    run = Recorder("alpha-1")
    _ladders(run, NOON, NOON + 101 * SECOND)
    run.event(NOON + 101 * SECOND, StreamEventKind.DISCONNECTED, "disconnected")
    run.set_by = -40 * SECOND
    run.event(NOON + 89 * SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, conid=1)
    _ladders(run, NOON + 90 * SECOND, NOON + 300 * SECOND)
    run.event(NOON + 300 * SECOND, StreamEventKind.RUN_STOPPED)
    # 30 s were missed; the next frame came when the clock had shown 130.
    assert _compacted(warehouse, tmp_path, [run])[:-1] == [(100, 130, "disconnected")]


def test_runs_are_in_the_order_of_the_clock_that_nobody_sets(
    warehouse: ClickHouse, tmp_path: Path
) -> None:
    """The second run begins at the time of the first one; a hole follows in which nobody ran."""
    boot = {"boot_id": "one"}
    first, second = Recorder("alpha-2"), Recorder("alpha-1")
    first.event(NOON + 4 * SECOND, StreamEventKind.RUN_STARTED, monotonic_ns=10, **boot)
    _ladders(first, NOON + 5 * SECOND, NOON + 60 * SECOND)
    _step(second, 59, 3, passed_ms=4000)
    second.event(NOON + 3 * SECOND, StreamEventKind.RUN_STARTED, monotonic_ns=20, **boot)
    _ladders(second, NOON + 3 * SECOND, NOON + 300 * SECOND)
    second.event(NOON + 300 * SECOND, StreamEventKind.RUN_STOPPED)
    assert _compacted(warehouse, tmp_path, [first, second])[:-1] == [
        (0, 5, "not_assigned"),
        (59, 63, "streamer_died"),
    ]


def test_an_open_date_is_known_until_the_last_run(warehouse: ClickHouse, tmp_path: Path) -> None:
    """Found by a reviewer: set back, a streamer that works seemed to be silent until the time at
    which its predecessor had died."""
    first, second = Recorder("alpha-1"), Recorder("alpha-2")
    _ladders(first, NOON, NOON + 700 * SECOND)
    _step(second, 699, 104, after_run="alpha-1", passed_ms=5000)
    second.event(NOON + 104 * SECOND, StreamEventKind.RUN_STARTED)
    _ladders(second, NOON + 106 * SECOND, NOON + 170 * SECOND)
    now = datetime.fromtimestamp(NOON / SECOND + 170, UTC)
    assert _compacted(warehouse, tmp_path, [first, second], now) == [
        (104, 106, "streamer_died"),
    ]


def _iso(at: int) -> str:
    return datetime.fromtimestamp(at / SECOND, UTC).isoformat()
