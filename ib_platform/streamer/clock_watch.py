"""Looks at the clocks of a running streamer, and says what it sees before a frame is stamped so.

After a stall everything that waited in the socket is stamped at once, perhaps before a timer gets
its turn, and whoever is killed then can say nothing any more: so each frame looks too.
"""

from __future__ import annotations

import asyncio

from ib_platform.clocks import Clocks
from ib_platform.states import StreamEventKind
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.stamps import (
    HeartbeatWatch,
    Moment,
    is_doubtful,
    judge_look,
    look_at,
    record_doubt,
)

_LOOK = 0.05
_NANOS = 1_000_000_000


class ClockWatch:
    """Compares each look with the one before. One thread."""

    def __init__(self, journal: Journal, heartbeats: HeartbeatWatch, clocks: Clocks) -> None:
        self._journal = journal
        self._heartbeats = heartbeats
        self._clocks = clocks
        self._known: Moment | None = None
        self._before: Moment | None = None

    def since(self, at: Moment) -> None:
        """The clock is known to be right at this moment; looks are not regular yet."""
        self._known = at

    def begin(self) -> None:
        """From now on looks are regular."""
        at = look_at(self._clocks)
        if (known := self._known) is not None:
            # A start may take as long as it likes, no frame comes: only a step counts.
            self._tell(known, at, (at.monotonic - known.monotonic) / _NANOS)
        self._before = at

    def frame(self, at: Moment) -> None:
        """A frame is about to be recorded with these stamps; nothing before ``begin``."""
        if self._before is not None and is_doubtful(self._before, at, _LOOK):
            self.look(at)

    def look(self, at: Moment) -> None:
        """Record what this look tells, ``_LOOK`` seconds after the one before."""
        if self._before is not None:
            self._tell(self._before, at, _LOOK)
        self._before = at

    def _tell(self, before: Moment, at: Moment, planned: float) -> None:
        for doubt in judge_look(before, at, planned):
            if doubt.kind is StreamEventKind.CLOCK_STEP:
                self._heartbeats.restart()
            record_doubt(self._journal, doubt)


async def watch_clocks(watch: ClockWatch, clocks: Clocks) -> None:
    """Record stalls of the event loop and steps of the wall clock, until cancelled."""
    watch.begin()
    while True:
        await asyncio.sleep(_LOOK)
        watch.look(look_at(clocks))
