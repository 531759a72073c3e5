"""Lies of a product that knows what the judge asks, of frames and gaps: each alone."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from msgspec import structs

from ib_platform.simulator.sent_log import SentFrame
from ib_platform_tests.faults.chaos.evidence import (
    SECOND,
    Event,
    Gap,
    Injected,
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
    WALL,
    first_websocket,
    honest_evidence,
    row_of,
    sent_frame,
    step_event,
)
from ib_platform_tests.faults.chaos.judge import judge
from ib_platform_tests.faults.chaos.lying import also, recovered_with, says, without
from ib_platform_tests.faults.chaos.schedule import Kind

SEEDS = range(10)


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


def test_what_was_refused_may_be_untold_where_the_spool_was_cut() -> None:
    """Ten frames were refused; the numbers around them, and what told of them, were cut off."""
    world = without(range(40, 50), cause="disk_full")
    gone = frozenset((FIRST, seq) for seq in range(38, 42))
    rows = [row for row in world.stored if (row.run_id, row.seq) not in gone]
    damaged = replace(world, stored=rows)
    assert says(damaged, "gave no number to 10 frames")
    assert not says(replace(damaged, cut=gone), "gave no number")
    elsewhere = frozenset((FIRST, seq) for seq in range(60, 64))
    assert says(replace(damaged, cut=elsewhere), "gave no number to 10 frames")


def test_a_gap_lasts_until_a_ladder_is_asked_for_again_whose_first_frame_was_malformed() -> None:
    honest = honest_evidence()
    before, died, after = honest.gaps
    longer = replace(died, end=WALL + STARTED + 9 * SECOND)
    world = replace(honest, gaps=[before, longer, after])
    assert says(world, "stored frames lie in a gap")
    first = STARTED + EVERY
    assert not says(also(world, Kind.MALFORMED_FRAMES, STARTED, first), "stored frames lie in")
    # Too malformed to say whose it was: the frame before the first that names the ladder.
    sent = [structs.replace(f, topic="undecodable") if _opens(f) else f for f in world.sent]
    nobodys = also(replace(world, sent=sent), Kind.MALFORMED_FRAMES, STARTED, first - 1)
    assert not says(nobodys, "stored frames lie in a gap")
    later = also(world, Kind.MALFORMED_FRAMES, first + 1, first + SECOND)
    assert says(later, "stored frames lie in a gap")


def test_what_was_blind_in_one_pass_of_the_clock_may_be_stored_in_the_next() -> None:
    """The ladder came blind for ten seconds, then well; then the clock was set back by eight."""
    honest, by, turn = honest_evidence(), -8 * SECOND, 150
    sent = [sent_frame(1, index, STARTED + index * EVERY) for index in range(3 * FRAMES)]
    rows = [row_of(f, SECOND_RUN, seq, off=by if seq >= turn else 0) for seq, f in enumerate(sent)]
    step = step_event(SECOND_RUN, rows[turn - 1].received, rows[turn].received, by)
    before, died, _ = honest.gaps
    world = replace(
        honest,
        sent=[*first_websocket(), *sent],
        stored=honest.stored[:FRAMES] + rows,
        events=[*honest.events, step],
        gaps=[before, replace(died, end=WALL + STARTED + 11 * SECOND)],
    )
    world = also(world, Kind.CLOCK_STEP, STARTED + turn * EVERY - EVERY // 2)
    assert says(world, "stored frames lie in a gap")
    blind = also(world, Kind.MALFORMED_FRAMES, STARTED, STARTED + EVERY)
    assert not says(blind, "stored frames lie in a gap")


def _opens(frame: SentFrame) -> bool:
    return frame.websocket == 1 and frame.index == 0


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
