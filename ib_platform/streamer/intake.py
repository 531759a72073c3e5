"""From a message that was received to its record: nothing comes between but the stamp."""

from __future__ import annotations

from ib_platform.marketdata.frames import classify
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.stamps import Moment, look_at


class Intake:
    """Stamp, then spool, then everything else."""

    def __init__(self, state: StreamerState) -> None:
        self._state = state

    def take(self, payload: bytes) -> tuple[str, Moment]:
        """Record one message; its topic and stamps. What the disk refused moves no book, but is
        understood: a session that ends must be noticed on a full disk too."""
        state = self._state
        at = look_at(state.clocks)
        state.clock_watch.frame(at)
        state.received += 1
        if state.journal.frame(at.wall, at.monotonic, state.connections, payload):
            topic = state.tracker.frame(payload, at.wall, at.monotonic).topic
        else:
            state.tracker.frames_lost()
            topic = classify(payload).topic
        state.traffic.took(topic, len(payload))
        return topic, at
