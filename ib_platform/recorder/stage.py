"""The live session of a recording: its websockets, what is subscribed on them, what came."""

from __future__ import annotations

import asyncio
import itertools
import json
import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from ib_platform.config import PaperUser
from ib_platform.ibkr.messages import subscribe_ladder, unsubscribe_ladders, unsubscribe_quote
from ib_platform.ibkr.rest import GatewayCallError
from ib_platform.recorder.client import RecordingClient
from ib_platform.recorder.connection import RecordedConnection
from ib_platform.recorder.recording import Recording
from ib_platform.recorder.secrets import Secret
from ib_platform.recorder.sightings import Sightings

logger = logging.getLogger(__name__)
_LOOK_EVERY = 0.05
_GOODBYE_WITHIN = 2.0
_USABLE_WITHIN = 15.0


@dataclass(frozen=True)
class Upkeep:
    """Seconds. ``reconnect_after`` a websocket has ended. ``tickle_every``: the session's keep
    alive. ``renew_quotes_every``: before their 15 minutes are over; None: they may end."""

    reconnect_after: float = 5.0
    tickle_every: float = 60.0
    renew_quotes_every: float | None = 540.0


class LiveStage:
    """Run ``keep_up`` in a task; it holds one websocket open and subscribes again after every
    reconnect. End it with ``leave``. ``account`` and ``session`` are the real ones."""

    def __init__(
        self,
        client: RecordingClient,
        recording: Recording,
        user: PaperUser,
        session: str,
        contracts: Iterable[int],
        fields: tuple[str, ...],
        upkeep: Upkeep,
    ) -> None:
        self.account = user.account
        self.contracts = tuple(dict.fromkeys(contracts))
        self.sightings = Sightings()
        self.ready = asyncio.Event()
        self._client = client
        self._recording = recording
        self._user = user
        self._session = session
        self._quotes = [_quote_request(conid, fields) for conid in self.contracts]
        self._ladders: list[str] = []
        self._upkeep = upkeep
        self._numbers = itertools.count(1)
        self._connections: dict[int, RecordedConnection] = {}
        self._others: list[asyncio.Task[None]] = []
        self.connection = 0

    def now(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def send(self, text: str, connection: int | None = None) -> None:
        """Send on the main websocket or another. Raises GatewayCallError: it is not open."""
        number = self.connection if connection is None else connection
        if (open_one := self._connections.get(number)) is None:
            raise GatewayCallError("SEND", "/ws", None, "the websocket is not open")
        await open_one.send(text)

    async def subscribe_ladders(self) -> None:
        """Ask for the ladders of all contracts, now and after every reconnect."""
        self._ladders = [subscribe_ladder(self.account, conid) for conid in self.contracts]
        for text in self._ladders:
            await self.send(text)

    async def open_another(self) -> int:
        """A further websocket of the session. Raises GatewayCallError: refused, or no ``sts``."""
        connection = await self._connect()
        self._others.append(asyncio.create_task(self._serve(connection)))
        try:
            async with asyncio.timeout(_USABLE_WITHIN):
                await connection.usable.wait()
        except TimeoutError as error:
            raise GatewayCallError("GET", "/ws", None, "no authenticated sts came") from error
        return connection.number

    async def keep_up(self) -> None:
        """Hold the session and one websocket until cancelled.

        Raises:
            LiveAccountError: the websocket shows a login that is not ours, or not paper.
        """
        tasks = [asyncio.create_task(job) for job in (self._stay_connected(), self._tickle())]
        if self._upkeep.renew_quotes_every is not None:
            tasks.append(asyncio.create_task(self._renew_quotes(self._upkeep.renew_quotes_every)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _ended([*tasks, *self._others])

    async def leave(self) -> None:
        """Unsubscribe what was subscribed and close, as far as the gateway still listens."""
        with suppress(GatewayCallError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_WITHIN):
                if self.ready.is_set():
                    await self.send(unsubscribe_ladders(self.account))
                    for conid in self.contracts:
                        await self.send(unsubscribe_quote(conid))
        for connection in list(self._connections.values()):
            await connection.close()

    async def _connect(self) -> RecordedConnection:
        return await RecordedConnection.connect(
            next(self._numbers),
            self._client,
            self._session,
            self._recording,
            self.sightings,
            self._user,
        )

    async def _serve(self, connection: RecordedConnection) -> None:
        self._connections[connection.number] = connection
        try:
            await connection.run()
        finally:
            del self._connections[connection.number]
            await connection.close()

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._one_connection()
            except GatewayCallError as error:
                logger.warning("%s", error)
            self.ready.clear()
            await asyncio.sleep(self._upkeep.reconnect_after)
            await self._ask_for_session()

    async def _one_connection(self) -> None:
        """From its opening to its end. Raises GatewayCallError: it could not be opened."""
        connection = await self._connect()
        self.connection = connection.number
        tasks = [
            asyncio.create_task(self._serve(connection)),
            asyncio.create_task(self._subscribe_when_usable(connection)),
        ]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            await _ended(tasks)

    async def _subscribe_when_usable(self, connection: RecordedConnection) -> None:
        """Ask for everything each time the session becomes usable: it forgets when it is lost."""
        while True:
            await connection.usable.wait()
            for text in (*self._quotes, *self._ladders):
                await connection.send(text)
            self.ready.set()
            # An event tells when it is set, not when it is cleared.
            while connection.usable.is_set():  # noqa: ASYNC110
                await asyncio.sleep(_LOOK_EVERY)
            self.ready.clear()

    async def _tickle(self) -> None:
        while True:
            await asyncio.sleep(self._upkeep.tickle_every)
            await self._ask_for_session()

    async def _ask_for_session(self) -> None:
        """Keep the session alive; learn its id, which changes with a login."""
        if self._client.stopped:
            return
        try:
            session = (await self._client.tickle()).session
        except GatewayCallError as error:
            logger.warning("%s", error)
            return
        if session is not None:
            self._recording.masker.learn(Secret.TOKEN, session)
            self._session = session

    async def _renew_quotes(self, every: float) -> None:
        while True:
            await asyncio.sleep(every)
            with suppress(GatewayCallError):
                for text in self._quotes:
                    await self.send(text)


def _quote_request(conid: int, fields: tuple[str, ...]) -> str:
    return f"smd+{conid}+{json.dumps({'fields': list(fields)}, separators=(',', ':'))}"


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
