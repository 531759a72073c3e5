"""How much of the disk one spool may take, and what is left of it. PURE but for the counting.

The budget covers what cannot be dropped: segments that are not loaded yet, torn tails and the
quarantine. Loaded segments that are kept fill what is left of it, and make room.
"""

from __future__ import annotations

import threading

from ib_platform.states import SpoolFill

ALARM_SHARE = 0.8


class Budget:
    """``limit``: bytes that may be used. Thread-safe.

    What is used is measured now and then, and what is written in between is added, so that no
    append has to look at the disk.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._base = 0
        self._written = 0

    @property
    def used(self) -> int:
        """Bytes that are used, at most."""
        return self._base + self._written

    def may_take(self, length: int) -> bool:
        """Whether ``length`` more bytes fit."""
        return self._base + self._written + length <= self.limit

    def took(self, length: int) -> None:
        """So many bytes were written since the last measuring."""
        with self._lock:
            self._written += length

    @property
    def written(self) -> int:
        """What ``took`` has counted; to be read before the disk is measured."""
        return self._written

    def measured(self, size: int, written_before: int) -> None:
        """The disk was measured: ``size`` bytes. ``written_before``: ``written`` when that began.
        What was written meanwhile may count twice until the next measuring, never not at all."""
        with self._lock:
            self._base = size
            self._written -= written_before

    @property
    def fill(self) -> SpoolFill:
        """For people: an alarm comes long before frames are lost."""
        if self.used >= self.limit:
            return SpoolFill.SPENT
        return SpoolFill.ALARM if self.used >= ALARM_SHARE * self.limit else SpoolFill.WELL
