"""The session of one paper user, as a machine without a clock.

Two tiers (Web API page, section 1.4): the *SSO* login, and on top of it the *brokerage* session
that ``/iserver`` and market data need. A fresh simulated gateway has the first, because the demo
has no browser, and not the second. ``now`` is always monotonic seconds from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass

_SSO_LIFETIME_MS = 600_000
"""IBKR's ``ssoExpires`` runs down from this and jumps back; a low value is no alarm."""


@dataclass(frozen=True, slots=True)
class SessionParameters:
    """Times in seconds. ``logout_ends_sso``: IBKR's documents say that a logout asks for a new
    login; clients in the field rely on the opposite. Hence a switch."""

    authentication_delay: float = 0.5
    idle_timeout: float = 360.0
    logout_ends_sso: bool = False


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """What ``auth/status`` and ``sts`` tell. ``sso`` false means HTTP 401 everywhere."""

    sso: bool
    connected: bool
    authenticated: bool
    competing: bool = False
    message: str = ""


class SessionMachine:
    """State of the login; every question takes the instant at which it is asked."""

    def __init__(self, now: float, parameters: SessionParameters | None = None) -> None:
        self._parameters = parameters or SessionParameters()
        self._began = now
        self._sso = True
        self._last_request = now
        self._authenticated_from: float | None = None

    def request_seen(self, now: float) -> None:
        """A REST request came: the idle time begins anew (unless it had run out already)."""
        self._drop_if_idle(now)
        self._last_request = now

    def start_brokerage(self, now: float) -> None:
        """``ssodh/init`` or ``reauthenticate``: authenticated after the delay; no-op if open."""
        self._drop_if_idle(now)
        if self._sso and self._authenticated_from is None:
            self._authenticated_from = now + self._parameters.authentication_delay

    def log_out(self) -> None:
        """Ends the brokerage session, and the SSO login if the parameters say so."""
        self._authenticated_from = None
        self._sso = self._sso and not self._parameters.logout_ends_sso

    def status(self, now: float) -> SessionStatus:
        self._drop_if_idle(now)
        begun = self._authenticated_from
        authenticated = begun is not None and now >= begun
        return SessionStatus(sso=self._sso, connected=self._sso, authenticated=authenticated)

    def sso_expires_ms(self, now: float) -> int:
        """Milliseconds of ``ssoExpires``."""
        return _SSO_LIFETIME_MS - int((now - self._began) * 1000) % _SSO_LIFETIME_MS

    def _drop_if_idle(self, now: float) -> None:
        if now - self._last_request > self._parameters.idle_timeout:
            self._authenticated_from = None
