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


class ClockWatch:
    """Compares each look with the one before. One thread."""

    def __init__(self, journal: Journal, heartbeats: HeartbeatWatch, clocks: Clocks) -> None:
        self._journal = journal
        self._heartbeats = heartbeats
        self._clocks = clocks
        self._before: Moment | None = None

    def begin(self) -> None:
        """From now on looks are regular."""
        self._before = look_at(self._clocks)

    def frame(self, at: Moment) -> None:
        """A frame is about to be recorded with these stamps; nothing before ``begin``."""
        if self._before is not None and is_doubtful(self._before, at, _LOOK):
            self.look(at)

    def look(self, at: Moment) -> None:
        """Record what this look tells, ``_LOOK`` seconds after the one before."""
        if self._before is not None:
            for doubt in judge_look(self._before, at, _LOOK):
                if doubt.kind is StreamEventKind.CLOCK_STEP:
                    self._heartbeats.restart()
                record_doubt(self._journal, doubt)
        self._before = at


async def watch_clocks(watch: ClockWatch, clocks: Clocks) -> None:
    """Record stalls of the event loop and steps of the wall clock, until cancelled."""
    watch.begin()
    while True:
        await asyncio.sleep(_LOOK)
        watch.look(look_at(clocks))
