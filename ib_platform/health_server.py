"""Plain HTTP health endpoint of a pod process: five GET routes, no commands, no secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from ib_platform.errors import PlatformInUseError


@dataclass(frozen=True)
class Probes:
    """What the routes answer. Each is a cheap look at state in memory and never does I/O.

    ``startup``, ``live``, ``ready``: True is HTTP 200, False is 503. ``status`` returns the
    msgspec struct whose JSON is the answer of ``/status``.
    """

    startup: Callable[[], bool]
    live: Callable[[], bool]
    ready: Callable[[], bool]
    status: Callable[[], msgspec.Struct]


def _yes_or_no(probe: Callable[[], bool]) -> Callable[[web.Request], object]:
    async def answer(_: web.Request) -> web.Response:
        passed = probe()
        return web.Response(status=200 if passed else 503, text="ok\n" if passed else "no\n")

    return answer


def _application(probes: Probes, registry: CollectorRegistry) -> web.Application:
    async def status(_: web.Request) -> web.Response:
        body = msgspec.json.encode(probes.status())
        return web.Response(body=body, content_type="application/json")

    application = web.Application()
    for name, probe in (
        ("startup", probes.startup),
        ("live", probes.live),
        ("ready", probes.ready),
    ):
        application.router.add_get(f"/{name}", _yes_or_no(probe))  # type: ignore[arg-type]
    application.router.add_get("/status", status)
    application.router.add_get("/metrics", make_aiohttp_handler(registry))
    return application


@asynccontextmanager
async def serve_health(
    port: int, probes: Probes, registry: CollectorRegistry | None = None
) -> AsyncIterator[None]:
    """Serve ``/startup``, ``/live``, ``/ready`` and ``/status`` on 127.0.0.1 inside the block, and
    what ``registry`` collects as ``/metrics``: like the probes, a cheap look at memory.

    Raises:
        PlatformInUseError: something else listens on the port.
    """
    runner = web.AppRunner(
        _application(probes, registry or CollectorRegistry()), access_log=None, shutdown_timeout=1
    )
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
        except OSError as error:
            raise PlatformInUseError(
                f"health port 127.0.0.1:{port} is taken ({error.strerror}). Stop what listens "
                "there, or change the port of this paper user in the configuration."
            ) from error
        yield
    finally:
        await runner.cleanup()
