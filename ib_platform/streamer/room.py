"""The room that one spool has on the disk: its budget, what it keeps back, what it can give up.

Order in which room is made: segments that are kept though they are loaded, then the reserve, which
only loading may use. Frames are refused last, and each is counted by who asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from ib_platform.clocks import Clocks
from ib_platform.errors import SpoolError
from ib_platform.health import SpoolHealth
from ib_platform.states import SpoolFill
from ib_platform.streamer.budget import Budget
from ib_platform.streamer.kept import KeptSegments
from ib_platform.streamer.quarantined import quarantined_bytes
from ib_platform.streamer.reserve import RESERVE_BYTES, Reserve, no_room
from ib_platform.streamer.segments import list_segments, list_torn, size_of

logger = logging.getLogger(__name__)
BUDGET_BYTES = 10 * 1024**3
_RESERVE_EVERY_NS = 1_000_000_000


class SpoolRoom:
    """``budget_bytes``: what the spool may use of the disk. ``keep_loaded``: seconds that loaded
    segments are kept."""

    def __init__(self, folder: Path, clocks: Clocks, budget_bytes: int, keep_loaded: float) -> None:
        self._folder = folder
        self._clocks = clocks
        self._reserve_tried = 0
        self.reserve = Reserve(folder)
        self.budget = Budget(budget_bytes)
        self.kept = KeptSegments(folder, keep_loaded)
        self.kept_bytes = 0
        """Of the last measuring."""

    def refuse(self, length: int) -> None:
        """SpoolError where a frame of ``length`` bytes has no room: the budget is spent, or what
        is left of the disk belongs to the loader."""
        if not self.budget.may_take(length):
            raise SpoolError(
                f"{self._folder}: the spool's budget of {self.budget.limit} bytes is spent. See "
                "why ClickHouse takes nothing, or raise limits.spool_bytes."
            )
        if not self.reserve.given_up:
            return
        now = self._clocks.monotonic()
        if now - self._reserve_tried >= _RESERVE_EVERY_NS:
            self._reserve_tried = now
            if self.reserve.ensure():
                return
        raise SpoolError(
            f"{self._folder}: the disk is full, and what is left of it is needed to load the "
            "spool. Free some disk space."
        )

    def for_frame(self, write: Callable[[], object], length: int) -> None:
        """Write a frame; on a full disk a kept segment makes way. Raises SpoolError."""
        try:
            write()
        except SpoolError as error:
            if not (no_room(error) and self._drop_kept(length)):
                raise
            write()

    def for_loading(self, write: Callable[[], object]) -> None:
        """Write what loading cannot go on without: it may use all room that can be made.

        Raises:
            SpoolError: there is none, or the disk refuses for another reason.
        """
        while True:
            try:
                write()
                return
            except SpoolError as error:
                if not (no_room(error) and self._give_up()):
                    raise

    def measure(self) -> SpoolFill:
        """Look at the disk: what is used of the budget, now. Kept segments whose time is over, or
        whose room is needed, are dropped. Blocking.

        Raises:
            SpoolError: the folder cannot be read, or a kept segment not be dropped.
        """
        written = self.budget.written
        files = [segment.path for segment in list_segments(self._folder)]
        files += [segment.torn_path for segment in list_torn(self._folder)]
        size = sum(map(size_of, files)) + quarantined_bytes(self._folder)
        self.budget.measured(size, written)
        try:
            self.kept.expire(self._clocks.seconds())
            spare = max(0, self.budget.limit - self.budget.used)
            kept = self.kept.size()
            if kept > spare:
                kept -= self.kept.make_room(kept - spare)
        except OSError as error:
            raise SpoolError(f"{self.kept.folder}: a kept segment stays ({error})") from error
        self.kept_bytes = kept
        return self.budget.fill

    def health(self) -> SpoolHealth:
        """What ``/status`` shows."""
        budget = self.budget
        return SpoolHealth(budget.used, self.kept_bytes, budget.limit, budget.fill)

    def _give_up(self) -> bool:
        return self._drop_kept(RESERVE_BYTES) or self.reserve.give_up()

    def _drop_kept(self, wanted: int) -> bool:
        try:
            return self.kept.make_room(wanted) > 0
        except (OSError, SpoolError) as error:
            logger.warning("%s: %s", self.kept.folder, error)
            return False
