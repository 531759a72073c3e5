"""The REST endpoints that our programs use, under ``/v1/api`` and ``/v1/portal``.

Errors are as inconsistent as IBKR's (Web API page, section 2.4): 401 with an empty body without an
SSO login, 400 ``no bridge`` on ``/iserver`` without a brokerage session, 411 for a POST without
Content-Length. ``/v1/api/simulator/record`` is the simulator's own: IBKR has nothing like it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.backend import Backend

PREFIXES = ("/v1/api", "/v1/portal")
RECORD_PATH = "/simulator/record"
SOCKET_PATH = "/ws"
_WITHOUT_BRIDGE = ("/iserver/auth/", "/iserver/reauthenticate")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def reply(body: object, status: int = 200) -> web.Response:
    """Compact JSON."""
    return web.Response(
        body=shapes.encode(body), status=status, content_type="application/json", charset="utf-8"
    )


class Rest:
    """Handlers over one backend."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def routes(self) -> list[web.RouteDef]:
        """All routes but the websocket's."""
        both: dict[str, _Handler] = {
            "/tickle": self.tickle,
            "/iserver/auth/status": self.auth_status,
        }
        posts: dict[str, _Handler] = {
            "/iserver/auth/ssodh/init": self.ssodh_init,
            "/iserver/reauthenticate": self.reauthenticate,
            "/logout": self.logout,
        }
        gets: dict[str, _Handler] = {
            "/sso/validate": self.sso_validate,
            "/iserver/accounts": self.accounts,
            "/portfolio/accounts": self.portfolio_accounts,
            "/trsrv/futures": self.futures,
            r"/iserver/contract/{conid:[0-9]+}/info": self.contract_info,
            r"/iserver/contract/{conid:[0-9]+}/info-and-rules": self.contract_info_and_rules,
            "/iserver/marketdata/unsubscribeall": self.unsubscribe_all,
            RECORD_PATH: self.record,
        }
        return [
            route
            for prefix in PREFIXES
            for route in (
                *(web.get(prefix + path, handler) for path, handler in (both | gets).items()),
                *(web.post(prefix + path, handler) for path, handler in (both | posts).items()),
            )
        ]

    @web.middleware
    async def guard(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """What IBKR checks before any endpoint: length, path, login, brokerage session."""
        if request.method == "POST" and request.content_length is None:
            return web.Response(status=411)
        unknown = request.match_info.http_exception
        if unknown is not None and unknown.status == 404:
            return reply({"error": "Resource not found", "statusCode": 404}, 404)
        path = _without_prefix(request.path)
        if unknown is not None or path == RECORD_PATH:
            return await handler(request)
        now = self._backend.clock()
        self._backend.session.request_seen(now)
        status = self._backend.session.status(now)
        if path == SOCKET_PATH:
            return await handler(request)
        if not status.sso:
            return web.Response(status=401)
        needs_bridge = path.startswith("/iserver/") and not path.startswith(_WITHOUT_BRIDGE)
        if needs_bridge and not status.authenticated:
            return reply(shapes.NO_BRIDGE, 400)
        return await handler(request)

    async def tickle(self, _: web.Request) -> web.Response:
        backend, now = self._backend, self._backend.clock()
        expires, status = backend.session.sso_expires_ms(now), backend.session.status(now)
        return reply(shapes.tickle(backend.user, backend.session_id, expires, status))

    async def auth_status(self, _: web.Request) -> web.Response:
        status = self._backend.session.status(self._backend.clock())
        return reply(shapes.auth_status(status) | {"fail": ""})

    async def ssodh_init(self, request: web.Request) -> web.Response:
        """Starts the brokerage session. An empty body counts as publish: ibeam sends one."""
        body = await request.read()
        if body.strip() and not _publishes(body):
            return reply(shapes.INIT_REFUSED, 500)
        now = self._backend.clock()
        self._backend.session.start_brokerage(now)
        return reply(shapes.ssodh_answer(self._backend.session.status(now)))

    async def reauthenticate(self, _: web.Request) -> web.Response:
        self._backend.session.start_brokerage(self._backend.clock())
        return reply({"message": "triggered"})

    async def logout(self, _: web.Request) -> web.Response:
        self._backend.session.log_out()
        return reply({"status": True})

    async def sso_validate(self, _: web.Request) -> web.Response:
        backend = self._backend
        return reply(
            shapes.sso_validate(
                backend.user,
                login_ms=backend.login_ms,
                accessed_ms=backend.wall_ms(),
                expires_ms=backend.session.sso_expires_ms(backend.clock()),
            )
        )

    async def accounts(self, _: web.Request) -> web.Response:
        return reply(shapes.brokerage_accounts(self._backend.user, self._backend.session_id))

    async def portfolio_accounts(self, _: web.Request) -> web.Response:
        return reply(shapes.portfolio_accounts(self._backend.user))

    async def futures(self, request: web.Request) -> web.Response:
        """Unknown symbols have no key in the answer."""
        wanted = request.query.get("symbols", "").split(",")
        months = {symbol: self._backend.catalogue.months_of(symbol) for symbol in wanted}
        return reply({symbol: shapes.futures(found) for symbol, found in months.items() if found})

    async def contract_info(self, request: web.Request) -> web.Response:
        return self._contract(request, with_rules=False)

    async def contract_info_and_rules(self, request: web.Request) -> web.Response:
        return self._contract(request, with_rules=True)

    def _contract(self, request: web.Request, *, with_rules: bool) -> web.Response:
        text = request.match_info["conid"]
        contract = self._backend.catalogue.get(int(text)) if len(text) <= 10 else None
        if contract is None:
            return reply({"error": f"No contract found for conid {text[:20]}"}, 404)
        rules = {"rules": shapes.contract_rules(contract)} if with_rules else {}
        return reply(shapes.contract_info(contract) | rules)

    async def unsubscribe_all(self, _: web.Request) -> web.Response:
        """Ends leftover quotes of earlier processes; here these ended with their websocket."""
        return reply({"unsubscribed": True})

    async def record(self, _: web.Request) -> web.Response:
        return reply(self._backend.record())


def _without_prefix(path: str) -> str:
    for prefix in PREFIXES:
        if path.startswith(prefix):
            return path.removeprefix(prefix)
    return path


def _publishes(body: bytes) -> bool:
    """Whether a JSON or form body says publish."""
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        form = parse_qs(body.decode("utf-8", "replace"))
        return form.get("publish") == ["true"]
    return isinstance(decoded, dict) and decoded.get("publish") is True
