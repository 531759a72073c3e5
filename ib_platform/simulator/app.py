"""The simulator as a process: one TLS server on 127.0.0.1 = one gateway of one paper user."""

from __future__ import annotations

import asyncio
import errno
import logging
import signal
import weakref
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import psutil
from aiohttp import WSCloseCode, web

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError, PlatformInUseError
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import server_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator.backend import Backend, Behaviour
from ib_platform.simulator.capture import Capture, load_capture
from ib_platform.simulator.catalogue import PRODUCTS
from ib_platform.simulator.connection import Connection
from ib_platform.simulator.replay import Replay
from ib_platform.simulator.rest import PREFIXES, SOCKET_PATH, Rest

logger = logging.getLogger(__name__)
HOST = "127.0.0.1"
_LARGEST_CLIENT_MESSAGE = 256 * 1024
_SHUTDOWN_SECONDS = 2.0
_PARENT_POLL_SECONDS = 0.5


def build_app(backend: Backend) -> web.Application:
    """The application of one simulated gateway."""
    rest = Rest(backend)
    app = web.Application(middlewares=[rest.guard])
    sockets: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    async def websocket(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            timeout=_SHUTDOWN_SECONDS, max_msg_size=_LARGEST_CLIENT_MESSAGE, compress=False
        )
        await socket.prepare(request)
        sockets.add(socket)
        await Connection(backend, socket).run()
        return socket

    async def close_sockets(_: web.Application) -> None:
        closing = [socket.close(code=WSCloseCode.GOING_AWAY) for socket in set(sockets)]
        await asyncio.gather(*closing, return_exceptions=True)

    app.add_routes(rest.routes())
    app.add_routes([web.get(prefix + SOCKET_PATH, websocket) for prefix in PREFIXES])
    app.on_shutdown.append(close_sockets)
    return app


@asynccontextmanager
async def listening(
    backend: Backend, *, certificate: Path, private_key: Path, port: int
) -> AsyncIterator[int]:
    """Serve ``backend`` inside the block; yields the port (0 asks for a free one).

    Raises:
        PlatformInUseError: the port is taken.
        ConfigurationError: the certificate cannot be used.
    """
    context = server_ssl_context(certificate, private_key)
    runner = web.AppRunner(build_app(backend), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, HOST, port, ssl_context=context).start()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise PlatformInUseError(
                f"port {port} of {HOST} cannot be used for the simulated gateway of paper user "
                f"{backend.user.name} ({error.strerror}). Stop what uses it, or set another "
                f"gateway_port."
            ) from error
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def run_simulator(
    config: PlatformConfig,
    paper_user: str,
    *,
    certificate: Path,
    private_key: Path,
    port: int | None = None,
    behaviour: Behaviour | None = None,
) -> None:
    """Serve the gateway of ``paper_user`` until cancelled; prints one line when it listens.

    The certificate is made if it is missing. What is played comes from
    ``config.gateway.simulator``.

    Raises:
        ConfigurationError: unknown paper user, or a capture that cannot be played; nothing listens.
        PlatformInUseError: the port is taken.
    """
    user = config.paper_user(paper_user)
    replay = _replay_of(config, paper_user)
    ensure_certificate(certificate, private_key)
    backend = Backend(user, seed=config.gateway.simulator.seed, replay=replay, behaviour=behaviour)
    async with listening(
        backend,
        certificate=certificate,
        private_key=private_key,
        port=user.gateway_port if port is None else port,
    ) as actual:
        plays = "a synthetic market" if replay is None else f"{replay.total} recorded messages"
        print(f"simulated IBKR of {paper_user} on https://{HOST}:{actual}, {plays}", flush=True)
        if replay is not None:
            await replay.run(backend.outlets)
        await asyncio.Event().wait()


def serve(
    config: PlatformConfig,
    paper_user: str,
    *,
    certificate: Path | None = None,
    private_key: Path | None = None,
    port: int | None = None,
    parent_pid: int | None = None,
) -> None:
    """``ib-platform simulate``: serve until SIGTERM or SIGINT, then return.

    Without files the pod's own certificate is used. With ``parent_pid`` it also ends when that
    process has ended. Raises like ``run_simulator``.
    """
    paths = PodPaths(config.runtime.state_dir, paper_user)
    simulation = run_simulator(
        config,
        paper_user,
        certificate=certificate or paths.certificate,
        private_key=private_key or paths.private_key,
        port=port,
    )
    asyncio.run(_until_told_to_end(simulation, parent_pid))


async def _until_told_to_end(
    simulation: Coroutine[None, None, None], parent_pid: int | None
) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(simulation)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    watching = asyncio.create_task(_cancel_without_parent(serving, parent_pid))
    try:
        with suppress(asyncio.CancelledError):
            await serving
    finally:
        watching.cancel()


async def _cancel_without_parent(serving: asyncio.Task[None], parent_pid: int | None) -> None:
    """An orphan must not keep the port. Polled: no portable signal tells of a parent's end."""
    if parent_pid is None:
        return
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(parent_pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(_PARENT_POLL_SECONDS)
    logger.warning("process %d has ended: so does its simulator", parent_pid)
    serving.cancel()


def _replay_of(config: PlatformConfig, paper_user: str) -> Replay | None:
    """The replay that this paper user plays, if it is the one."""
    options = config.gateway.simulator
    plays = options.replay_paper_user or config.paper_users[0].name
    if options.replay is None or plays != paper_user:
        return None
    capture = load_capture(options.replay)
    _require_known_symbol(capture, options.replay)
    return Replay(capture, speed=options.speed, max_pause=options.max_pause)


def _require_known_symbol(capture: Capture, path: Path) -> None:
    known = sorted(product.symbol for product in PRODUCTS)
    if capture.symbol not in known:
        raise ConfigurationError(
            f"{path}: plays {capture.symbol} (conid {capture.conid}), which the simulator does "
            f"not list. Known symbols: {', '.join(known)}"
        )
