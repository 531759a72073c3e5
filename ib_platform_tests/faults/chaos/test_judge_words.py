"""Lies in what the record says of clocks, windows and ends: each in an otherwise honest world."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ib_platform_tests.faults.chaos.evidence import (
    SECOND,
    Event,
    Evidence,
    Exit,
    Finding,
    Gap,
    Stored,
    Suspect,
)
from ib_platform_tests.faults.chaos.honest import (
    CONID,
    EVERY,
    FIRST,
    FOR_EVER,
    FRAMES,
    KILLED,
    SECOND_RUN,
    STARTED,
    STOPPED,
    WALL,
    first_websocket,
    honest_evidence,
    row_of,
    second_websocket,
    step_event,
)
from ib_platform_tests.faults.chaos.judge import judge
from ib_platform_tests.faults.chaos.lying import also, says, without
from ib_platform_tests.faults.chaos.schedule import Kind
from ib_platform_tests.faults.chaos.steps import Steps


def test_a_step_that_nobody_made_excuses_nothing() -> None:
    dropped = without(range(20, 30), cause="disconnected")
    at = [row.received for row in dropped.stored]
    wide = {"begin": "2020-01-01T00:00:00+00:00", "end": "2040-01-01T00:00:00+00:00"}
    old = {"before": wide["end"], "after": wide["begin"]}
    lies = [
        Event(FIRST, "clock_step", "clock_step", WALL, {**wide, "step_ms": -1}),
        Event(FIRST, "clock_step", "clock_step", WALL, {**wide, **old, "step_ms": -1}),
        step_event(FIRST, at[19], at[20], -6 * SECOND),
    ]
    for lie in lies:
        assert says(replace(dropped, events=[lie, *dropped.events]), "and nobody set it so")
    # The clock is set somewhere else, and by something else.
    real = also(replace(dropped, events=[lies[2], *dropped.events]), Kind.CLOCK_STEP, 8 * SECOND)
    assert says(real, "and nobody set it so")
    here = also(replace(dropped, events=[lies[2], *dropped.events]), Kind.CLOCK_STEP, 2 * SECOND)
    assert says(here, "and nobody set it so")


def test_a_world_without_words_is_not_believed() -> None:
    honest = honest_evidence()
    recovered, stopped = honest.events
    mute = replace(honest, events=[])
    assert says(mute, f"no event tells how run {FIRST} ended")
    assert says(mute, f"no event tells that the last run, {SECOND_RUN}, has stopped")
    assert says(replace(honest, events=[stopped]), f"no event tells how run {FIRST} ended")
    assert says(replace(honest, events=[recovered]), "has stopped")
    itself = replace(recovered, run_id=FIRST)
    assert says(replace(honest, events=[itself, stopped]), f"how run {FIRST} ended")
    assert says(replace(honest, events=[recovered, *honest.events]), "2 events tell how run")
    # A run of which no frame is stored ends too.
    started = Event("alpha-0", "run_started", None, WALL + STARTED - SECOND)
    assert says(replace(honest, events=[started, *honest.events]), "how run alpha-0 ended")


def test_an_end_may_have_been_cut_off_if_the_damage_is_told() -> None:
    honest = honest_evidence()
    about: dict[str, object] = {"run_id": "alpha-x"}
    torn = Event(SECOND_RUN, "spool_torn", "streamer_died", WALL + STARTED, about)
    end = Event(
        SECOND_RUN,
        "run_recovered",
        "streamer_died",
        WALL + STARTED,
        about | {"frames": 0},
    )
    told = replace(honest, events=[torn, end, honest.events[1]])
    assert says(told, f"no event tells how run {FIRST} ended")
    cut = also(told, Kind.SPOOL_TRUNCATED, KILLED + SECOND)
    assert judge(cut).violations == []
    own = replace(torn, detail={"run_id": FIRST})
    assert says(replace(cut, events=[own, *honest.events[1:]]), f"how run {FIRST} ended")


def _stepped_between(by: int) -> Evidence:
    honest = honest_evidence()
    after = [row_of(f, SECOND_RUN, seq, off=by) for seq, f in enumerate(second_websocket())]
    before, gap, last = honest.gaps
    gaps = [before, replace(gap, end=gap.end + by), replace(last, begin=last.begin + by)]
    if by < 0:
        gaps = [before, replace(last, begin=max(gap.begin, after[-1].received))]
    world = replace(honest, stored=honest.stored[:FRAMES] + after, gaps=gaps)
    return also(world, Kind.CLOCK_STEP, KILLED + SECOND)


@pytest.mark.parametrize("seconds", [20, -20, 3, -3])
def test_a_step_between_two_runs_has_to_be_told(seconds: int) -> None:
    by = seconds * SECOND
    world = _stepped_between(by)
    assert says(world, f"stepped by {seconds}.000 s before frame 0 of run {SECOND_RUN}")
    looks = world.stored[FRAMES - 1].received, world.stored[FRAMES].received - EVERY
    told = step_event(SECOND_RUN, looks[0], looks[1], by, after_run=FIRST)
    assert not says(replace(world, events=[told, *world.events]), "the clock")
    half = step_event(SECOND_RUN, looks[0], looks[1], by // 2, after_run=FIRST)
    assert says(replace(world, events=[half, *world.events]), "the clock")


def test_a_streamer_is_dead_until_its_ladder_comes_again() -> None:
    """Its clock is set back meanwhile: a second gap begins where the new clock does."""
    world = _stepped_between(-20 * SECOND)
    looks = world.stored[FRAMES - 1].received, world.stored[FRAMES].received - EVERY
    told = step_event(SECOND_RUN, looks[0], looks[1], -20 * SECOND, after_run=FIRST)
    first = world.stored[FRAMES + 1].received
    died = Gap(CONID, WALL + KILLED - EVERY, WALL + STARTED, "streamer_died")
    second = Gap(CONID, first - SECOND // 2, first, "streamer_died")
    before, last = world.gaps
    honest = replace(
        world,
        events=[told, *world.events],
        gaps=[before, second, replace(last, begin=world.stored[-1].received)],
    )
    assert not says(replace(honest, gaps=[*honest.gaps, died]), "says streamer_died")
    late = replace(second, begin=first + 3 * SECOND, end=first + 4 * SECOND)
    lie = replace(honest, gaps=[before, late, honest.gaps[2]])
    assert says(lie, "says streamer_died, and nothing of that kind was done")


def test_a_step_may_be_cut_off_where_the_record_says_that_its_spool_was_damaged() -> None:
    world = also(_stepped_between(20 * SECOND), Kind.SPOOL_TRUNCATED, KILLED)
    assert says(world, "no event tells of it")
    tail = Event(SECOND_RUN, "spool_torn", "streamer_died", WALL, {"run_id": FIRST})
    assert judge(replace(world, events=[tail, *world.events])).violations == []
    before = replace(tail, detail={"run_id": FIRST, "next_seq": 40})
    behind = replace(tail, detail={"run_id": SECOND_RUN, "next_seq": 40})
    for elsewhere in (before, behind):
        assert says(replace(world, events=[elsewhere, *world.events]), "no event tells of it")


@pytest.mark.parametrize("cause", ["late_stamps", "clock_step", "undecodable", "disk_full"])
def test_a_record_that_suspects_everything_is_not_believed(cause: str) -> None:
    honest = honest_evidence()
    everything = Suspect(CONID, FIRST, WALL - FOR_EVER, WALL + FOR_EVER, cause)
    assert says(replace(honest, suspects=[everything]), f"says {cause}, and ")
    moment = Suspect(CONID, FIRST, WALL + SECOND, WALL + 2 * SECOND, cause)
    assert says(replace(honest, suspects=[moment]), f"says {cause}, and 1.000 s of it")


def test_a_busy_machine_may_stand_still_by_itself() -> None:
    """For two seconds nothing was stamped; then all that waited was, at once."""
    honest, frames = honest_evidence(), first_websocket()
    rows = [
        row_of(f, FIRST, seq, delay=max(0, 40 * EVERY - f.monotonic_ns) if 20 <= seq < 40 else 0)
        for seq, f in enumerate(frames[:FRAMES])
    ]
    busy = replace(honest, stored=rows + honest.stored[FRAMES:])
    window = Suspect(CONID, FIRST, rows[19].received, rows[39].received + SECOND, "late_stamps")
    assert judge(replace(busy, suspects=[window])).violations == []
    longer = replace(window, end=window.end + SECOND)
    assert says(replace(busy, suspects=[longer]), "says late_stamps")
    other_run = replace(window, run_id=SECOND_RUN)
    assert judge(replace(busy, suspects=[other_run])).violations == []
    assert says(replace(honest, suspects=[window]), "says late_stamps")


def test_what_was_malformed_may_be_read_late() -> None:
    """Frames 20 to 29 were sent malformed; a busy streamer read them five seconds later."""
    honest, frames = honest_evidence(), first_websocket()
    late = [
        row_of(f, FIRST, seq, delay=5 * SECOND if 20 <= seq < 30 else max(0, 80 - seq) * EVERY)
        for seq, f in enumerate(frames[:FRAMES])
        if seq >= 20
    ]
    rows = honest.stored[:20] + late + honest.stored[FRAMES:]
    begin = frames[20].monotonic_ns
    world = also(replace(honest, stored=rows), Kind.MALFORMED_FRAMES, begin, begin + SECOND)
    window = Suspect(CONID, FIRST, late[0].received, late[0].received + 3 * SECOND, "undecodable")
    assert not says(replace(world, suspects=[window]), "says undecodable")
    later = window.begin + 4 * SECOND
    nothing_read = replace(window, begin=later, end=later + SECOND)
    assert says(replace(world, suspects=[nothing_read]), "says undecodable")
    assert says(replace(honest, suspects=[window]), "says undecodable")


def test_a_window_may_last_as_long_as_what_was_done() -> None:
    world = also(honest_evidence(), Kind.STREAMER_STOPPED, 5 * SECOND, 8 * SECOND)
    window = Suspect(CONID, FIRST, WALL + 4 * SECOND, WALL + 9 * SECOND, "late_stamps")
    assert judge(replace(world, suspects=[window])).violations == []
    longer = replace(window, begin=WALL)
    assert says(replace(world, suspects=[longer]), "3.000 s of it are near nothing")


def _ended(code: int, at: int, *, was_asked: bool = False) -> Evidence:
    return replace(honest_evidence(), exits=(Exit(code, at, was_asked),))


def test_a_streamer_ends_by_itself_only_while_its_disk_is_full() -> None:
    at = 5 * SECOND
    assert judge(_ended(0, STOPPED, was_asked=True)).held
    assert says(_ended(1, STOPPED, was_asked=True), "when it was asked to with exit code 1")
    assert says(_ended(9, at), "by itself with exit code 9 at 5.000")
    assert judge(also(_ended(9, at), Kind.DISK_FULL, at - SECOND, at)).violations == []
    assert says(also(_ended(9, at), Kind.DISK_FULL, at + SECOND, at + SECOND), "by itself")
    assert says(also(_ended(1, at), Kind.DISK_FULL, at - SECOND, at), "by itself")
    assert says(_ended(0, at), "by itself")


def _found(kind: str, standing: str, frames: int | None = 3) -> Evidence:
    found = Finding(FIRST, kind, standing, frames, "so it says")
    return replace(honest_evidence(), findings=(found,))


def test_what_verify_cannot_explain_is_found() -> None:
    words = f"verify says unexplained: missing of run {FIRST}: so it says"
    assert judge(_found("missing", "unexplained")).violations == [words]
    assert says(_found("not_loaded", "pending"), "verify says pending")
    assert judge(_found("torn", "explained", None)).held
    assert judge(_found("repeated", "harmless")).held


def test_verify_may_explain_no_more_than_was_cut_off() -> None:
    damaged = _found("missing", "explained")
    assert says(damaged, "verify explains more than was cut off")
    row: Stored = damaged.stored[FRAMES - 1]
    assert says(replace(damaged, cut=frozenset({(FIRST, row.seq)})), "more than was cut off")
    cut = frozenset((FIRST, FRAMES + number) for number in range(3))
    assert judge(replace(damaged, cut=cut)).violations == []


def test_a_damaged_spool_may_make_the_next_run_tell_of_a_step_once_more() -> None:
    """The first run told of it, and a later part of its spool was cut off: the second run only
    knows what it was left."""
    honest, by = honest_evidence(), 20 * SECOND
    rows = [
        row_of(f, FIRST, seq, off=by if seq >= 60 else 0)
        for seq, f in enumerate(first_websocket()[:FRAMES])
    ] + [row_of(f, SECOND_RUN, seq, off=by) for seq, f in enumerate(second_websocket())]
    born = rows[FRAMES].received - EVERY
    own = step_event(FIRST, rows[59].received, rows[60].received, by)
    again = step_event(SECOND_RUN, rows[59].received, born, by, after_run=FIRST)
    world = also(replace(honest, stored=rows, events=[own, again]), Kind.CLOCK_STEP, 6 * SECOND)
    assert says(world, "and nobody set it so")
    torn = Event(SECOND_RUN, "spool_torn", "spool_damaged", born, {"run_id": FIRST})
    assert not says(replace(world, events=[torn, *world.events]), "of the clock by")
    assert not says(replace(world, events=[torn, *world.events]), "the clock was stepped")


@pytest.mark.parametrize("near", [0.4, -0.4, 0.1, -0.1])
def test_a_step_was_at_the_offset_that_fits_best(near: float) -> None:
    """Ahead by 20 s, then back to almost the old time: both offsets fit what each event says."""
    by = [20 * SECOND, round((near - 20) * SECOND)]
    offs = [0] * 30 + [by[0]] * 30 + [sum(by)] * 40
    frames = first_websocket()[:FRAMES]
    rows = [row_of(f, FIRST, seq, off=offs[seq]) for seq, f in enumerate(frames)]
    told = [
        step_event(FIRST, rows[at - 1].received, rows[at].received, step)
        for at, step in zip((30, 60), by, strict=True)
    ]
    honest = honest_evidence()
    world = replace(honest, stored=rows + honest.stored[FRAMES:], events=told)
    world = also(also(world, Kind.CLOCK_STEP, 3 * SECOND), Kind.CLOCK_STEP, 6 * SECOND)
    found = sorted((step.since, step.until) for step in Steps(world).true)
    assert [since // 1000 for since, _ in found] == [
        rows[at - 1].monotonic // 1000 for at in (30, 60)
    ]


def test_what_came_twice_is_as_long_as_nobody_knows_when_the_step_was() -> None:
    """The streamer stood still for three seconds, and its clock was set back by two meanwhile."""
    honest, by = honest_evidence(), -2 * SECOND
    rows = [
        row_of(f, FIRST, seq, off=by if seq >= 70 else 0)
        for seq, f in enumerate(first_websocket()[:FRAMES])
        if not 40 <= seq < 70
    ]
    step = step_event(FIRST, rows[39].received, rows[40].received, by)
    stepped = also(replace(honest, stored=rows, events=[step]), Kind.CLOCK_STEP, 5 * SECOND)
    first, last = Steps(stepped).back()[0]
    assert first == rows[39].received + by
    assert last == rows[40].received - by


def test_what_came_twice_is_known_from_rows_where_its_event_was_cut_off() -> None:
    world = also(_stepped_between(-20 * SECOND), Kind.SPOOL_TRUNCATED, KILLED)
    assert Steps(world).back() == []
    tail = Event(SECOND_RUN, "spool_torn", "streamer_died", WALL, {"run_id": FIRST})
    died, born = world.stored[FRAMES - 1].received, world.stored[FRAMES].received
    told = replace(world, events=[tail, *world.events])
    assert Steps(told).back() == [(died - 20 * SECOND, born + 20 * SECOND)]
