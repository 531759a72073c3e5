"""Applications and ports of a simulation: one per gateway, one upstream, one for control."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from aiohttp import web

from ib_platform.ibkr.tls import server_ssl_context
from ib_platform.simulator.connection import Connection
from ib_platform.simulator.control import Control
from ib_platform.simulator.drill import Player
from ib_platform.simulator.faces import Face, GatewayFace, UpstreamFace
from ib_platform.simulator.guard import PREFIXES, SOCKET_PATH, Guard
from ib_platform.simulator.listener import SHUTDOWN_SECONDS, Listener, OpenSockets
from ib_platform.simulator.recorded_answers import RecordedAnswers
from ib_platform.simulator.rest import rest_routes
from ib_platform.simulator.rest_upstream import upstream_routes
from ib_platform.simulator.sign_in import SignIn
from ib_platform.simulator.socket_faults import OpenConnections
from ib_platform.simulator.world import World

_LARGEST_CLIENT_MESSAGE = 256 * 1024


def build_app(face: Face) -> web.Application:
    """The application that shows one face: REST and websocket."""
    app = web.Application(middlewares=[Guard(face).middleware, RecordedAnswers(face).middleware])
    sockets = OpenSockets()
    connections = OpenConnections(face.world.faults)

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            timeout=SHUTDOWN_SECONDS,
            max_msg_size=_LARGEST_CLIENT_MESSAGE,
            compress=False,
            autoping=False,
            autoclose=False,
        )
        await socket.prepare(request)
        sockets.add(socket)
        await Connection(face, request, socket, connections).run()
        return socket

    app.add_routes(rest_routes(face) + SignIn(face).routes())
    if isinstance(face, UpstreamFace):
        app.add_routes(upstream_routes(face))
    app.add_routes([web.get(prefix + SOCKET_PATH, websocket) for prefix in PREFIXES])
    app.on_shutdown.append(sockets.close_all)
    return app


@asynccontextmanager
async def gateway_listening(
    face: GatewayFace, *, certificate: Path, private_key: Path, port: int
) -> AsyncIterator[Listener]:
    """Face A on a TLS port inside the block; port 0 asks for a free one.

    Raises:
        PlatformInUseError: the port is taken.
        ConfigurationError: the certificate cannot be used.
    """
    purpose = f"the simulated gateway of {face.user.username}"
    tls = server_ssl_context(certificate, private_key)
    async with _listening(Listener(build_app(face), port, purpose=purpose, tls=tls)) as listener:
        yield listener


@asynccontextmanager
async def upstream_listening(face: UpstreamFace, *, port: int) -> AsyncIterator[Listener]:
    """Face B on a plain HTTP port inside the block. Raises PlatformInUseError."""
    async with _listening(Listener(build_app(face), port, purpose="simulated IBKR")) as listener:
        yield listener


@asynccontextmanager
async def control_listening(
    world: World,
    usernames: Mapping[str, str],
    player: Player,
    *,
    port: int,
) -> AsyncIterator[Listener]:
    """The control endpoint on a plain HTTP port inside the block. Raises PlatformInUseError."""
    app = Control(world, usernames, player).app()
    async with _listening(Listener(app, port, purpose="the simulator's control")) as listener:
        yield listener


@asynccontextmanager
async def _listening(listener: Listener) -> AsyncIterator[Listener]:
    async with AsyncExitStack() as stack:
        stack.push_async_callback(listener.close)
        await listener.start()
        yield listener
