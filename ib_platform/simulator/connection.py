"""One websocket of a client: greeting, heartbeats, session news, feeds, answers, faults.

A gateway drops what its client says before the greeting has come through, as measured on the real
program; IBKR itself (face B) keeps early messages until there is a session.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random

from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.answers import Answers
from ib_platform.simulator.faces import Face
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.feeds import Feeds
from ib_platform.simulator.greeting import WAITING, claimed_session, greeting
from ib_platform.simulator.grid import Grid
from ib_platform.simulator.login import Login
from ib_platform.simulator.outages import Outage
from ib_platform.simulator.session_states import SessionStatus
from ib_platform.simulator.socket_faults import Closing, OpenConnections, frames_of
from ib_platform.simulator.wire import Wire

logger = logging.getLogger(__name__)
_MOST_EARLY_MESSAGES = 100
_MAINTENANCE_CODE = 1001


class Connection:
    """Drives one accepted websocket until either side ends it."""

    def __init__(
        self,
        face: Face,
        request: web.BaseRequest,
        socket: web.WebSocketResponse,
        connections: OpenConnections,
    ) -> None:
        self._face = face
        self._request = request
        self._world = face.world
        self._wire = Wire(face, request, socket)
        self._connections = connections
        self._luck = Random(f"websocket/{face.world.seed}/{next(connections.numbers)}")
        self._announced: SessionStatus | None = None
        self._feeds: Feeds | None = None
        self._answers: Answers | None = None
        self._early: list[str] = []
        now = self._world.clock.now()
        self._heartbeats = self._heartbeats_from(now)
        self._wall_offset = self._world.clock.wall() - now
        self._happened: asyncio.Queue[Fault] = asyncio.Queue()

    async def run(self) -> None:
        """Serve until the client leaves. An error in either direction ends both."""
        self._connections.add(self)
        tasks = [
            asyncio.create_task(job)
            for job in (self._wire.read(self._hear), self._write(), self._suffer())
        ]
        code = None
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        except Closing as closing:
            code = closing.code
        except ConnectionError:
            logger.debug("the client is gone")
        finally:
            self._connections.discard(self)
            self._leave()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if code is not None:
            await self._wire.close(code)

    def told(self, fault: Fault) -> None:
        """A fault has begun somewhere; what does not concern this websocket is passed over."""
        if self._wire.dead or not fault.concerns(self._wire.username, fault.symbol):
            return
        if fault.kind is FaultKind.HALF_OPEN:
            self._wire.dead = True
            if self._wire.login is not None:
                # A recording waits for the next websocket: here it would be lost.
                self._world.outlets(self._wire.login.user.username).remove(self._wire)
        else:
            self._happened.put_nowait(fault)

    # What goes out: a grid of its own for each websocket.

    async def _write(self) -> None:
        clock, cadence = self._world.clock, self._world.behaviour.cadence
        await clock.sleep(self._world.behaviour.greeting_delay)
        grid = Grid(clock.now(), cadence)
        while True:
            if not self._wire.dead and self._wire.fault(FaultKind.GATEWAY_HANGS) is None:
                await self._tick()
            # A slow client skips grid points: the feed is conflated, it never catches up.
            grid.move_on(clock.now())
            await clock.sleep(grid.due - clock.now())

    async def _tick(self) -> None:
        """One grid point: everything that is due now."""
        now = self._world.clock.now()
        if self._world.outages.at(self._world.clock.wall()) is Outage.WEEKEND:
            raise Closing(_MAINTENANCE_CODE)
        if self._wire.login is None or self._announced is None:
            if self._wire.fault(FaultKind.MAINTENANCE) is not None:
                return
            await self._greet_if_authenticated(now)
        else:
            await self._announce_session(self._wire.login, self._announced, now)
        await self._beat(now)
        if self._feeds is None or self._announced is None or not self._announced.authenticated:
            return
        for frame in self._feeds.due(now):
            await self._wire.send(frame)

    async def _greet_if_authenticated(self, now: float) -> None:
        login = self._face.login_of(self._request)
        if login is None or not self._may_use(login):
            return
        status = login.status(now)
        if not status.authenticated:
            return
        self._wire.login = login
        user, world = login.user, self._world
        parameters = world.behaviour.greeting
        for message in greeting(user, login.session_id, status, parameters, self._luck):
            await self._wire.send(shapes.encode(message))
        self._feeds = Feeds(world, login, self, self._luck)
        self._answers = Answers(world, login, self._feeds)
        self._announced = status
        self._heartbeats = self._heartbeats_from(now + world.behaviour.heartbeat_every)
        if not self._wire.dead:
            world.outlets(user.username).add(self._wire)
        early, self._early = self._early, []
        for text in early:
            await self._obey(text)

    def _heartbeats_from(self, first: float) -> Grid:
        return Grid(first, self._world.behaviour.heartbeat_every)

    def _may_use(self, login: Login) -> bool:
        if not self._world.behaviour.greeting.require_session_cookie:
            return True
        return claimed_session(self._request.headers.get("Cookie", "")) == login.session_id

    async def _announce_session(self, login: Login, before: SessionStatus, now: float) -> None:
        status = login.status(now)
        if status is before:
            return
        for piece in shapes.sts_pieces(before, status):
            await self._wire.send(shapes.encode(piece))
        ends = before.authenticated and not status.authenticated
        if ends and self._feeds is not None and not self._world.behaviour.ladders.survive_session:
            self._feeds.end()
        self._announced = status

    async def _beat(self, now: float) -> None:
        if not self._heartbeats.is_due(now):
            return
        # Recorded stamps are exactly 10,000 ms apart, whenever the frame is sent.
        point = self._heartbeats.move_on(now) + self._wall_offset
        if self._announced is None:
            await self._wire.send(WAITING)
        elif self._wire.fault(FaultKind.NO_HEARTBEATS) is None:
            skew = self._wire.fault(FaultKind.HEARTBEAT_SKEW)
            stamp = round((point + (0.0 if skew is None else skew.number_of("skew"))) * 1000)
            await self._wire.send(shapes.encode({"topic": "system", "hb": stamp}))

    # What comes in.

    async def _hear(self, text: str) -> None:
        closed = self._wire.fault(FaultKind.CLOSED_DURING_SEND)
        if closed is not None:
            raise Closing(int(closed.number_of("code")))
        if self._answers is not None:
            await self._obey(text)
        elif self._face.drops_early_messages or len(self._early) >= _MOST_EARLY_MESSAGES:
            logger.debug("a message before the greeting is dropped")
        else:
            self._early.append(text)

    async def _obey(self, text: str) -> None:
        if self._answers is None or self._announced is None:
            return
        now, authenticated = self._world.clock.now(), self._announced.authenticated
        for frame in await self._answers.to(text, now, authenticated=authenticated):
            await self._wire.send(frame)

    # What happens to it.

    async def _suffer(self) -> None:
        """Instant faults, one after the other."""
        while True:
            fault = await self._happened.get()
            if fault.kind is FaultKind.WEBSOCKET_CLOSED:
                raise Closing(int(fault.number_of("code")))
            if fault.kind is FaultKind.MAINTENANCE:
                raise Closing(_MAINTENANCE_CODE)
            if self._feeds is not None:
                self._feeds.suffer(fault, self._world.clock.now())
                for frame in frames_of(fault):
                    await self._wire.send(frame)

    def _leave(self) -> None:
        if self._wire.login is not None:
            self._world.outlets(self._wire.login.user.username).remove(self._wire)
            self._wire.login.ladders.leave(self)
