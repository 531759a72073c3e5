"""Playing a capture to whoever is connected: byte for byte, in order, once, in its rhythm.

The replay starts at the first ladder request of any client of this process and ignores further
ones. A message is sent to the newest websocket that has been greeted; while there is none, it
waits, and after a reconnect the replay goes on where it was.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import date
from typing import Protocol

from ib_platform.simulator.capture import Capture, RecordedMessage
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.clock import Clock
from ib_platform.simulator.recorded_exchanges import RecordedExchanges
from ib_platform.simulator.recorded_facts import listed

logger = logging.getLogger(__name__)


class Outlet(Protocol):
    """Something that writes one frame to a client; ConnectionError when the client is gone."""

    async def send(self, payload: bytes, *, as_text: bool = False) -> None: ...


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

    @property
    def some(self) -> bool:
        """Whether there is one now."""
        return bool(self._open)

    async def newest(self) -> Outlet:
        """The websocket that was greeted last, as soon as there is one."""
        await self._some.wait()
        return self._open[-1]


class Replay:
    """One capture on its way out. ``sent`` counts messages that were written to a socket.
    ``answers``: recorded REST answers that are served again; None = the simulator's own are."""

    def __init__(
        self,
        capture: Capture,
        *,
        speed: float,
        max_pause: float | None,
        serve_rest: bool = False,
    ) -> None:
        self.capture = capture
        self.answers = RecordedExchanges(capture.exchanges) if serve_rest else None
        self.sent = 0
        self._speed = speed
        self._max_pause = max_pause
        self._started = asyncio.Event()

    @property
    def total(self) -> int:
        return len(self.capture.messages)

    def listed_in(self, catalogue: Catalogue, today: date) -> Catalogue:
        """The catalogue with the contracts of the capture as the nearest months."""
        return listed(catalogue, self.capture.contracts, today)

    def start(self) -> None:
        """A client asked for a ladder. Only the first call has an effect."""
        self._started.set()

    def pause_before(self, number: int) -> float:
        """Seconds between message ``number`` - 1 and message ``number`` of the replay."""
        scaled = self.capture.messages[number].pause / self._speed
        return scaled if self._max_pause is None else min(self._max_pause, scaled)

    async def run(self, outlets: Outlets, clock: Clock) -> None:
        """Wait for the start, then play to the end. Pauses are simulated time, and counted from
        when a message was due, not from when it was written: lateness does not add up."""
        await self._started.wait()
        logger.info("replay of %d messages begins", self.total)
        due = clock.now()
        for number, message in enumerate(self.capture.messages):
            due += self.pause_before(number)
            # Always a turn for the event loop: with no pause the requests must still be served.
            await clock.sleep(max(0.0, due - clock.now()))
            if await self._deliver(message, outlets):
                due = clock.now()
            self.sent += 1
        logger.info("replay is done: %d messages", self.sent)

    async def _deliver(self, message: RecordedMessage, outlets: Outlets) -> bool:
        """Whether it had to wait for a websocket: what follows must not be hurried after it."""
        waited = False
        while True:
            waited = waited or not outlets.some
            outlet = await outlets.newest()
            try:
                await outlet.send(message.payload, as_text=message.is_text)
            except ConnectionError:
                outlets.remove(outlet)
            else:
                return waited
