"""Pods for tests of the browser login: a paper user, its password file, gateway and pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from aiohttp import web

from ib_platform.config import PaperUser
from ib_platform.config_gateway import BrowserLogin, Credentials, Locators
from ib_platform.gateway.login import log_in, longest_login
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.login_outcome import LoginResult
from ib_platform.ibkr.tls import server_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.world import World
from ib_platform_tests.ports import free_port
from ib_platform_tests.simulator.login_client import PASSWORD, USERS, logged_out

NOW = datetime(2026, 11, 25, 14, 30, 15, 123456, tzinfo=UTC)
PATIENT = BrowserLogin(page_timeout=60, step_timeout=60)
"""For logins that get an answer: no test depends on how fast it comes."""
HASTY = BrowserLogin(page_timeout=10, step_timeout=10)
"""For logins that get none."""


@dataclass(frozen=True)
class LoginPod:
    """A paper user whose password lies in a file, and where its gateway is expected."""

    user: PaperUser
    paths: PodPaths

    async def log_in(
        self,
        settings: BrowserLogin = PATIENT,
        *,
        username: str | None = None,
        password: str | None = None,
        now: datetime = NOW,
        locators: Mapping[str, str] | None = None,
    ) -> LoginResult:
        """``password``: replaces what is in the file. ``locators``: differ from the defaults.

        Raises TimeoutError when it takes longer than it may: every test is a test of that.
        """
        user = self.user.model_copy(update={} if username is None else {"username": username})
        if password is not None:
            self.password_file.write_text(password)
        chosen = settings.model_copy(update={"locators": Locators(**(locators or {}))})
        async with asyncio.timeout(longest_login(chosen)):
            return await log_in(user, chosen, self.paths, now=lambda: now)

    @property
    def password_file(self) -> Path:
        assert self.user.credentials is not None
        assert self.user.credentials.password_file is not None
        return self.user.credentials.password_file

    @property
    def failures(self) -> list[str]:
        folder = self.paths.login_failures
        return sorted(file.name for file in folder.iterdir()) if folder.exists() else []


def login_pod(folder: Path, port: int | None = None) -> LoginPod:
    """The pod ``alpha`` of papera01; its certificate is made."""
    paths = PodPaths(folder / "state", "alpha")
    ensure_certificate(paths.certificate, paths.private_key)
    password_file = folder / "password"
    password_file.touch(mode=0o600)
    password_file.write_text(PASSWORD)
    user = PaperUser(
        name="alpha",
        username="papera01",
        account="DU1000001",
        gateway_port=port or free_port(),
        gateway_health_port=free_port(),
        health_port=free_port(),
        credentials=Credentials(password_file=password_file),
    )
    return LoginPod(user, paths)


@asynccontextmanager
async def simulated_pod(
    folder: Path, behaviour: Behaviour | None = None
) -> AsyncIterator[tuple[LoginPod, GatewayFace]]:
    """A pod whose gateway is the simulator, listening; nobody is logged in."""
    pod = login_pod(folder)
    face = GatewayFace(World(USERS, seed=7, behaviour=behaviour or logged_out()), USERS[0])
    async with gateway_listening(
        face,
        certificate=pod.paths.certificate,
        private_key=pod.paths.private_key,
        port=pod.user.gateway_port,
    ):
        yield pod, face


@asynccontextmanager
async def pod_with_page(
    folder: Path, html: str, status: int = 200, asked: list[str] | None = None
) -> AsyncIterator[LoginPod]:
    """A pod whose gateway answers every request with this page. ``asked`` takes their paths."""
    pod = login_pod(folder)

    async def answer(request: web.Request) -> web.Response:
        if asked is not None:
            asked.append(request.path)
        return web.Response(text=html, status=status, content_type="text/html")

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application)
    await runner.setup()
    try:
        tls = server_ssl_context(pod.paths.certificate, pod.paths.private_key)
        await web.TCPSite(runner, "127.0.0.1", pod.user.gateway_port, ssl_context=tls).start()
        yield pod
    finally:
        await runner.cleanup()


class SilentListener:
    """Accepts connections and says nothing."""

    def __init__(self) -> None:
        self._connected = asyncio.Event()

    async def connection_of(self, login: asyncio.Task[Any]) -> None:
        """Wait until the browser of ``login`` has connected; fail when the login ends instead."""
        connected = asyncio.create_task(self._connected.wait())
        done, _ = await asyncio.wait({connected, login}, return_when=asyncio.FIRST_COMPLETED)
        assert connected in done, login.result()

    async def hold(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connected.set()
        with contextlib.suppress(ConnectionError):
            while await reader.read(4096):
                pass
        writer.close()


@asynccontextmanager
async def silent_listener(port: int) -> AsyncIterator[SilentListener]:
    listener = SilentListener()
    server = await asyncio.start_server(listener.hold, "127.0.0.1", port)
    async with server:
        yield listener


def browser_processes() -> list[psutil.Process]:
    """Drivers and Chromiums among the descendants of this process, zombies too."""
    return [p for p in psutil.Process().children(recursive=True) if kind_of(p) is not None]


def kind_of(process: psutil.Process) -> str | None:
    """``driver``, ``chromium``, ``zombie`` or None: something else, or gone."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return "zombie"
        command = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return None
    if "run-driver" in command:
        return "driver"
    return "chromium" if "chrom" in command else None


def form(script: str = "", *, extra: str = "", busy: bool = False) -> str:
    """A page with a login form of the third generation; ``script`` is run by its button."""
    ready = "while (true) {}" if busy else ""
    return f"""<!DOCTYPE html><title>Login</title><body class="login">
<input id="xyz-field-username" name="username"><input type="password" name="password">
{extra}<button type="submit" onclick="{script}">Log in</button><p class="xyz-errormessage"></p>
<script>{ready}
function say(text) {{ document.querySelector(".xyz-errormessage").textContent = text; }}
</script></body>"""
