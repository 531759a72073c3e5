"""Another device of the same user, which wants the one brokerage session too. Pure."""

from __future__ import annotations


class Rival:
    """Holds the session, or comes back for it. Instants are simulated monotonic seconds."""

    def __init__(self) -> None:
        self.holds = False
        self._retakes = 0
        self._every = 0.0
        self._returns_at: float | None = None
        self._leaves_at: float | None = None

    def arrive(self, now: float, *, retakes: int, every: float, stays: float | None) -> None:
        """It logs in and takes the session."""
        self.holds = True
        self._retakes, self._every = retakes, every
        self._returns_at = None
        self._leaves_at = None if stays is None else now + stays

    def lost(self, now: float) -> None:
        """Somebody took the session from it: it comes back if it has a try left. No-op if it did
        not hold the session, so that others' quarrels cost it no try."""
        if not self.holds:
            return
        self.holds = False
        if self._retakes > 0:
            self._retakes -= 1
            self._returns_at = now + self._every

    def returns(self, now: float) -> bool:
        """Whether it takes the session now, once each time; it has gone for good after its stay."""
        if self._leaves_at is not None and now >= self._leaves_at:
            self.holds, self._returns_at, self._leaves_at = False, None, None
        if self._returns_at is None or now < self._returns_at:
            return False
        self._returns_at = None
        self.holds = True
        return True
