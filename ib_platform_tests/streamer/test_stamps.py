"""Wrong times: pure judgements of looks and heartbeats, and a loop that really stands still."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.clocks import Clocks
from ib_platform.paths import PodPaths
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.clock_watch import ClockWatch, watch_clocks
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.stamps import (
    Doubt,
    HeartbeatWatch,
    Moment,
    is_doubtful,
    judge_look,
    look_at,
)
from ib_platform_tests.streamer.app_bench import events_of
from ib_platform_tests.support import make_config, wait_until

SECOND = 1_000_000_000
MS = 1_000_000
WALL = 1_800_000_000 * SECOND


def _kinds(wall: float, monotonic: float) -> list[StreamEventKind]:
    after = Moment(WALL + round(wall * SECOND), round(monotonic * SECOND))
    return [doubt.kind for doubt in judge_look(Moment(WALL, 0), after, 0.05)]


@pytest.mark.parametrize(
    ("wall", "monotonic", "kinds"),
    [
        (0.05, 0.05, []),
        (0.29, 0.29, []),
        (0.31, 0.31, [StreamEventKind.LATE_STAMPS]),
        (0.50, 0.05, []),
        (0.60, 0.05, [StreamEventKind.CLOCK_STEP]),
        (-0.60, 0.05, [StreamEventKind.CLOCK_STEP]),
        (3600, 5, [StreamEventKind.LATE_STAMPS, StreamEventKind.CLOCK_STEP]),
    ],
)
def test_two_looks_at_two_clocks(
    wall: float, monotonic: float, kinds: list[StreamEventKind]
) -> None:
    assert _kinds(wall, monotonic) == kinds
    after = Moment(WALL + round(wall * SECOND), round(monotonic * SECOND))
    assert is_doubtful(Moment(WALL, 0), after, 0.05) == bool(kinds)


@pytest.mark.parametrize(("stall", "more"), [(0.4, 0.35), (30.05, 1.0)])
def test_a_stall_goes_on_until_what_waited_is_read(stall: float, more: float) -> None:
    later = Moment(WALL + round(stall * SECOND), round(stall * SECOND))
    (doubt,) = judge_look(Moment(WALL, 0), later, 0.05)
    assert doubt.begin == WALL
    assert doubt.end == pytest.approx(later.wall + more * SECOND, abs=1000)


def test_a_step_back_has_a_span_and_its_size() -> None:
    (doubt,) = judge_look(Moment(WALL, 0), Moment(WALL - 2 * SECOND, 50 * MS), 0.05)
    assert (doubt.begin, doubt.end) == (WALL - 2 * SECOND, WALL)
    assert doubt.cause is Cause.CLOCK_STEP
    assert doubt.detail["step_ms"] == -2050
    assert datetime.fromisoformat(doubt.detail["begin"]) == datetime(
        2027, 1, 15, 7, 59, 58, tzinfo=UTC
    )


class Beats:
    """Heartbeats every ten seconds, with a delay and an own clock that is ``ahead``."""

    def __init__(self) -> None:
        self.watch = HeartbeatWatch()
        self.count = 0

    def next(self, delay: float, ahead: float = 0.0) -> Doubt | None:
        self.count += 1
        sent = self.count * 10 * SECOND
        arrival = sent + round(delay * SECOND)
        at = Moment(WALL + arrival + round(ahead * SECOND), arrival)
        return self.watch.arrived((WALL + sent) // MS, at)


def test_a_heartbeat_is_late_against_the_fastest_one() -> None:
    beats = Beats()
    assert [beats.next(delay) for delay in (0.5, 0.2, 1.1, 1.2)] == [None] * 4
    late = beats.next(1.3)
    assert late is not None
    assert (late.kind, late.cause) == (StreamEventKind.LATE_STAMPS, Cause.LATE_STAMPS)
    assert late.detail["heartbeat_late_ms"] == 1100
    arrival = WALL + beats.count * 10 * SECOND + 1300 * MS
    assert late.begin == arrival - 1100 * MS
    assert late.end == arrival + SECOND, "what waited behind it is read after it, for a second"
    assert beats.next(0.3) is None


def test_clocks_that_differ_by_hours_are_not_late() -> None:
    beats = Beats()
    assert [beats.next(0.2, ahead=7200) for _ in range(5)] == [None] * 5


def test_clocks_that_drift_apart_are_not_late() -> None:
    beats = Beats()
    # A second in an hour, for four hours.
    assert [beats.next(0.2, ahead=n / 360) for n in range(1440)] == [None] * 1440


def test_a_step_of_the_server_begins_anew() -> None:
    beats = Beats()
    assert beats.next(0.2) is None
    assert beats.next(0.2, ahead=60) is None
    assert beats.next(0.3, ahead=60) is None
    assert beats.next(1.4, ahead=60) is not None


def test_after_a_step_of_the_own_clock_nothing_is_late() -> None:
    beats = Beats()
    beats.next(0.2)
    beats.watch.restart()
    assert beats.next(0.2, ahead=5) is None


def test_the_offset_is_that_of_the_fastest_and_ends_with_a_step_of_the_own_clock() -> None:
    beats = Beats()
    assert beats.watch.offset(0) is None
    for delay in (0.5, 0.2, 0.9):
        beats.next(delay, ahead=-3)
    assert beats.watch.offset(31 * SECOND) == -2.8
    assert beats.watch.offset(621 * SECOND) == -2.1
    assert beats.watch.offset(632 * SECOND) is None
    beats.watch.restart()
    assert beats.watch.offset(31 * SECOND) is None


@given(st.lists(st.floats(0, 0.99), max_size=40))
def test_delays_within_a_second_of_each_other_are_never_late(delays: list[float]) -> None:
    beats = Beats()
    assert not any(beats.next(delay) for delay in delays)


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    folder = PodPaths(tmp_path, "alpha").spool
    return Spool.open(folder, "alpha", "alpha-run", segment_bytes=1 << 20)


async def test_a_stalled_loop_is_recorded_with_its_span(spool: Spool, tmp_path: Path) -> None:
    watching = asyncio.create_task(watch_clocks(_watch(spool, Clocks()), Clocks()))
    await asyncio.sleep(0)
    begin = datetime.now(UTC)
    _stand_still()
    end = datetime.now(UTC)

    def stalls() -> list[dict[str, str]]:
        events = events_of(make_config(tmp_path))
        return [e.detail for e in events if e.kind is StreamEventKind.LATE_STAMPS]

    stall = (await asyncio.to_thread(wait_until, stalls, "the event"))[0]
    watching.cancel()
    assert datetime.fromisoformat(stall["begin"]) <= begin
    assert datetime.fromisoformat(stall["end"]) >= end
    spool.close()


def _watch(spool: Spool, clocks: Clocks) -> ClockWatch:
    return ClockWatch(Journal(spool), HeartbeatWatch(), clocks)


def test_the_first_frame_after_a_stall_tells_of_it(spool: Spool, tmp_path: Path) -> None:
    """Found by the chaos test: killed right after a stop, a streamer had stamped 30 s of frames
    late, and its watch had not had its turn."""
    passed = 0
    watch = _watch(spool, Clocks(lambda: WALL + passed, lambda: passed))
    watch.frame(Moment(WALL, 0))
    watch.begin()
    for passed in (0, SECOND // 10, 30 * SECOND, 30 * SECOND + 1):
        watch.frame(Moment(WALL + passed, passed))
    (told,) = events_of(make_config(tmp_path))
    assert (told.kind, told.detail["stall_ms"]) == (StreamEventKind.LATE_STAMPS, 29950)
    spool.close()


def _stand_still() -> None:
    time.sleep(0.4)


async def test_a_step_is_recorded_and_the_heartbeats_begin_anew(
    spool: Spool, tmp_path: Path
) -> None:
    ahead = 0

    clocks = Clocks(wall=lambda: time.time_ns() + ahead)
    heartbeats = HeartbeatWatch()
    heartbeats.arrived(0, Moment(0, 0))
    watching = asyncio.create_task(
        watch_clocks(ClockWatch(Journal(spool), heartbeats, clocks), clocks)
    )
    await asyncio.sleep(0)
    ahead = 3 * SECOND

    def steps() -> list[dict[str, int]]:
        events = events_of(make_config(tmp_path))
        return [e.detail for e in events if e.kind is StreamEventKind.CLOCK_STEP]

    (step,) = await asyncio.to_thread(wait_until, steps, "the event")
    watching.cancel()
    assert 2900 < step["step_ms"] < 3100
    assert not heartbeats._offsets
    spool.close()


def test_a_process_stopped_between_its_two_clocks_looks_again() -> None:
    """Found by the chaos test: a SIGSTOP there was a step of the clock and none of the stall."""
    passed = 0

    def wall() -> int:
        nonlocal passed
        at = WALL + passed
        if passed == 0:
            passed = 3 * SECOND
        return at

    moment = look_at(Clocks(wall, lambda: passed))
    assert moment.wall - WALL == moment.monotonic == 3 * SECOND


def test_a_step_while_a_streamer_starts_is_told_and_its_long_start_is_no_stall(
    spool: Spool, tmp_path: Path
) -> None:
    passed, ahead = 0, 0
    watch = _watch(spool, Clocks(lambda: WALL + passed + ahead, lambda: passed))
    watch.since(Moment(WALL, 0))
    passed = 5 * SECOND
    watch.begin()
    assert events_of(make_config(tmp_path)) == []
    watch.since(Moment(WALL + passed, passed))
    passed, ahead = 9 * SECOND, -2 * SECOND
    watch.begin()
    (told,) = events_of(make_config(tmp_path))
    assert (told.kind, told.detail["step_ms"]) == (StreamEventKind.CLOCK_STEP, -2000)
    spool.close()
