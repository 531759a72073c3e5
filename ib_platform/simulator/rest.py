"""The session endpoints, under ``/v1/api`` and ``/v1/portal``, and all routes of a face.

``/v1/api/simulator/record`` is the simulator's own: IBKR has nothing like it.
"""

from __future__ import annotations

from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.faces import Face
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.guard import LOGIN, PREFIXES, RECORD_PATH, Handler, reply
from ib_platform.simulator.login import Login
from ib_platform.simulator.rest_data import DataEndpoints
from ib_platform.simulator.session_states import InitAnswer


class SessionEndpoints:
    """Handlers of one face. What the guard lets through carries its login in ``request[LOGIN]``."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._world = face.world

    def routes(self) -> dict[tuple[str, str], Handler]:
        """Handlers by method and path without prefix."""
        both: dict[str, Handler] = {
            "/tickle": self.tickle,
            "/iserver/auth/status": self.auth_status,
            "/iserver/reauthenticate": self.reauthenticate,
        }
        posts: dict[str, Handler] = {
            "/iserver/auth/ssodh/init": self.ssodh_init,
            "/logout": self.logout,
        }
        gets: dict[str, Handler] = {
            "/sso/validate": self.sso_validate,
            "/one/user": self.one_user,
            RECORD_PATH: self.record,
        }
        return {("GET", path): handler for path, handler in (both | gets).items()} | {
            ("POST", path): handler for path, handler in (both | posts).items()
        }

    async def tickle(self, request: web.Request) -> web.Response:
        login, now = request[LOGIN], self._world.clock.now()
        fault = self._world.fault(FaultKind.EMPTY_TICKLE, login.user.username)
        if fault is not None and fault["form"] == "empty":
            return web.Response()
        expires = login.sessions.sso_expires_ms(login.token, now)
        body = shapes.tickle(login.user, login.session_id, expires, login.status(now))
        return reply(body if fault is None else shapes.sparse_tickle(body))

    async def auth_status(self, request: web.Request) -> web.Response:
        return reply(shapes.full_auth_status(request[LOGIN].status(self._world.clock.now())))

    async def ssodh_init(self, request: web.Request) -> web.Response:
        """Starts the brokerage session. An empty body counts as publish: ibeam sends one."""
        body = await request.read()
        if body.strip() and not _says(body, "publish"):
            return reply(shapes.INIT_REFUSED, 500)
        login = request[LOGIN]
        refused = self._world.fault(FaultKind.INIT_REFUSED, login.user.username)
        if refused is not None:
            status = int(refused.number_of("status"))
            # As seen: 500 comes with a text, 503 with nothing.
            return reply(shapes.INIT_REFUSED, 500) if status == 500 else web.Response(status=status)
        # A client that says nothing about competing takes what is there: ibeam recovers so.
        compete = _says(body, "compete") or not body.strip()
        answer = self._start(login, compete=compete)
        if answer is InitAnswer.UNAVAILABLE:
            return web.Response(status=self._world.outages.parameters.status)
        if answer is InitAnswer.WAIT:
            return reply({"wait": True})
        return reply(shapes.ssodh_answer(login.status(self._world.clock.now())))

    async def reauthenticate(self, request: web.Request) -> web.Response:
        """Only asks; what becomes of it, is for ``auth/status`` to tell."""
        login = request[LOGIN]
        if self._world.fault(FaultKind.INIT_REFUSED, login.user.username) is None:
            self._start(login, compete=request.query.get("force") == "true")
        return reply({"message": "triggered"})

    def _start(self, login: Login, *, compete: bool) -> InitAnswer:
        return login.sessions.start_brokerage(login.token, self._world.clock.now(), compete=compete)

    async def one_user(self, request: web.Request) -> web.Response:
        return reply(shapes.one_user(request[LOGIN].user))

    async def logout(self, request: web.Request) -> web.Response:
        login = request[LOGIN]
        login.sessions.log_out(login.token)
        return reply({"status": True})

    async def sso_validate(self, request: web.Request) -> web.Response:
        login = request[LOGIN]
        invalid = self._world.fault(FaultKind.SSO_NOT_VALID, login.user.username)
        return reply(
            shapes.sso_validate(
                login.user,
                result=invalid is None,
                login_ms=login.login_ms,
                accessed_ms=self._world.wall_ms(),
                expires_ms=login.sessions.sso_expires_ms(login.token, self._world.clock.now()),
            )
        )

    async def record(self, request: web.Request) -> web.Response:
        return reply(self._world.record(self._face.username_of(request) or ""))


def rest_routes(face: Face) -> list[web.RouteDef]:
    """All REST routes of a face, under both prefixes."""
    handlers = SessionEndpoints(face).routes() | DataEndpoints(face).routes()
    return [
        web.route(method, prefix + path, handler)
        for prefix in PREFIXES
        for (method, path), handler in handlers.items()
    ]


def _says(body: bytes, key: str) -> bool:
    """Whether a JSON or form body sets ``key`` to true."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        form = parse_qs(body.decode("utf-8", "replace"))
        return form.get(key) == ["true"]
    return isinstance(decoded, dict) and decoded.get(key) is True
