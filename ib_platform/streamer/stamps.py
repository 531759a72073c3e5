"""When frames may bear a wrong time: stalls, steps of the clock, late heartbeats.

A ladder has no time of its own, so a late stamp is a wrong time (design section 4). The judgements
are pure; ``clock_watch`` feeds them with the process's own clocks.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ib_platform.clocks import Clocks
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.journal import Journal

logger = logging.getLogger(__name__)
STALL = 0.25
"""A stall of the event loop over this many seconds makes stamps late."""
CATCHING_UP = 1.0
"""Seconds within which what waited through a stall is read."""
STEP = 0.5
"""Wall clock and monotonic clock may differ by this many seconds over one look."""
LATE_HEARTBEAT = 1.0
"""A heartbeat this many seconds later than the fastest of late makes stamps late."""
IMPLAUSIBLE = 30.0
"""A connection without a message for so long is given up, so what seems later than this is a
server whose clock was set: the minimum begins anew."""
_REMEMBERED = 600.0
_LOOKS = 10
_AT_ONCE = 1_000_000
_NANOS = 1_000_000_000
_NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One look at both clocks, in nanoseconds."""

    wall: int
    monotonic: int


@dataclass(frozen=True, slots=True)
class Doubt:
    """[begin, end] (ns since 1970) in which a stamp may be wrong. ``looks``: of a step of the wall
    clock, the stamps of the last look before it and of the first one after it."""

    kind: StreamEventKind
    cause: Cause
    begin: int
    end: int
    figures: dict[str, int] = field(default_factory=dict)
    looks: tuple[int, int] | None = None

    @property
    def detail(self) -> dict[str, Any]:
        """The event's detail: the span in ISO 8601 UTC, the figures, and the looks as ``before``
        and ``after``."""
        looks = dict(zip(("before", "after"), self.looks or (), strict=False))
        spans = {"begin": self.begin, "end": self.end, **looks}
        return {name: _iso(instant) for name, instant in spans.items()} | self.figures


def is_doubtful(before: Moment, after: Moment, planned: float) -> bool:
    """Whether ``judge_look`` would say anything; cheap."""
    passed = after.monotonic - before.monotonic
    step = (after.wall - before.wall) - passed
    return passed > (planned + STALL) * _NANOS or abs(step) > STEP * _NANOS


def judge_look(before: Moment, after: Moment, planned: float) -> list[Doubt]:
    """What two looks tell that should lie ``planned`` seconds apart.

    A stall's span goes on as long as the stall took, a second at most: what waited meanwhile is
    read and stamped only then.
    """
    passed = after.monotonic - before.monotonic
    late = passed / _NANOS - planned
    step = (after.wall - before.wall) - passed
    begin, end = min(before.wall, after.wall), max(before.wall, after.wall)
    doubts = []
    if late > STALL:
        figures = {"stall_ms": round(late * 1000)}
        kind, cause = StreamEventKind.LATE_STAMPS, Cause.LATE_STAMPS
        catching_up = round(min(late, CATCHING_UP) * _NANOS)
        doubts.append(Doubt(kind, cause, begin, end + catching_up, figures))
    if abs(step) > STEP * _NANOS:
        figures = {"step_ms": round(step / _NANOS_PER_MS)}
        kind, cause, looks = StreamEventKind.CLOCK_STEP, Cause.CLOCK_STEP, (before.wall, after.wall)
        doubts.append(Doubt(kind, cause, begin, end, figures, looks))
    return doubts


def _iso(instant_ns: int) -> str:
    return datetime.fromtimestamp(instant_ns / _NANOS, UTC).isoformat()


class HeartbeatWatch:
    """Compares each heartbeat's way with the fastest one of the last ten minutes.

    The minimum forgets, because two clocks that drift apart are not late.
    """

    def __init__(self) -> None:
        self._offsets: deque[tuple[int, int]] = deque()

    def restart(self) -> None:
        """Forget: the own clock was set."""
        self._offsets.clear()

    def offset(self, monotonic: int) -> float | None:
        """Own clock minus the server's in seconds, by the fastest heartbeat of the ten minutes
        before ``monotonic`` (ns): the way of that one is in it. None: there was none."""
        since = monotonic - _REMEMBERED * _NANOS
        recent = [offset for arrived, offset in self._offsets if arrived >= since]
        return min(recent) / _NANOS if recent else None

    def arrived(self, sent_ms: int, at: Moment) -> Doubt | None:
        """Take a heartbeat (``sent_ms``: the server's clock); a Doubt when it came late. Its span
        goes on like that of a stall: what waited behind the heartbeat is read only then."""
        offsets = self._offsets
        offset = at.wall - sent_ms * _NANOS_PER_MS
        while offsets and at.monotonic - offsets[0][0] > _REMEMBERED * _NANOS:
            offsets.popleft()
        fastest = min((known for _, known in offsets), default=offset)
        late = offset - fastest
        if late > IMPLAUSIBLE * _NANOS:
            self.restart()
            late = 0
        offsets.append((at.monotonic, offset))
        if late <= LATE_HEARTBEAT * _NANOS:
            return None
        figures = {"heartbeat_late_ms": round(late / _NANOS_PER_MS)}
        cause = Cause.LATE_STAMPS
        end = at.wall + min(late, round(CATCHING_UP * _NANOS))
        return Doubt(StreamEventKind.LATE_STAMPS, cause, at.wall - late, end, figures)


def record_doubt(journal: Journal, doubt: Doubt, **more: str) -> None:
    """Say it in the log and in the record, with ``more`` in its detail."""
    detail = doubt.detail | more
    logger.warning("stamps are not to be trusted (%s): %s", doubt.cause.value, detail)
    journal.event(doubt.kind, cause=doubt.cause, detail=detail)


def look_at(clocks: Clocks) -> Moment:
    """Both clocks, now. A process that was stopped between the two looks again, since that would
    seem to be a step of the clock, and its stall would have no span."""
    for _ in range(_LOOKS):
        before = clocks.monotonic()
        wall = clocks.wall()
        monotonic = clocks.monotonic()
        if monotonic - before <= _AT_ONCE:
            break
    return Moment(wall, monotonic)
