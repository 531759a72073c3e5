"""What stands before every endpoint: injected faults, then what IBKR checks itself.

Errors are as inconsistent as IBKR's (Web API page, section 2.4): 401 with an empty body without an
SSO login, 400 ``no bridge`` on ``/iserver`` without a brokerage session, 411 for a POST without
Content-Length, 429 for too many requests, 503 with nothing while servers are away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.faces import Face
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.faults_of_transport import HTTP_BODIES
from ib_platform.simulator.login import Login
from ib_platform.simulator.outages import Outage

PREFIXES = ("/v1/api", "/v1/portal")
RECORD_PATH = "/simulator/record"
SOCKET_PATH = "/ws"
LOGIN = web.RequestKey("login", Login)
"""Key of the request under which handlers find their login."""
_WITHOUT_BRIDGE = ("/iserver/auth/", "/iserver/reauthenticate")
_HANG_POLL_SECONDS = 0.1
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOO_MANY = {"error": "Too many requests", "statusCode": 429}
NO_SESSION = {"error": "no session"}


def reply(body: object, status: int = 200) -> web.Response:
    """Compact JSON."""
    return web.Response(
        body=shapes.encode(body), status=status, content_type="application/json", charset="utf-8"
    )


class Guard:
    """The middleware of one face."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._world = face.world

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        path = without_prefix(request.path)
        if path == RECORD_PATH:
            return await handler(request)
        answer = await self._at_the_gateway(request) or await self._at_ibkr(request, path)
        if answer is not None:
            return answer
        unknown = request.match_info.http_exception
        if unknown is not None and unknown.status == HTTPStatus.NOT_FOUND:
            return reply({"error": "Resource not found", "statusCode": 404}, 404)
        if unknown is not None or not request.path.startswith(PREFIXES):
            return await handler(request)
        return self._for_this_login(request, path) or await handler(request)

    async def _at_the_gateway(self, request: web.Request) -> web.Response | None:
        """Answers that never leave the machine."""
        while self._fault(FaultKind.GATEWAY_HANGS, request) is not None:
            if request.transport is None or request.transport.is_closing():
                return web.Response()  # Nobody waits for it any more.
            # In the machine's time: simulated time may fly, or stand still.
            await asyncio.sleep(_HANG_POLL_SECONDS)
        if (denied := self._fault(FaultKind.ACCESS_DENIED, request)) is not None:
            return web.Response(text="Access Denied", status=int(denied.number_of("status")))
        if request.method == "POST" and request.content_length is None:
            return web.Response(status=HTTPStatus.LENGTH_REQUIRED)
        return None

    async def _at_ibkr(self, request: web.Request, path: str) -> web.Response | None:
        """Answers of IBKR's front servers, before anybody asks who calls."""
        for kind in (FaultKind.MAINTENANCE, FaultKind.HTTP_ERROR):
            fault = self._fault(kind, request)
            if fault is not None and path.startswith(_path_of(fault)):
                await self._world.clock.sleep(fault.number_of("latency"))
                return _failed(fault)
        if (slow := self._fault(FaultKind.SLOW_ANSWERS, request)) is not None:
            await self._world.clock.sleep(slow.number_of("latency"))
        outage = self._world.outages.at(self._world.clock.wall())
        if outage is Outage.WEEKEND or (outage is Outage.NIGHTLY and path.startswith("/iserver")):
            away = self._world.outages.parameters
            await self._world.clock.sleep(away.latency)
            return web.Response(status=away.status)
        if request.path.startswith(PREFIXES) and not self._is_paced(request, path):
            return reply(TOO_MANY, HTTPStatus.TOO_MANY_REQUESTS)
        return None

    def _is_paced(self, request: web.Request, path: str) -> bool:
        limited = self._fault(FaultKind.REQUEST_LIMIT, request)
        return self._world.pacing.allows(
            self._face.address_of(request),
            self._face.username_of(request) or "",
            path,
            self._world.clock.now(),
            limit=None if limited is None else limited.number_of("per_second"),
        )

    def _for_this_login(self, request: web.Request, path: str) -> web.Response | None:
        """Who calls, and may they? Whoever may, is noted in the request."""
        now = self._world.clock.now()
        login = self._face.login_of(request)
        if login is not None:
            login.sessions.request_seen(login.token, now)
        if path == SOCKET_PATH:
            return None
        if login is None or not login.status(now).sso:
            if self._fault(FaultKind.NO_SESSION_TEXT, request) is not None:
                return reply(NO_SESSION)
            return web.Response(status=HTTPStatus.UNAUTHORIZED)
        request[LOGIN] = login
        if not path.startswith("/iserver/") or path.startswith(_WITHOUT_BRIDGE):
            return None
        broken = self._fault(FaultKind.NO_BRIDGE, request) is not None
        if broken or not login.sessions.has_bridge(login.token, now):
            return reply(shapes.NO_BRIDGE, HTTPStatus.BAD_REQUEST)
        return None

    def _fault(self, kind: FaultKind, request: web.Request) -> Fault | None:
        return self._world.fault(kind, self._face.username_of(request))


def _failed(fault: Fault) -> web.Response:
    """An injected error: mostly with nothing in it, as IBKR's are."""
    status = int(fault.number_of("status"))
    text = HTTP_BODIES[str(fault["body"])] if fault.kind is FaultKind.HTTP_ERROR else None
    if text is None:
        return web.Response(status=status)
    unknown = {"error": text} if text == "unknown" else {"error": text, "statusCode": status}
    return reply(unknown, status)


def _path_of(fault: Fault) -> str:
    return str(fault["path"]) if fault.kind is FaultKind.HTTP_ERROR else ""


def without_prefix(path: str) -> str:
    """``/v1/api/tickle`` -> ``/tickle``."""
    for prefix in PREFIXES:
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return path
