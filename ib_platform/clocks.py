"""The two clocks of a program, in one place: a rehearsal gives it others.

Timers are those of the event loop; whoever replaces the clocks replaces the loop's too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Clocks:
    """Nanoseconds: ``wall`` since 1970, ``monotonic`` from anywhere."""

    wall: Callable[[], int] = time.time_ns
    monotonic: Callable[[], int] = time.monotonic_ns

    def utc(self) -> datetime:
        """Wall clock, to the microsecond."""
        return datetime.fromtimestamp(self.wall() // 1000 / 1e6, UTC)

    def unix(self) -> float:
        """Wall clock in seconds since 1970."""
        return self.wall() / _NANOS

    def seconds(self) -> float:
        """Monotonic clock in seconds."""
        return self.monotonic() / _NANOS
