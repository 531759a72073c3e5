"""The judge believes an honest world and finds every lie."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import pytest

from ib_platform_tests.faults.chaos.alignment import align
from ib_platform_tests.faults.chaos.clocks import shown_times
from ib_platform_tests.faults.chaos.evidence import (
    SECOND,
    Event,
    Evidence,
    Gap,
    Injected,
    Suspect,
)
from ib_platform_tests.faults.chaos.honest import (
    CONID,
    DELAY,
    EVERY,
    FIRST,
    FRAMES,
    KILLED,
    LOST,
    SECOND_RUN,
    STARTED,
    WALL,
    first_websocket,
    honest_evidence,
    row_of,
    second_websocket,
    step_event,
)
from ib_platform_tests.faults.chaos.judge import judge
from ib_platform_tests.faults.chaos.schedule import Kind

SEEDS = range(25)


def first_violation(evidence: Evidence) -> str:
    verdict = judge(evidence)
    assert not verdict.held
    return verdict.violations[0]


def of_kind(evidence: Evidence, *kinds: Kind) -> Evidence:
    """The same world, in which other things were done at the same time."""
    faults = [Injected(kind, KILLED, KILLED + SECOND // 5) for kind in kinds]
    return replace(evidence, faults=faults)


def with_cause(evidence: Evidence, cause: str) -> Evidence:
    before, gap, after = evidence.gaps
    return replace(evidence, gaps=[before, replace(gap, cause=cause), after])


def test_an_honest_world_is_believed_and_counted() -> None:
    verdict = judge(honest_evidence())
    assert verdict.violations == []
    assert verdict.line(7, 1) == (
        "chaos seed 7: 1 faults, sent 205, stamped 200, stored 200, lost 5 (streamer_died: 5): "
        "the promise held"
    )


def test_evidence_survives_its_file() -> None:
    honest = honest_evidence()
    assert msgspec.json.decode(msgspec.json.encode(honest), type=Evidence) == honest


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_that_was_removed_is_found(seed: int) -> None:
    honest = honest_evidence()
    row = Random(seed).choice(honest.stored)
    stored = [other for other in honest.stored if other is not row]
    verdict = judge(replace(honest, stored=stored))
    assert any(row.run_id in violation for violation in verdict.violations)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_that_is_there_twice_is_found(seed: int) -> None:
    honest = honest_evidence()
    row = Random(seed).choice(honest.stored)
    words = first_violation(replace(honest, stored=[*honest.stored, row]))
    assert words == f"stored twice: {row.topic} frame {row.seq} of run {row.run_id}, connection 1"


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_that_nobody_sent_is_found(seed: int) -> None:
    honest = honest_evidence()
    at = Random(seed).randrange(len(honest.stored))
    stored = list(honest.stored)
    stored[at] = replace(stored[at], crc32c=999_999)
    assert "never sent" in first_violation(replace(honest, stored=stored))


@pytest.mark.parametrize("seed", SEEDS)
def test_two_rows_that_changed_places_are_found(seed: int) -> None:
    honest = honest_evidence()
    at = Random(seed).randrange(FRAMES - 2)
    stored = list(honest.stored)
    one, other = stored[at], stored[at + 2]
    stored[at] = replace(one, crc32c=other.crc32c, topic=other.topic)
    stored[at + 2] = replace(other, crc32c=one.crc32c, topic=one.topic)
    assert "never sent" in first_violation(replace(honest, stored=stored))


@pytest.mark.parametrize("cause", ["disconnected", "disk_full", "unknown", "not_assigned"])
def test_a_gap_with_a_wrong_cause_is_found(cause: str) -> None:
    words = first_violation(with_cause(honest_evidence(), cause))
    assert words.startswith("lost without a cause: ")
    assert words.endswith(f"its gap says {cause}")


def test_a_gap_that_is_missing_or_too_short_is_found() -> None:
    honest = honest_evidence()
    before, gap, after = honest.gaps
    missing = replace(honest, gaps=[before, after])
    assert first_violation(missing).endswith("it lies in no gap")
    short = replace(gap, end=gap.begin + 2 * EVERY)
    assert judge(replace(honest, gaps=[before, short, after])).lost == {
        "streamer_died": 2,
        "unexplained": 3,
    }


def test_a_stall_that_the_record_tells_of_may_hide_when_a_gap_began() -> None:
    """A websocket was closed at second 2, and the streamer stood still until second 6."""
    honest = honest_evidence()
    at = honest.stored[60].received
    closed = Injected(Kind.WEBSOCKET_CLOSED, 2 * SECOND, 2 * SECOND)
    gap = Gap(CONID, at, at + EVERY, "disconnected")
    told = replace(honest, gaps=[*honest.gaps, gap], faults=[*honest.faults, closed])
    assert "nothing of that kind was done" in first_violation(told)
    stall = Suspect(CONID, FIRST, at - 4 * SECOND, at, "late_stamps")
    explained = replace(told, suspects=[stall])
    assert not any("disconnected" in words for words in judge(explained).violations)


def test_a_gap_may_have_begun_when_its_last_frame_was_sent_if_stalls_are_told() -> None:
    """Stall followed stall: frame 19, sent in second 1.9, was stamped in second 6, and the
    websocket was closed in second 1."""
    honest = honest_evidence()
    rows = [
        row_of(frame, FIRST, seq, delay=6 * SECOND + seq - frame.monotonic_ns)
        if 19 <= seq < 60
        else row_of(frame, FIRST, seq)
        for seq, frame in enumerate(first_websocket()[:FRAMES])
    ]
    gap = Gap(CONID, rows[19].received, rows[19].received + EVERY, "disconnected")
    world = replace(
        honest,
        stored=rows + honest.stored[FRAMES:],
        gaps=[*honest.gaps, gap],
        faults=[*honest.faults, Injected(Kind.WEBSOCKET_CLOSED, SECOND, SECOND)],
    )
    assert "says disconnected, and nothing of that kind" in first_violation(world)
    last = Suspect(CONID, FIRST, gap.begin - SECOND // 2, gap.begin, "late_stamps")
    assert judge(replace(world, suspects=[last])).violations == []


def test_a_gap_in_which_nothing_was_lost_needs_a_cause_too() -> None:
    honest = honest_evidence()
    begin = honest.stored[10].received
    gap = Gap(CONID, begin, begin + EVERY, "disk_full")
    words = first_violation(replace(honest, gaps=[*honest.gaps, gap]))
    assert (
        words == f"a gap of {CONID} for 0.100 s says disk_full, and nothing of that kind was done"
    )


def test_the_cause_has_to_be_what_was_done() -> None:
    closed = of_kind(with_cause(honest_evidence(), "disconnected"), Kind.WEBSOCKET_CLOSED)
    assert judge(closed).held
    assert not judge(of_kind(honest_evidence(), Kind.CLICKHOUSE_KILLED)).held


def test_a_full_disk_leaves_a_hole_that_its_event_explains() -> None:
    honest = honest_evidence()
    lost = range(40, 46)
    rows = [row for row in honest.stored if row.run_id != FIRST or row.seq not in lost]
    kept = [frame for at, frame in enumerate(first_websocket()[:FRAMES]) if at not in lost]
    rows = [row_of(frame, FIRST, seq) for seq, frame in enumerate(kept)] + rows[len(kept) :]
    begin, end = lost.start * EVERY, lost.stop * EVERY
    loss = Event(FIRST, "frames_lost", "disk_full", WALL + end, {"lost_frames": len(lost)})
    recovered = {"run_id": FIRST, "frames": len(kept)}
    full = replace(
        honest,
        stored=rows,
        gaps=[*honest.gaps, Gap(CONID, WALL + begin + DELAY, WALL + end, "disk_full")],
        events=[loss, replace(honest.events[0], detail=recovered), *honest.events[1:]],
        faults=[*honest.faults, Injected(Kind.DISK_FULL, begin, end)],
        kept=frozenset(),
    )
    verdict = judge(full)
    assert verdict.violations == []
    assert verdict.lost == {"disk_full": len(lost), "streamer_died": LOST}
    assert verdict.stamped == 2 * FRAMES
    unsaid = judge(replace(full, events=full.events[1:]))
    assert unsaid.stamped == 2 * FRAMES - len(lost)


def test_what_was_cut_off_may_be_missing_and_nothing_else() -> None:
    honest = honest_evidence()
    gone = frozenset((FIRST, seq) for seq in range(95, FRAMES))
    stored = [row for row in honest.stored if (row.run_id, row.seq) not in gone]
    before, gap, after = honest.gaps
    cut = replace(
        of_kind(honest, Kind.SPOOL_TRUNCATED),
        stored=stored,
        cut=gone,
        gaps=[before, replace(gap, begin=stored[94].received), after],
        events=[
            replace(honest.events[0], detail={"run_id": FIRST, "frames": 95}),
            *honest.events[1:],
        ],
    )
    assert judge(cut).violations == []
    words = first_violation(replace(cut, cut=frozenset()))
    assert words == f"complete in the spool and not stored: frame 95 of run {FIRST}"


def test_late_stamps_of_a_stopped_streamer_have_to_be_marked() -> None:
    honest = honest_evidence()
    stop = Injected(Kind.STREAMER_STOPPED, 30 * EVERY, 60 * EVERY)
    frames = first_websocket()
    late = [
        row_of(frame, FIRST, seq, delay=60 * EVERY + DELAY - frame.monotonic_ns)
        if 30 <= seq < 60
        else row_of(frame, FIRST, seq)
        for seq, frame in enumerate(frames[:FRAMES])
    ]
    stopped = replace(honest, stored=late + honest.stored[FRAMES:], faults=[*honest.faults, stop])
    assert "late and in no suspect window: ladder frame 31" in first_violation(stopped)
    window = Suspect(CONID, FIRST, WALL + 30 * EVERY, WALL + 60 * EVERY + DELAY, "late_stamps")
    assert judge(replace(stopped, suspects=[window])).held
    damaged = replace(stopped, suspects=[replace(window, cause="spool_damaged")])
    assert not any("late" in told for told in judge(damaged).violations)
    assert any("says spool_damaged" in told for told in judge(damaged).violations), "no damage"
    other_run = replace(window, run_id=SECOND_RUN)
    assert not judge(replace(stopped, suspects=[other_run])).held


def test_a_step_of_the_clock_has_to_be_told() -> None:
    honest = honest_evidence()
    frames = first_websocket()
    off = 20 * SECOND
    stepped = [
        row_of(frame, FIRST, seq, off=off if seq >= 50 else 0)
        for seq, frame in enumerate(frames[:FRAMES])
    ]
    rows = stepped + [
        row_of(frame, SECOND_RUN, seq, off=off) for seq, frame in enumerate(second_websocket())
    ]
    before, gap, after = honest.gaps
    world = replace(
        honest,
        stored=rows,
        gaps=[
            before,
            replace(gap, begin=gap.begin + off, end=gap.end + off),
            replace(after, begin=after.begin + off),
        ],
        faults=[*honest.faults, Injected(Kind.CLOCK_STEP, 50 * EVERY, 50 * EVERY)],
    )
    assert "the clock was stepped by 20.000 s before frame 50" in first_violation(world)
    told = step_event(FIRST, rows[49].received, rows[50].received, off)
    assert judge(replace(world, events=[told, *world.events])).violations == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"received": 101}, "received 101, spooled 100, and its events say that 0 were lost"),
        ({"received": 99, "spooled": 99}, "spooled 99, and 100 are stored"),
        ({"lost": 3}, "received 100, spooled 100"),
    ],
)
def test_a_balance_that_does_not_add_up_is_found(change: dict[str, int], words: str) -> None:
    honest = honest_evidence()
    recovered, stop = honest.events
    lie = replace(stop, detail={**stop.detail, **change})
    assert words in first_violation(replace(honest, events=[recovered, lie]))
    wrong = replace(recovered, detail={"run_id": FIRST, "frames": 99})
    assert "recovered with 99 frames, 100 are stored" in first_violation(
        replace(honest, events=[wrong, stop])
    )


def test_doubled_undecoded_and_tracebacks_are_found() -> None:
    honest = honest_evidence()
    assert "2 rows of ladder_frames" in first_violation(
        replace(honest, doubled={"frames": 0, "ladder_frames": 2})
    )
    undecoded = replace(honest, undecoded=frozenset({(FIRST, 3)}))
    assert first_violation(undecoded) == f"no decoded row of frame 3 of run {FIRST}"
    assert "x.log:7" in first_violation(replace(honest, tracebacks=("x.log:7: ValueError",)))


def test_equal_payloads_stand_for_each_other_only_in_order() -> None:
    """Behind a hole the latest frame that was sent before is taken, so a tail stays a tail."""
    frames = [msgspec.structs.replace(frame, crc32c=1) for frame in first_websocket(10)]
    frames[2] = msgspec.structs.replace(frames[2], crc32c=2)
    rows = [row_of(frame, FIRST, seq) for seq, frame in enumerate([*frames[:2], *frames[6:8]])]
    found = align(frames, rows)
    assert [pair.sent.index for pair in found.pairs] == [0, 1, 6, 7]
    assert [lost.sent.index for lost in found.lost] == [2, 3, 4, 5, 8, 9]
    assert found.strangers == []
    assert found.lost[0].latest == rows[2].monotonic
    assert found.lost[-1].latest is None


def _set_back(by: int) -> Evidence:
    """The honest world, its clock set back by ``by`` before the second run, which then is closed
    off from its websocket at the very times of the first run's death."""
    honest = honest_evidence()
    after = [row_of(f, SECOND_RUN, seq, off=-by) for seq, f in enumerate(second_websocket())]
    before, gap, last = honest.gaps
    closed = Injected(Kind.WEBSOCKET_CLOSED, gap.begin - WALL + by, gap.end - WALL + by)
    stepped = Injected(Kind.CLOCK_STEP, KILLED + SECOND, KILLED + SECOND)
    gaps = [before, replace(gap, cause="disconnected"), replace(last, begin=after[-1].received)]
    return replace(
        honest,
        stored=honest.stored[:FRAMES] + after,
        gaps=gaps,
        faults=[*honest.faults, stepped, closed],
    )


def test_a_time_that_came_twice_may_have_either_cause_if_the_step_is_told() -> None:
    back = 6 * SECOND
    world = _set_back(back)
    assert any("its gap says disconnected" in words for words in judge(world).violations)
    looks = world.stored[FRAMES - 1].received, world.stored[FRAMES].received
    step = step_event(SECOND_RUN, *looks, -back, after_run=FIRST)
    told = judge(replace(world, events=[step, *world.events]))
    assert (told.violations, told.lost) == ([], {"disconnected": LOST})
    forward = replace(step, detail={**step.detail, "step_ms": 6000})
    assert not judge(replace(world, events=[forward, *world.events])).held


def test_a_gap_is_judged_by_the_times_that_the_clock_showed() -> None:
    """A websocket that was closed at other times explains nothing, whatever the clock was off."""
    world = _set_back(6 * SECOND)
    killed, stepped, closed = world.faults
    elsewhere = replace(closed, begin=closed.begin + 8 * SECOND, end=closed.end + 8 * SECOND)
    wrong = judge(replace(world, faults=[killed, stepped, elsewhere]))
    assert any("says disconnected, and nothing" in words for words in wrong.violations)


def test_times_that_a_clock_showed_between_its_steps() -> None:
    (before, after) = shown_times(_set_back(6 * SECOND))
    assert (before[2], after[2]) == (WALL, WALL - 6 * SECOND)
    died = honest_evidence().stored[FRAMES - 1].received
    assert before[1] == STARTED + DELAY + WALL
    assert after[0] == died - 6 * SECOND
