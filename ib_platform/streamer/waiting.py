"""How long a record waits to be loaded, whatever happens to the wall clock meanwhile. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.clocks import Clocks

_NANOS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """``wall``: ns since 1970. ``monotonic``: ns of the clock of this process; None where the
    moment was stamped by another one, which may have run before the machine was started anew."""

    wall: int
    monotonic: int | None = None

    @classmethod
    def now(cls, clocks: Clocks) -> Moment:
        """This moment."""
        return cls(clocks.wall(), clocks.monotonic())

    def seconds_ago(self, clocks: Clocks) -> float:
        """By the monotonic clock where it is known, else by the wall clock; at least 0."""
        if self.monotonic is None:
            return max(0.0, (clocks.wall() - self.wall) / _NANOS)
        return max(0.0, (clocks.monotonic() - self.monotonic) / _NANOS)
