"""One SSO login of a user, and what time alone makes of it. Pure.

Which of a user's logins holds the brokerage session, and who takes it from whom, is the matter of
``sessions``.
"""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.simulator.session_states import SessionParameters

SSO_LIFETIME_MS = 600_000
"""IBKR's ``ssoExpires`` runs down from this and jumps back; a low value is no alarm."""


@dataclass(slots=True)
class SsoLogin:
    """Instants are simulated monotonic seconds. ``earliest``: before it nothing authenticates.
    ``kept_alive``: a gateway program tickles for it. ``connected``: it has had a brokerage session.
    ``authenticated_from``: of the brokerage session that was asked for, None without one.
    """

    began: float
    last_request: float
    earliest: float
    kept_alive: bool
    connected: bool
    authenticated_from: float | None = None
    competing: bool = False

    def start_brokerage(self, at: float) -> None:
        """A brokerage session was asked for, which authenticates ``at`` this instant, or as soon
        as this login may."""
        soonest = max(at, self.earliest)
        # An earlier request stands; a client's own may overtake the gateway's delayed one.
        begun = self.authenticated_from
        self.authenticated_from = soonest if begun is None else min(begun, soonest)

    def has_begun(self, now: float, *, since: float = 0.0) -> bool:
        """Whether the time of its brokerage session has come, at least ``since`` seconds ago."""
        begun = self.authenticated_from
        return begun is not None and now >= begun + since

    def is_over(self, now: float, parameters: SessionParameters) -> bool:
        """Whether it is too old, or nobody keeps it alive and it was idle for too long."""
        too_old = now - self.began > parameters.session_limit
        forgotten = not self.kept_alive and self._idle(now) > parameters.sso_idle_end
        return too_old or forgotten

    def is_idle(self, now: float, parameters: SessionParameters) -> bool:
        """Whether its brokerage session ends for want of requests."""
        return self._idle(now) > parameters.idle_timeout

    def sso_expires_ms(self, now: float) -> int:
        """Milliseconds of ``ssoExpires``."""
        return SSO_LIFETIME_MS - int((now - self.began) * 1000) % SSO_LIFETIME_MS

    def _idle(self, now: float) -> float:
        return now - self.last_request
