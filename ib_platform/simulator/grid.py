"""Points of time at equal distances, without drift. Pure: instants come from the caller."""

from __future__ import annotations

import math


class Grid:
    """``due``: the next point. However late somebody comes, the points stay where they are."""

    def __init__(self, first: float, every: float) -> None:
        self._every = every
        self.due = first

    def is_due(self, now: float) -> bool:
        return now >= self.due

    def move_on(self, now: float) -> float:
        """Let every point up to ``now`` pass; the newest of them is returned (``due`` unchanged
        and returned if it is still to come). With a distance of 0 every instant is a point."""
        if now < self.due:
            return self.due
        if self._every <= 0:
            self.due = now
            return now
        passed = self.due + self._every * math.floor((now - self.due) / self._every)
        # Rounding may put the newest point a hair after ``now``, or the next one before it.
        self.due = passed + self._every
        if self.due <= now:
            passed, self.due = self.due, self.due + self._every
        return min(passed, now)
