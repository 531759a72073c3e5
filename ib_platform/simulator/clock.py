"""Time as the simulation sees it. Injected everywhere, so that a day can pass in seconds.

Two readings, as in a real program: ``now`` is monotonic seconds, ``wall`` unix seconds. Both run
``scale`` times as fast as the machine's.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the simulation asks of time."""

    def now(self) -> float:
        """Monotonic simulated seconds."""
        ...

    def wall(self) -> float:
        """Simulated unix seconds."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let simulated seconds pass."""
        ...


class ScaledClock:
    """The machine's time, ``scale`` times as fast, from ``start`` on (the present if None)."""

    def __init__(
        self,
        scale: float = 1.0,
        start: datetime | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        unix: Callable[[], float] = time.time,
    ) -> None:
        self.scale = scale
        self._monotonic = monotonic
        self._origin = monotonic()
        self._wall_origin = unix() if start is None else start.timestamp()

    def now(self) -> float:
        return self._origin + (self._monotonic() - self._origin) * self.scale

    def wall(self) -> float:
        return self._wall_origin + (self.now() - self._origin)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds) / self.scale)


class ManualClock:
    """Stands still until ``advance``; sleepers wake when their instant has come. For tests and
    for drills in which a day is stepped through."""

    def __init__(self, start: datetime, now: float = 1_000.0) -> None:
        self._now = now
        self._wall = start.timestamp()
        self._moved = asyncio.Event()

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        """Let time pass at once; ValueError for less than nothing."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds}")
        self._now += seconds
        self._wall += seconds
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def sleep(self, seconds: float) -> None:
        until = self._now + seconds
        await asyncio.sleep(0)
        while self._now < until:
            await self._moved.wait()


def utc(clock: Clock) -> datetime:
    """The wall clock's reading with its zone."""
    return datetime.fromtimestamp(clock.wall(), UTC)
