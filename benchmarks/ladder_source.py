"""A simulated gateway that sends ladder frames at any rate: the other end of the stream benchmarks.

REST, greeting and heartbeats are the simulator's; the frames of the ladders that a client asks for
are made beforehand and sent in turn. A trickle of them comes all the time, until told otherwise, so
that no ladder falls silent. Prints a line of JSON with its port and the conids of the front months
of ``SYMBOLS``, and answers each order, a line of JSON on stdin:

{"frames": 1000, "rate": 100}   send so many at so many a second (0: as fast as they are taken), as
                                soon as a ladder of each symbol was asked for
{"trickle": false}              send nothing by itself, heartbeats included

The answer comes when it is done: ``{"messages": of all kinds so far, "seconds": it took}``.

python -m benchmarks.ladder_source CONFIG PAPER_USER
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from aiohttp import WSMsgType, web

from benchmarks.ladder_cycle import ladder_cycle, websocket_frame
from ib_platform.config import PaperUser, load_config
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import server_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator import shapes
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.greeting import greeting
from ib_platform.simulator.guard import PREFIXES, SOCKET_PATH, Guard
from ib_platform.simulator.listener import Listener
from ib_platform.simulator.rest import rest_routes
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World

SYMBOLS = ("CL", "ES", "NQ")
FRAMES_A_CONTRACT = 2_000
TRICKLE_RATE = 10.0
HEARTBEAT_EVERY = 10.0
SEED = 1
_AT_ONCE = 60
"""Frames of one write where nobody counts the seconds."""


@dataclass
class Order:
    """So many ladder frames at so many a second; rate 0: as fast as they are taken."""

    frames: int
    rate: float


@dataclass
class Asked:
    """The ladders that a client wants, sent in turn."""

    cycles: dict[int, list[bytes]] = field(default_factory=dict)
    _place: int = 0

    def take(self, frames: int) -> Iterator[bytes]:
        """The next frames, as they go over the wire."""
        cycles = list(self.cycles.values())
        for _ in range(frames if cycles else 0):
            turn, which = divmod(self._place, len(cycles))
            frame = cycles[which][turn % len(cycles[which])]
            self._place += 1
            yield frame


class LadderSource:
    """One gateway for one client at a time."""

    def __init__(self, user: PaperUser) -> None:
        behaviour = Behaviour()
        session = replace(behaviour.session, idle_timeout=1e9)
        self._user = SimulatedUser(
            username=user.username,
            password="not used here",
            account=user.account,
            depth_slots=user.depth_slots,
        )
        world = World([self._user], seed=SEED, behaviour=replace(behaviour, session=session))
        self._face = GatewayFace(world, self._user)
        assert self._face.login is not None, "gateways start logged in"
        self._face.login.sessions.start_brokerage(
            self._face.login.token, world.clock.now(), compete=False
        )
        self.messages = 0
        self.trickles = True
        self._asked = Asked()
        self._all_asked = asyncio.Event()
        self._orders: asyncio.Queue[tuple[Order, asyncio.Event]] = asyncio.Queue()

    @property
    def conids(self) -> list[int]:
        """Front months of ``SYMBOLS``."""
        return [self._face.world.catalogue.months_of(symbol)[0].conid for symbol in SYMBOLS]

    def application(self) -> web.Application:
        app = web.Application(middlewares=[Guard(self._face).middleware])
        app.add_routes(rest_routes(self._face))
        app.add_routes([web.get(prefix + SOCKET_PATH, self._websocket) for prefix in PREFIXES])
        return app

    async def carry_out(self, order: Order) -> float:
        """Send them to whoever is connected; the seconds that it took."""
        done, began = asyncio.Event(), time.perf_counter()
        self._orders.put_nowait((order, done))
        await done.wait()
        return time.perf_counter() - began

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        self._asked = Asked()
        self._all_asked.clear()
        await self._greet(socket)
        jobs = [asyncio.create_task(job) for job in (self._pump(request), self._beat(socket))]
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await self._hear(message.data)
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)
        return socket

    async def _greet(self, socket: web.WebSocketResponse) -> None:
        login, world = self._face.login, self._face.world
        assert login is not None
        status = login.status(world.clock.now())
        parameters = world.behaviour.greeting
        for message in greeting(self._user, login.session_id, status, parameters, Random(SEED)):
            await self._send(socket, message)

    async def _beat(self, socket: web.WebSocketResponse) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY)
            if self.trickles:
                now = int(time.time() * 1000)
                await self._send(socket, {"topic": "system", "hb": now})

    async def _send(self, socket: web.WebSocketResponse, message: object) -> None:
        self.messages += 1
        await socket.send_bytes(shapes.encode(message))

    async def _hear(self, text: str) -> None:
        topic, _, rest = text.partition("+")
        if topic == "ubd":
            self._asked.cycles.clear()
            self._all_asked.clear()
        if topic != "sbd":
            return
        conid = int(rest.split("+")[1])
        contract = self._face.world.catalogue.get(conid)
        if contract is not None and conid not in self._asked.cycles:
            frames = await asyncio.to_thread(
                ladder_cycle, contract, self._user.account, FRAMES_A_CONTRACT, SEED
            )
            self._asked.cycles[conid] = [websocket_frame(frame) for frame in frames]
            if len(self._asked.cycles) == len(SYMBOLS):
                self._all_asked.set()

    async def _pump(self, request: web.Request) -> None:
        while True:
            try:
                async with asyncio.timeout(1 / TRICKLE_RATE):
                    order, done = await self._orders.get()
            except TimeoutError:
                await self._trickle(request)
                continue
            try:
                await self._wait_for_ladders(request)
                await self._carry_out(request, order)
            finally:
                done.set()

    async def _wait_for_ladders(self, request: web.Request) -> None:
        while not self._all_asked.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(1 / TRICKLE_RATE):
                    await self._all_asked.wait()
            # The streamer asks for the next ladder when the ones before flow.
            await self._trickle(request)

    async def _trickle(self, request: web.Request) -> None:
        if self.trickles:
            await self._write(request, 1)

    async def _carry_out(self, request: web.Request, order: Order) -> None:
        began = time.perf_counter()
        sent = 0
        while sent < order.frames:
            if order.rate > 0:
                await asyncio.sleep(max(0.0, began + sent / order.rate - time.perf_counter()))
                await self._write(request, 1)
                sent += 1
            else:
                # The other jobs of this loop want their turn too.
                await asyncio.sleep(0)
                frames = min(_AT_ONCE, order.frames - sent)
                await self._write(request, frames)
                sent += frames

    async def _write(self, request: web.Request, frames: int) -> None:
        """Past aiohttp's websocket: a write is the cheaper the more whole frames are in it."""
        wire = list(self._asked.take(frames))
        transport = request.transport
        if not wire or transport is None or transport.is_closing():
            return
        self.messages += len(wire)
        transport.write(b"".join(wire))
        await request.writer.drain()


async def serve(config_file: Path, paper_user: str) -> None:
    config = load_config(config_file)
    user = config.paper_user(paper_user)
    paths = PodPaths(config.runtime.state_dir, user.name)
    ensure_certificate(paths.certificate, paths.private_key)
    source = LadderSource(user)
    tls = server_ssl_context(paths.certificate, paths.private_key)
    purpose = "the ladder source"
    listener = Listener(source.application(), user.gateway_port, purpose=purpose, tls=tls)
    await listener.start()
    print(json.dumps({"port": listener.port, "conids": source.conids}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        wish = json.loads(line)
        source.trickles = wish.get("trickle", source.trickles)
        seconds = 0.0
        if "frames" in wish:
            seconds = await source.carry_out(Order(wish["frames"], wish["rate"]))
        print(json.dumps({"messages": source.messages, "seconds": seconds}), flush=True)
    await listener.close()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2]))
