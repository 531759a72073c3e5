"""Playing a capture to whoever is connected: byte for byte, in order, once.

The replay starts at the first ladder request of any client of this process and ignores further
ones. A message is sent to the newest websocket that has been greeted; while there is none, it
waits, and after a reconnect the replay goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from ib_platform.simulator.capture import Capture

logger = logging.getLogger(__name__)


class Outlet(Protocol):
    """Something that writes one frame to a client; ConnectionError when the client is gone."""

    async def send(self, payload: bytes) -> None: ...


class Outlets:
    """The greeted websockets of a session, newest last."""

    def __init__(self) -> None:
        self._open: list[Outlet] = []
        self._some = asyncio.Event()

    def add(self, outlet: Outlet) -> None:
        self._open.append(outlet)
        self._some.set()

    def remove(self, outlet: Outlet) -> None:
        """No-op if it is not there."""
        if outlet in self._open:
            self._open.remove(outlet)
        if not self._open:
            self._some.clear()

    async def newest(self) -> Outlet:
        """The websocket that was greeted last, as soon as there is one."""
        await self._some.wait()
        return self._open[-1]


class Replay:
    """One capture on its way out. ``sent`` counts messages that were written to a socket."""

    def __init__(self, capture: Capture, *, speed: float, max_pause: float | None) -> None:
        self.capture = capture
        self.sent = 0
        self._speed = speed
        self._max_pause = max_pause
        self._started = asyncio.Event()

    @property
    def total(self) -> int:
        return len(self.capture.messages)

    def start(self) -> None:
        """A client asked for a ladder. Only the first call has an effect."""
        self._started.set()

    def pause_before(self, number: int) -> float:
        """Seconds between message ``number`` - 1 and message ``number`` of the replay."""
        scaled = self.capture.messages[number].pause / self._speed
        return scaled if self._max_pause is None else min(self._max_pause, scaled)

    async def run(self, outlets: Outlets) -> None:
        """Wait for the start, then play to the end."""
        await self._started.wait()
        logger.info("replay of %d messages begins", self.total)
        for number, message in enumerate(self.capture.messages):
            # Always a turn for the event loop: with no pause the requests must still be served.
            await asyncio.sleep(self.pause_before(number))
            await self._deliver(message.payload, outlets)
            self.sent += 1
        logger.info("replay is done: %d messages", self.sent)

    async def _deliver(self, payload: bytes, outlets: Outlets) -> None:
        while True:
            outlet = await outlets.newest()
            try:
                return await outlet.send(payload)
            except ConnectionError:
                outlets.remove(outlet)
