"""A client of the simulator for tests: real sockets, TLS pinned to the simulator's certificate."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from ib_platform.config import PaperUser
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour, QuoteParameters
from ib_platform.simulator.clock import Clock
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.ladder_view import LadderParameters
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.pacing import PacingParameters
from ib_platform.simulator.session_states import SessionParameters
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World

TIMEOUT = 60.0
USER = PaperUser(
    name="alpha",
    username="papera01",
    account="DU1000001",
    depth_slots=3,
    gateway_port=5000,
    gateway_health_port=5001,
    health_port=5002,
)
# Real time scaled down: nothing in the simulator depends on the absolute values.
QUICK = Behaviour(
    cadence=0.02,
    greeting_delay=0.02,
    heartbeat_every=0.1,
    session=SessionParameters(
        authentication_delay=0.05, login_delay=(0.05, 0.1), wait_share=0.0, lock_after=5
    ),
    pacing=PacingParameters(requests_per_second=1e6, endpoint_limits=False),
    market=MarketParameters(quiet_rate=60.0, busy_rate=100.0),
    ladder=LadderParameters(answer_delay=(0.05, 0.1), depth_delay=(0.1, 0.2)),
    quotes=QuoteParameters(sampled_every=0.05, first_twice_share=0.0, bare_first_share=0.0),
)


class SteppedClock:
    """The time of day passes when a test says so; sleeps are the machine's, so that sockets
    go on working."""

    def __init__(self, now: float = 1_000.0, wall: float = 1_800_000_000.0) -> None:
        self._now, self._wall = now, wall

    def now(self) -> float:
        return self._now

    def wall(self) -> float:
        return self._wall

    def advance(self, seconds: float) -> None:
        self._now += seconds
        self._wall += seconds

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass
class Client:
    """REST calls and websockets to one port."""

    http: aiohttp.ClientSession
    port: int
    sockets: list[aiohttp.ClientWebSocketResponse[bool]] = field(default_factory=list)

    async def call(
        self, method: str, path: str, *, prefix: str = "/v1/api", **options: Any
    ) -> tuple[int, bytes]:
        url = f"https://127.0.0.1:{self.port}{prefix}{path}"
        async with self.http.request(method, url, **options) as response:
            return response.status, await response.read()

    async def json(self, method: str, path: str, **options: Any) -> Any:
        status, body = await self.call(method, path, **options)
        assert status == 200, (status, body)
        assert b'": ' not in body, "IBKR answers compact JSON"
        return json.loads(body)

    async def authenticate(self) -> None:
        """Start the brokerage session and wait for it."""
        await self.json("POST", "/iserver/auth/ssodh/init", json={"publish": True})
        async with asyncio.timeout(TIMEOUT):
            while not (await self.json("GET", "/iserver/auth/status"))["authenticated"]:
                pass

    async def connect(
        self, path: str = "/v1/api/ws", **options: Any
    ) -> aiohttp.ClientWebSocketResponse[bool]:
        url = f"wss://127.0.0.1:{self.port}{path}"
        socket = await self.http.ws_connect(url, **{"max_msg_size": 0} | options)
        self.sockets.append(socket)
        return socket

    async def greeted(self) -> aiohttp.ClientWebSocketResponse[bool]:
        """A websocket that has shown its ``sts``."""
        socket = await self.connect()
        await receive_until(socket, lambda message: message.get("topic") == "sts")
        return socket


async def receive(socket: aiohttp.ClientWebSocketResponse[bool]) -> bytes:
    """Payload of the next frame, which must be binary."""
    message = await socket.receive(timeout=TIMEOUT)
    assert message.type is aiohttp.WSMsgType.BINARY, message
    data: bytes = message.data
    return data


async def receive_until(
    socket: aiohttp.ClientWebSocketResponse[bool], wanted: Callable[[dict[str, Any]], bool]
) -> list[dict[str, Any]]:
    """Messages up to and including the first wanted one."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(TIMEOUT):
        while not messages or not wanted(messages[-1]):
            messages.append(json.loads(await receive(socket)))
    return messages


async def slots_free(client: Client, face: GatewayFace) -> None:
    """Wait until no ladder is open."""
    async with asyncio.timeout(TIMEOUT):
        while face.login is not None and len(face.login.ladders):
            await client.json("GET", "/simulator/record")


def of_topic(prefix: str) -> Callable[[dict[str, Any]], bool]:
    return lambda message: str(message.get("topic", "")).startswith(prefix)


def is_heartbeat(message: dict[str, Any]) -> bool:
    return "hb" in message


@asynccontextmanager
async def client_of(port: int, context: ssl.SSLContext) -> AsyncIterator[Client]:
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as http:
        client = Client(http, port)
        try:
            yield client
        finally:
            for socket in client.sockets:
                await socket.close()


@asynccontextmanager
async def simulated(
    folder: Path, *, slots: int = 3, behaviour: Behaviour = QUICK, clock: Clock | None = None
) -> AsyncIterator[tuple[Client, GatewayFace]]:
    """A listening gateway in this process, and a client of it."""
    certificate, key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, key)
    user = SimulatedUser.of(USER.model_copy(update={"depth_slots": slots}))
    world = World([user], seed=7, behaviour=behaviour, clock=clock)
    face = GatewayFace(world, user)
    async with (
        gateway_listening(face, certificate=certificate, private_key=key, port=0) as listener,
        client_of(listener.port, client_ssl_context(certificate)) as client,
    ):
        yield client, face


def with_session(**changes: Any) -> Behaviour:
    return replace(QUICK, session=replace(QUICK.session, **changes))
