"""A clock for request limits that passes only while somebody sleeps."""

from __future__ import annotations

import math


class Watch:
    """``slept``: every pause that was asked for. A pause too short for a float passes all the
    same, as on a real clock."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now = max(self.now + seconds, math.nextafter(self.now, math.inf))
