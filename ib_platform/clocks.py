"""The two clocks of a program, in one place: a rehearsal gives it others.

Timers are those of the event loop; whoever replaces the clocks replaces the loop's too.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

_NANOS = 1_000_000_000
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


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


def boot_id() -> str | None:
    """What tells one start of the machine from another: monotonic clocks of two starts cannot be
    compared. None where the system does not say it. Source: random(4), /proc interfaces."""
    try:
        return _BOOT_ID.read_text().strip() or None
    except OSError:
        return None
