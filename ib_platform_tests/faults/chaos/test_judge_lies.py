"""Lies of a product that knows what the judge asks: each alone, in an otherwise honest world."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from random import Random

import pytest

from ib_platform_tests.faults.chaos.evidence import (
    SECOND,
    Event,
    Evidence,
    Exit,
    Finding,
    Gap,
    Injected,
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
    LOST,
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
from ib_platform_tests.faults.chaos.schedule import Kind

SEEDS = range(10)


def says(evidence: Evidence, words: str) -> bool:
    return any(words in violation for violation in judge(evidence).violations)


def without(frames: Iterable[int], *, cause: str = "streamer_died") -> Evidence:
    """The streamer received these frames of its first websocket and never wrote them: the others
    take the numbers, and a gap of ``cause`` covers it."""
    honest, dropped = honest_evidence(), set(frames)
    left = [f for at, f in enumerate(first_websocket()[:FRAMES]) if at not in dropped]
    rows = [row_of(frame, FIRST, seq) for seq, frame in enumerate(left)]
    before, died, after = honest.gaps
    at = [row.received for row in honest.stored]
    gap = Gap(CONID, at[min(dropped) - 1], at[max(dropped) + 1], cause)
    gaps = [before, gap, died, after]
    if max(dropped) == FRAMES - 1:
        gaps = [before, replace(died, begin=gap.begin), after]
    return replace(
        honest,
        stored=rows + honest.stored[FRAMES:],
        gaps=gaps,
        events=recovered_with(honest, len(left)),
        kept=frozenset(),
    )


def recovered_with(evidence: Evidence, frames: int) -> list[Event]:
    recovered, *others = evidence.events
    return [replace(recovered, detail={"run_id": FIRST, "frames": frames}), *others]


def also(evidence: Evidence, kind: Kind, begin: int, end: int | None = None) -> Evidence:
    fault = Injected(kind, begin, begin if end is None else end)
    return replace(evidence, faults=[*evidence.faults, fault])


@pytest.mark.parametrize("cause", ["not_assigned", "streamer_died"])
def test_one_gap_over_everything_is_not_believed(cause: str) -> None:
    gap = Gap(CONID, WALL - SECOND, WALL + FOR_EVER, cause)
    assert says(replace(honest_evidence(), gaps=[gap]), "stored frames lie in a gap")


@pytest.mark.parametrize("seed", SEEDS)
def test_a_gap_that_begins_too_soon_or_ends_too_late_is_found(seed: int) -> None:
    honest = honest_evidence()
    before, gap, after = honest.gaps
    longer = Random(seed).uniform(2.0, 8.0) * SECOND
    sooner = replace(gap, begin=gap.begin - round(longer))
    later = replace(gap, end=gap.end + round(longer))
    for wrong in (sooner, later):
        assert says(replace(honest, gaps=[before, wrong, after]), "stored frames lie in a gap")
    first_late = replace(before, end=before.end + round(longer))
    last_soon = replace(after, begin=after.begin - round(longer))
    for gaps in ([first_late, gap, after], [before, gap, last_soon]):
        assert says(replace(honest, gaps=gaps), "says not_assigned")


def test_a_gap_may_hold_what_was_stored_while_other_frames_were_refused() -> None:
    """The disk was full from second 3 to 7, and let some frames through."""
    refused = [at for at in range(30, 70) if at % 4 >= 2]
    world = also(without(refused, cause="disk_full"), Kind.DISK_FULL, 3 * SECOND, 7 * SECOND)
    assert says(world, "stored frames lie in a gap")
    span = {"begin": _iso_of(3 * SECOND), "end": _iso_of(7 * SECOND)}
    told = {"lost_frames": len(refused), **span}
    lost = Event(FIRST, "frames_lost", "disk_full", WALL + 7 * SECOND, told)
    assert judge(replace(world, events=[lost, *world.events])).violations == []
    fewer = replace(lost, detail={**told, "lost_frames": len(refused) - 1})
    assert says(replace(world, events=[fewer, *world.events]), "its events tell of 19")
    other = replace(lost, cause="quarantined")
    assert says(replace(world, events=[other, *world.events]), "stored frames lie in a gap")


def _iso_of(at: int) -> str:
    return str(step_event(FIRST, WALL + at, WALL + at, 0).detail["begin"])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_later_truncation_excuses_no_earlier_loss(seed: int) -> None:
    first = Random(seed).randrange(5, 60)
    for cause in ("streamer_died", "spool_damaged"):
        dropped = without(range(first, first + 10), cause=cause)
        cut = also(dropped, Kind.SPOOL_TRUNCATED, KILLED, KILLED + SECOND // 5)
        assert says(cut, "lost without a cause")
        assert says(cut, f"says {cause}, and nothing of that kind")


@pytest.mark.parametrize("seed", SEEDS)
def test_only_what_was_cut_off_is_damage(seed: int) -> None:
    """Frames are gone with their numbers, and the chaos cut off just these, or others."""
    honest, first = honest_evidence(), Random(seed).randrange(5, 60)
    gone = range(first, first + 10)
    others = range(70, 80)
    stored = [row for row in honest.stored if row.run_id != FIRST or row.seq not in gone]
    before, died, after = honest.gaps
    at = [row.received for row in honest.stored]
    gap = Gap(CONID, at[gone.start - 1], at[gone.stop], "spool_damaged")
    cut = replace(
        honest,
        stored=stored,
        gaps=[before, gap, died, after],
        cut=frozenset((FIRST, seq) for seq in gone),
        faults=[Injected(Kind.SPOOL_TRUNCATED, KILLED, KILLED + SECOND // 5)],
        events=recovered_with(honest, FRAMES - len(gone)),
        kept=frozenset(),
    )
    assert judge(cut).violations == []
    assert judge(cut).lost == {"spool_damaged": len(gone), "streamer_died": LOST}
    elsewhere = replace(cut, cut=frozenset((FIRST, seq) for seq in others))
    assert says(elsewhere, "says spool_damaged, and nothing of that kind")


def test_a_number_stands_for_a_frame() -> None:
    """Numbers 40 to 42 were cut off, and nothing was sent that could have taken them."""
    honest = honest_evidence()
    rows = [
        replace(r, seq=r.seq + 3) if r.run_id == FIRST and r.seq >= 40 else r for r in honest.stored
    ]
    cut = frozenset((FIRST, seq) for seq in range(40, 43))
    world = replace(honest, stored=rows, cut=cut, kept=frozenset())
    words = f"3 numbers before frame 43 of run {FIRST} stand for no frame that was sent"
    assert judge(also(world, Kind.SPOOL_TRUNCATED, KILLED)).violations == [words]


def test_a_broken_websocket_takes_nothing_from_the_middle_of_one() -> None:
    """Its gap says so, and a websocket was closed just then, yet this one went on."""
    world = also(without(range(30, 40), cause="disconnected"), Kind.WEBSOCKET_CLOSED, 3 * SECOND)
    assert says(world, "its gap says disconnected, and nothing took it")


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


def test_a_window_may_last_as_long_as_what_was_done() -> None:
    world = also(honest_evidence(), Kind.STREAMER_STOPPED, 5 * SECOND, 8 * SECOND)
    window = Suspect(CONID, FIRST, WALL + 4 * SECOND, WALL + 9 * SECOND, "late_stamps")
    assert judge(replace(world, suspects=[window])).violations == []
    longer = replace(window, begin=WALL)
    assert says(replace(world, suspects=[longer]), "3.000 s of it are near nothing")


@pytest.mark.parametrize("frames", [19, 60])
@pytest.mark.parametrize("kind", [Kind.STREAMER_KILLED, Kind.SPOOL_TRUNCATED])
def test_what_was_held_in_memory_only_before_a_kill_is_found(frames: int, kind: Kind) -> None:
    world = without(range(FRAMES - frames, FRAMES))
    world = replace(world, faults=[Injected(kind, KILLED, KILLED + SECOND // 5)])
    assert says(world, "its gap says streamer_died, and nothing took it")


def test_what_lay_in_the_socket_when_a_streamer_died_is_nobodys_fault() -> None:
    unread = without(range(FRAMES - 9, FRAMES))
    assert judge(unread).violations == []
    stalled = without(range(FRAMES - 30, FRAMES))
    assert not judge(stalled).held
    late = Event(FIRST, "late_stamps", "late_stamps", WALL + KILLED, {"stall_ms": 2500})
    told = replace(stalled, events=[*stalled.events, late])
    assert not says(told, "nothing took it")
    stopped = also(stalled, Kind.STREAMER_STOPPED, KILLED - 3 * SECOND, KILLED)
    assert not says(stopped, "nothing took it")


def test_a_streamer_that_runs_and_stores_nothing_is_found() -> None:
    honest = honest_evidence()
    gap = Gap(CONID, honest.stored[FRAMES - 1].received, WALL + FOR_EVER, "streamer_died")
    idle = replace(honest, stored=honest.stored[:FRAMES], gaps=[honest.gaps[0], gap])
    verdict = judge(replace(idle, events=honest.events[:1]))
    # What is sent in the second before the end is asked for may stay unread.
    at_the_end = SECOND // EVERY
    assert verdict.lost["unexplained"] == FRAMES - at_the_end
    assert verdict.lost["streamer_died"] == LOST + at_the_end


def test_a_refusal_before_a_death_on_a_full_disk_needs_no_word() -> None:
    """Who dies while its disk is full cannot tell what it had refused."""
    dropped = without(range(FRAMES - 40, FRAMES))
    full = also(dropped, Kind.DISK_FULL, KILLED - 4 * SECOND, KILLED + SECOND)
    assert judge(full).violations == []
    over = also(dropped, Kind.DISK_FULL, KILLED - 6 * SECOND, KILLED - 4 * SECOND)
    assert says(over, "and nothing took it")


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
