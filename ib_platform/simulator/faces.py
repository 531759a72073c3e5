"""How the simulated IBKR shows itself: as a gateway on localhost, or as what stands behind one.

*Face A* (``GatewayFace``) stands in for the gateway program of one pod: it holds one SSO login for
all its local clients, who need no cookie. *Face B* (``UpstreamFace``) stands in for IBKR behind a
real gateway program: cookies tell whose call it is.
"""

from __future__ import annotations

from typing import Protocol

from aiohttp import web

from ib_platform.simulator import shapes
from ib_platform.simulator.behaviour import CookielessCalls
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.login import Login
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World

SESSION_COOKIE = "x-sess-uuid"
USER_COOKIE = "USERID"


class Face(Protocol):
    """What REST, websocket and login page ask of the side they are shown on."""

    world: World
    binary_frames: bool
    drops_early_messages: bool
    keeps_alive: bool
    """Whether it tickles for its logins by itself, as a gateway program does."""

    def login_of(self, request: web.BaseRequest) -> Login | None:
        """Whose call this is; None = nobody is logged in (401)."""
        ...

    def address_of(self, request: web.BaseRequest) -> str:
        """The address that pacing counts for."""
        ...

    def username_of(self, request: web.BaseRequest) -> str | None:
        """Whose faults concern this call, logged in or not; None = not known."""
        ...

    def logged_in(self, login: Login, answer: web.StreamResponse) -> None:
        """The login page has let somebody in; ``answer`` may get cookies."""
        ...


class GatewayFace:
    """Face A. ``user``: the paper user whose pod this gateway belongs to; anybody may log in."""

    binary_frames = True
    drops_early_messages = True
    keeps_alive = True

    def __init__(self, world: World, user: SimulatedUser) -> None:
        self.world = world
        self.user = user
        self.login: Login | None = None
        if world.behaviour.gateway.logged_in:
            self.login = world.log_in(user, fresh=False)

    def login_of(self, request: web.BaseRequest) -> Login | None:
        return self.login

    def address_of(self, request: web.BaseRequest) -> str:
        return "192.0.2.1"

    def username_of(self, request: web.BaseRequest) -> str | None:
        return self.user.username if self.login is None else self.login.user.username

    def logged_in(self, login: Login, answer: web.StreamResponse) -> None:
        """The gateway holds one login: the one before it ends. As the real program does, it
        starts the brokerage session by itself a little later."""
        if self.login is not None:
            self.world.end_login(self.login)
        self.login = login
        gateway = self.world.behaviour.gateway
        refused = self.world.fault(FaultKind.INIT_REFUSED, login.user.username)
        if gateway.auto_init and refused is None:
            now = self.world.clock.now()
            login.sessions.start_brokerage(
                login.token, now, compete=False, delay=gateway.auth_delay
            )


class UpstreamFace:
    """Face B: many users over one plain HTTP port, told apart by cookies."""

    binary_frames = False
    drops_early_messages = False
    keeps_alive = False

    def __init__(self, world: World) -> None:
        self.world = world

    def login_of(self, request: web.BaseRequest) -> Login | None:
        """By session cookie, else the newest login of the ``USERID`` cookie: calls that a gateway
        program makes by itself carry only the latter. Without either it is for
        ``behaviour.upstream.without_cookie`` to say."""
        token = request.cookies.get(SESSION_COOKIE)
        number = request.cookies.get(USER_COOKIE)
        if token is None and number is None:
            return self._cookieless()
        if token is not None and (login := self.world.logins.get(token)) is not None:
            return login
        living = self._living()
        return next((each for each in living if str(shapes.user_id(each.user)) == number), None)

    def _cookieless(self) -> Login | None:
        if self.world.behaviour.upstream.without_cookie is CookielessCalls.REFUSED:
            return None
        living = self._living()
        return living[0] if len(living) == 1 else None

    def _living(self) -> list[Login]:
        """Logins that still stand, newest first."""
        now = self.world.clock.now()
        logins = list(self.world.logins.values())
        return [login for login in reversed(logins) if login.status(now).sso]

    def address_of(self, request: web.BaseRequest) -> str:
        return request.remote or "unknown"

    def username_of(self, request: web.BaseRequest) -> str | None:
        login = self.login_of(request)
        return None if login is None else login.user.username

    def logged_in(self, login: Login, answer: web.StreamResponse) -> None:
        """The gateway program starts the brokerage session, with ``reauthenticate``."""
        answer.set_cookie(SESSION_COOKIE, login.token, path="/", httponly=True)
