"""A real TLS server on 127.0.0.1 that answers as a test tells it to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import server_ssl_context

AUTHENTICATED = {"authenticated": True, "connected": True, "competing": False}


@dataclass
class TinyGateway:
    """``answers``: (status, body) by path, or a list of them, of which the last one stays;
    ``reactions``: called when a path was asked for; ``socket_messages``: what a websocket is sent
    first; ``socket_answers``: what one is sent when this text has come.
    ``requests`` and ``received`` record what came in; ``socket_cookie`` the websocket's cookie."""

    certificate: Path
    private_key: Path
    port: int = 0
    answers: dict[str, Any] = field(default_factory=dict)
    reactions: dict[str, Callable[[], None]] = field(default_factory=dict)
    socket_messages: list[str | bytes] = field(default_factory=list)
    socket_answers: dict[str, list[str]] = field(default_factory=dict)
    close_after_messages: bool = False
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    requests: list[tuple[str, str, str]] = field(default_factory=list)
    received: list[str] = field(default_factory=list)
    socket_cookie: str | None = None

    async def _answer(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix("/v1/api")
        body = (await request.read()).decode()
        self.requests.append((request.method, request.path_qs.removeprefix("/v1/api"), body))
        scripted = self.answers.get(path, (404, {"error": "not scripted"}))
        if isinstance(scripted, list):
            scripted = scripted.pop(0) if len(scripted) > 1 else scripted[0]
        status, answer = scripted
        self.reactions.get(path, lambda: None)()
        if isinstance(answer, str):
            return web.Response(status=status, text=answer)
        return web.json_response(answer, status=status)

    async def _websocket(self, request: web.Request) -> web.WebSocketResponse:
        self.socket_cookie = request.headers.get("Cookie")
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.sockets.append(socket)
        for message in self.socket_messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_str(message)
        if self.close_after_messages:
            await socket.close()
        async for incoming in socket:
            if incoming.type is WSMsgType.TEXT:
                self.received.append(incoming.data)
                for answer in self.socket_answers.get(incoming.data, []):
                    await socket.send_str(answer)
        return socket


def logged_in(login_type: int, is_paper: bool, account: str) -> dict[str, tuple[int, Any]]:
    """Answers of an authenticated gateway whose login is paper or live."""
    return {
        "/tickle": (200, {"session": "cafe", "iserver": {"authStatus": AUTHENTICATED}}),
        "/iserver/auth/status": (200, AUTHENTICATED),
        "/sso/validate": (200, {"LOGIN_TYPE": login_type, "RESULT": True}),
        "/iserver/accounts": (200, {"accounts": [account], "isPaper": is_paper}),
        "/logout": (200, {"status": True}),
    }


@asynccontextmanager
async def tiny_gateway(folder: Path, port: int = 0) -> AsyncIterator[TinyGateway]:
    """Serve inside the block, with a certificate of its own in ``folder``."""
    gateway = TinyGateway(folder / "gateway.pem", folder / "gateway.key")
    ensure_certificate(gateway.certificate, gateway.private_key)
    app = web.Application()
    app.router.add_get("/v1/api/ws", gateway._websocket)
    app.router.add_route("*", "/v1/api/{path:.*}", gateway._answer)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    tls = server_ssl_context(gateway.certificate, gateway.private_key)
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    gateway.port = runner.addresses[0][1]
    try:
        yield gateway
    finally:
        await runner.cleanup()
