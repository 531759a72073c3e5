"""The routes of a browser login, in the order in which a gateway logs them (observed page).

``GET /sso/Login`` (the page) -> ``POST /sso/Authenticator`` twice (the password is proved, see
``srp``; a second factor adds calls) -> ``POST /sso/Dispatcher``: 302 with the ``USERID`` cookie, to
the page that says ``Client login succeeds``. That page proves nothing about the API session.

The field names of ``/sso/Authenticator`` are our own: what IBKR's page sends is not known.
"""

from __future__ import annotations

from urllib.parse import parse_qsl

from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.faces import USER_COOKIE, Face
from ib_platform.simulator.guard import Handler, reply
from ib_platform.simulator.login_desk import LoginDesk, Step, encoded_step
from ib_platform.simulator.login_page import SUCCESS, login_html

LOGIN_URL = "/sso/Login?forwardTo=22&RL=1&ip2loc=US"
AUTHENTICATOR = "/sso/Authenticator"
DISPATCHER = "/sso/Dispatcher"
_REGION_COOKIE = "REGION"
_MOST_FIELDS = 40
_LONGEST_NUMBER = 1024
_UNCACHED = {"Cache-Control": "no-store"}


class SignIn:
    """Handlers of one face."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._desk = LoginDesk(face.world)

    def routes(self) -> list[web.RouteDef]:
        handlers: dict[tuple[str, str], Handler] = {
            ("GET", "/"): self.root,
            ("GET", "/sso/Login"): self.page,
            ("POST", AUTHENTICATOR): self.authenticator,
            ("POST", DISPATCHER): self.dispatcher,
            ("GET", DISPATCHER): self.dispatched,
        }
        return [web.route(method, path, handler) for (method, path), handler in handlers.items()]

    async def root(self, _: web.Request) -> web.Response:
        return _moved_to(LOGIN_URL)

    async def page(self, request: web.Request) -> web.Response:
        html = login_html(self._desk.page(self._face.username_of(request)))
        return web.Response(text=html, content_type="text/html", headers=_UNCACHED)

    async def authenticator(self, request: web.Request) -> web.Response:
        """All steps before the end, as form fields; an answer is one JSON object."""
        fields = await _fields(request)
        action = fields.get("ACTION", "")
        if action.startswith("PUBLISH_TST"):
            return self._published(request)
        if action == "INIT":
            return self._begin(fields)
        step = self._step(action, fields)
        return reply({"error": "unknown ACTION"}, 400) if step is None else _shown(step)

    async def dispatcher(self, request: web.Request) -> web.Response:
        """Whoever has passed everything is logged in here; anybody else begins anew."""
        fields = await _fields(request)
        user = self._desk.redeem(fields.get("EXCHANGE", ""))
        if user is None:
            return _moved_to(LOGIN_URL)
        login = self._face.world.log_in(user, kept_alive=self._face.keeps_alive)
        answer = _moved_to(DISPATCHER)
        answer.set_cookie(USER_COOKIE, str(shapes.user_id(user)), path="/")
        answer.set_cookie(_REGION_COOKIE, "NJ", path="/")
        self._face.logged_in(login, answer)
        return answer

    async def dispatched(self, request: web.Request) -> web.Response:
        if self._face.login_of(request) is None:
            return _moved_to(LOGIN_URL)
        return web.Response(text=SUCCESS, headers=_UNCACHED)

    def _begin(self, fields: dict[str, str]) -> web.Response:
        modes = {"1": False, "2": True}
        wants_paper = modes.get(fields.get("LOGIN_TYPE", ""))
        try:
            number = int(fields.get("A", "")[:_LONGEST_NUMBER], 16)
            challenge = self._desk.begin(fields.get("USER", ""), number, wants_paper)
        except ValueError:
            return reply({"error": "A is no number of the exchange"}, 400)
        return reply(
            {
                "EXCHANGE": challenge.attempt,
                "salt": challenge.salt.hex(),
                "B": f"{challenge.server_public:x}",
            }
        )

    def _step(self, action: str, fields: dict[str, str]) -> Step | None:
        exchange = fields.get("EXCHANGE", "")
        match action:
            case "COMPLETEAUTH":
                return self._desk.prove(exchange, _bytes(fields.get("M1", "")))
            case "COMPLETETWOFACT" if "DEVICE" in fields:
                return self._desk.choose(exchange, fields["DEVICE"])
            case "COMPLETETWOFACT":
                return self._desk.enter_code(exchange, fields.get("CODE", ""))
            case "POLL":
                return self._desk.poll(exchange)
            case "RESEND":
                return self._desk.send_again(exchange)
            case _:
                return None

    def _published(self, request: web.Request) -> web.Response:
        """A call of the gateway program itself, after its ``ssodh/init``. What IBKR answers is not
        known, and the gateway goes on whatever it is."""
        if self._face.login_of(request) is None:
            return web.Response(status=401)
        return reply({})


async def _fields(request: web.Request) -> dict[str, str]:
    """Fields of the query and of a form body; whatever is not one has none."""
    body = (await request.read()).decode("utf-8", "replace")
    try:
        return dict(request.query) | dict(parse_qsl(body, max_num_fields=_MOST_FIELDS))
    except ValueError:
        return {}


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _shown(step: Step) -> web.Response:
    return reply(encoded_step(step))


def _moved_to(location: str) -> web.Response:
    return web.Response(status=302, headers={"Location": location, **_UNCACHED})
