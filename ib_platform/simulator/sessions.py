"""The sessions of one username at IBKR, as a machine without a clock.

Two tiers (Web API page, section 1.4): *SSO* logins, of which a user may have several, and on top of
one of them the *brokerage session* that ``/iserver`` and market data need: one at a time. ``now``
is always simulated monotonic seconds from the caller; ``wall_offset`` makes unix seconds of it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from ib_platform.simulator.outages import Outage, OutageParameters, Outages
from ib_platform.simulator.rival import Rival
from ib_platform.simulator.session_states import (
    NO_LOGIN,
    InitAnswer,
    PasswordAnswer,
    SessionParameters,
    SessionStatus,
)
from ib_platform.simulator.sso_login import SSO_LIFETIME_MS, SsoLogin


class UserSessions:
    """Logins of one username by token, and which of them holds the brokerage session.

    ``stuck`` tells whether authentication hangs at an instant (an injected fault).
    ``authenticates`` false: it always does, as after a TOTP login of a general user. ``words``:
    message and fail of a session that is connected and not authenticated.
    """

    def __init__(
        self,
        parameters: SessionParameters,
        *,
        seed: str,
        authenticates: bool = True,
        outages: Outages | None = None,
        wall_offset: float = 0.0,
        stuck: Callable[[], bool] = lambda: False,
        words: Callable[[], tuple[str, str]] = lambda: ("", ""),
    ) -> None:
        self._parameters = parameters
        self._random = Random(f"sessions/{seed}")
        self._authenticates = authenticates
        self._outages = outages or Outages(OutageParameters())
        self._wall_offset = wall_offset
        self._stuck = stuck
        self._words = words
        self._rival_spares = False
        self._logins: dict[str, SsoLogin] = {}
        self._holder: str | None = None
        self._rival = Rival()
        self._settled: float | None = None
        self._failures = 0
        self.locked = False

    def check_password(self, right: bool) -> PasswordAnswer:
        """Count an attempt; too many wrong ones in a row lock the user."""
        if self.locked:
            return PasswordAnswer.LOCKED
        if right:
            self._failures = 0
            return PasswordAnswer.RIGHT
        self._failures += 1
        self.locked = self._failures >= self._parameters.lock_after
        return PasswordAnswer.LOCKED if self.locked else PasswordAnswer.WRONG

    def log_in(
        self, token: str, now: float, *, fresh: bool = True, kept_alive: bool = True
    ) -> None:
        """Begin an SSO login. ``fresh`` false: it happened long ago, without ``login_delay``."""
        self._settle(now)
        delay = self._random.uniform(*self._parameters.login_delay) if fresh else 0.0
        self._logins[token] = SsoLogin(now, now, now + delay, kept_alive, connected=not fresh)

    def end_login(self, token: str) -> None:
        """The SSO login is gone (401 from now on). No-op if it was not there."""
        self._logins.pop(token, None)
        self._release(token)

    def request_seen(self, token: str, now: float) -> None:
        """A REST request came: the idle time begins anew (unless it had run out already)."""
        self._settle(now)
        if token in self._logins:
            self._logins[token].last_request = now

    def start_brokerage(
        self, token: str, now: float, *, compete: bool, delay: float = 0.0
    ) -> InitAnswer:
        """``ssodh/init`` or ``reauthenticate``: authenticated after the delays; no-op if open."""
        self._settle(now)
        login = self._logins.get(token)
        if login is None:
            return InitAnswer.NO_LOGIN
        if self._outages.at(now + self._wall_offset) is not None:
            return InitAnswer.UNAVAILABLE
        if self._is_elsewhere(token):
            if not compete:
                login.competing = True
                return InitAnswer.COMPETING
            self._rival.lost(now)
        self._hand_over_to(token)
        login.competing = False
        login.start_brokerage(now + delay + self._parameters.authentication_delay)
        waits = self._random.random() < self._parameters.wait_share
        return InitAnswer.WAIT if waits else InitAnswer.STARTED

    def other_device(
        self,
        now: float,
        *,
        retakes: int = 0,
        every: float = 60.0,
        stays: float | None = None,
        stays_authenticated: bool = False,
    ) -> None:
        """The user logs in on a phone or in TWS, which takes the brokerage session; when it is
        taken back, the device takes it again ``every`` seconds later, ``retakes`` times. After
        ``stays`` seconds the device logs off for good. ``stays_authenticated``: the loser's status
        goes on saying so beside ``competing``."""
        self._settle(now)
        self._rival_spares = stays_authenticated
        self._rival.arrive(now, retakes=retakes, every=every, stays=stays)
        self._hand_over_to(None)

    def drop_brokerage(self, token: str) -> None:
        """The brokerage session ends, the SSO login stays."""
        if token in self._logins:
            self._logins[token].authenticated_from = None
        self._release(token)

    def log_out(self, token: str) -> None:
        """Ends the brokerage session, and the SSO login if the parameters say so."""
        self.drop_brokerage(token)
        if self._parameters.logout_ends_sso:
            self.end_login(token)

    def status(self, token: str, now: float) -> SessionStatus:
        """State of one login; ``NO_LOGIN`` for an unknown token."""
        self._settle(now)
        login = self._logins.get(token)
        if login is None:
            return NO_LOGIN
        authenticated = login.has_begun(now) and self._can_authenticate()
        troubled = login.connected and not authenticated
        message, fail = self._words() if troubled else ("", "")
        return SessionStatus(True, login.connected, authenticated, login.competing, message, fail)

    def has_bridge(self, token: str, now: float) -> bool:
        """Whether ``/iserver`` answers: a little later than ``auth/status`` says so."""
        if not self.status(token, now).authenticated:
            return False
        return self._logins[token].has_begun(now, since=self._parameters.no_bridge_after_init)

    def brokerage_began(self, token: str) -> float | None:
        """Since when a login has its brokerage session: names that session. None without one."""
        return self._logins[token].authenticated_from if token in self._logins else None

    def sso_expires_ms(self, token: str, now: float) -> int:
        """Milliseconds of ``ssoExpires``."""
        login = self._logins.get(token)
        return SSO_LIFETIME_MS if login is None else login.sso_expires_ms(now)

    @property
    def tokens(self) -> tuple[str, ...]:
        """The logins that there are, oldest first."""
        return tuple(self._logins)

    def _can_authenticate(self) -> bool:
        return self._authenticates and not self._stuck()

    def _is_elsewhere(self, token: str) -> bool:
        return self._rival.holds or self._holder not in (None, token)

    def _hand_over_to(self, token: str | None) -> None:
        """The brokerage session goes to a login, or (None) to the other device."""
        loser = self._logins.get(self._holder) if self._holder not in (None, token) else None
        if loser is not None:
            if token is not None or not self._rival_spares:
                loser.authenticated_from = None
            loser.competing = True
        self._holder = token

    def _release(self, token: str) -> None:
        if self._holder == token:
            self._holder = None

    def _settle(self, now: float) -> None:
        """Everything that time alone has done since the last look."""
        before = now if self._settled is None else self._settled
        self._settled = max(now, before)
        self._note_connected(now)
        self._outage(before, now)
        offset = self._wall_offset
        for token, login in list(self._logins.items()):
            expired = self._outages.ends_login(login.began + offset, now + offset)
            if expired or login.is_over(now, self._parameters):
                self.end_login(token)
            elif login.is_idle(now, self._parameters):
                self.drop_brokerage(token)
        if self._rival.returns(now):
            self._hand_over_to(None)
        if not self._rival.holds and self._holder is None:
            for login in self._logins.values():
                login.competing = False

    def _note_connected(self, now: float) -> None:
        """A login that was authenticated once stays connected, whether anybody looked or not."""
        for login in self._logins.values():
            if login.has_begun(now) and self._can_authenticate():
                login.connected = True

    def _outage(self, before: float, now: float) -> None:
        offset = self._wall_offset
        begun = self._outages.began_between(before + offset, now + offset)
        if not begun:
            return
        ends_login = Outage.NIGHTLY in begun and self._outages.parameters.nightly_ends_login
        for token in list(self._logins):
            self.drop_brokerage(token)
            if ends_login:
                self.end_login(token)
