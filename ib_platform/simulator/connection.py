"""One websocket of a client: greeting, heartbeats, session news, quotes, ladders, answers.

Frames to the client are binary and hold UTF-8 JSON, as the real gateway sends them. What a client
sends before its ``sts`` is dropped, also as measured on the real gateway.
"""

from __future__ import annotations

import asyncio
import logging

from aiohttp import WSMsgType, web

from ib_platform.simulator import shapes
from ib_platform.simulator.backend import Backend
from ib_platform.simulator.commands import (
    Alive,
    Echo,
    Refused,
    SubscribeLadder,
    SubscribeQuote,
    UnsubscribeLadders,
    UnsubscribeQuote,
    parse_command,
)
from ib_platform.simulator.ladder_view import encode_ladder
from ib_platform.simulator.quote_view import QuoteView
from ib_platform.simulator.session import SessionStatus

logger = logging.getLogger(__name__)
_WAITING = b'{"message":"waiting for session"}'


class Connection:
    """Drives one accepted websocket until either side ends it."""

    def __init__(self, backend: Backend, socket: web.WebSocketResponse) -> None:
        self._backend = backend
        self._socket = socket
        self._announced: SessionStatus | None = None
        self._next_heartbeat = backend.clock()
        self._quotes: dict[int, QuoteView] = {}

    async def run(self) -> None:
        """Serve until the client leaves. An error in either direction ends both."""
        tasks = [asyncio.create_task(self._read()), asyncio.create_task(self._write())]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except ConnectionError:
            logger.debug("the client is gone")
        finally:
            self._backend.outlets.remove(self)
            self._backend.ladders.leave(self)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def send(self, payload: bytes) -> None:
        """Write one frame and count it; ConnectionError when the client is gone."""
        await self._socket.send_bytes(payload)
        self._backend.sent.count(payload)

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.sleep(self._backend.behaviour.greeting_delay)
        due = loop.time()
        while True:
            await self._tick()
            # A slow client skips grid points: the feed is conflated, it never catches up.
            due = max(due + self._backend.behaviour.cadence, loop.time())
            await asyncio.sleep(due - loop.time())

    async def _tick(self) -> None:
        """One grid point: everything that is due now."""
        now = self._backend.clock()
        await self._announce_session(now)
        await self._beat(now)
        if self._announced is None or not self._announced.authenticated:
            return
        for quote in list(self._quotes.values()):
            if (frame := quote.poll(now, self._backend.wall_ms())) is not None:
                await self.send(frame)
        for conid, view in self._backend.ladders.views_of(self):
            if (rows := view.poll(now)) is not None:
                await self.send(encode_ladder(self._backend.user.account, conid, rows))

    async def _announce_session(self, now: float) -> None:
        status = self._backend.session.status(now)
        if self._announced is None:
            if status.authenticated:
                await self._greet(status)
            return
        for piece in shapes.sts_pieces(self._announced, status):
            await self.send(shapes.encode(piece))
        if not status.authenticated:
            # The session's market data ends with it: the client has to subscribe again.
            self._quotes.clear()
            self._backend.ladders.leave(self)
        self._announced = status

    async def _greet(self, status: SessionStatus) -> None:
        backend = self._backend
        user = backend.user
        welcome = {"topic": "system", "success": user.username, "isFT": False, "isPaper": True}
        accounts = shapes.brokerage_accounts(user, backend.session_id)
        await self.send(shapes.encode(welcome))
        await self.send(shapes.encode({"topic": "act", "args": accounts}))
        await self.send(shapes.encode({"topic": "sts", "args": shapes.sts_args(user, status)}))
        self._announced = status
        self._next_heartbeat = backend.clock() + backend.behaviour.heartbeat_every
        backend.outlets.add(self)

    async def _beat(self, now: float) -> None:
        if now < self._next_heartbeat:
            return
        self._next_heartbeat = now + self._backend.behaviour.heartbeat_every
        if self._announced is None:
            await self.send(_WAITING)
        else:
            beat = {"topic": "system", "hb": self._backend.wall_ms()}
            await self.send(shapes.encode(beat))

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.ERROR:
                return
            if self._announced is None:
                logger.debug("a message before sts is dropped")
                continue
            data = message.data
            text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
            await self._obey(text)

    async def _obey(self, text: str) -> None:
        match parse_command(text):
            case Alive():
                await self._answer_alive()
            case Echo():
                await self._socket.send_str("ech+hb")
                self._backend.sent.count(b"ech+hb")
            case SubscribeQuote(conid, fields):
                if (market := self._backend.market(conid)) is not None:
                    self._quotes[conid] = QuoteView(market, fields)
            case UnsubscribeQuote(conid):
                self._quotes.pop(conid, None)
            case SubscribeLadder(account, conid):
                await self._subscribe_ladder(account, conid)
            case UnsubscribeLadders(account):
                await self._unsubscribe_ladders(account)
            case Refused(topic, error):
                await self._refuse(topic, error)

    async def _answer_alive(self) -> None:
        answer = {
            "topic": "tic",
            "alive": True,
            "id": self._backend.session_id,
            "lastAccessed": self._backend.wall_ms(),
        }
        await self.send(shapes.encode(answer))

    async def _subscribe_ladder(self, account: str, conid: int) -> None:
        backend = self._backend
        if account != backend.user.account:
            await self._refuse("sbd", f"unknown account {account[:20]}")
        elif self._announced is not None and self._announced.authenticated:
            if backend.replay is not None:
                backend.replay.start()
            if backend.catalogue.get(conid) is None:
                logger.info("ladder %d: no such contract, stays silent", conid)
            else:
                backend.ladders.subscribe(self, conid, backend.clock())

    async def _unsubscribe_ladders(self, account: str) -> None:
        if account != self._backend.user.account:
            await self._refuse("ubd", f"unknown account {account[:20]}")
        elif not self._backend.ladders.stop_all():
            await self.send(shapes.encode({"topic": "ubd", "message": "unsubscribed"}))

    async def _refuse(self, topic: str, error: str) -> None:
        await self.send(shapes.encode({"error": error, "topic": topic}))
