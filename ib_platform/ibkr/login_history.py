"""The logins of one username, counted so that nothing can wear out its account. PURE.

IBKR locks a user after repeated wrong passwords, and a pod that is restarted in a loop would try
without end (``ibkr_web_api.md`` section 5, row 13). So the history outlives processes and pods
(``ib_platform.gateway.login_record`` keeps the file), an attempt is noted *before* it is made, and
after a few refusals in a row nobody tries again until a person says so. All instants are Unix
seconds.
"""

from __future__ import annotations

import msgspec

from ib_platform.config_gateway import SessionPolicy
from ib_platform.states import PodState

HOUR, DAY = 3600.0, 86400.0
BACKOFF = (30.0, 60.0, 300.0, 900.0)
"""Seconds after the last login, by refusals in a row; the last one for all further refusals."""


class Lock(msgspec.Struct, frozen=True):
    """Nobody logs in any more. ``state``: LOCKED or REFUSED_LIVE. A token that this username was
    never started with before ends it."""

    state: PodState
    reason: str
    since: float


class LoginHistory(msgspec.Struct, frozen=True):
    """``attempts``: those of the last day, ascending. ``refused``: logins in a row that IBKR
    refused. ``pending``: a login has begun, and nobody knows yet what came of it.
    ``unlock_tokens``: those that this username was started with, the newest last."""

    username: str
    unlock_tokens: tuple[str, ...] = ("",)
    attempts: tuple[float, ...] = ()
    refused: int = 0
    pending: bool = False
    lock: Lock | None = None

    def as_of(self, wall: float) -> LoginHistory:
        """Without what is older than a day. Attempts in the future were noted before the clock was
        set back: they count as of now."""
        kept = tuple(sorted(min(at, wall) for at in self.attempts if at > wall - DAY))
        return self if kept == self.attempts else msgspec.structs.replace(self, attempts=kept)

    def within(self, seconds: float, wall: float) -> int:
        """Attempts of the last ``seconds``."""
        return sum(at > wall - seconds for at in self.attempts)

    def next_at(self, policy: SessionPolicy) -> float:
        """Earliest instant of the next login; an instant that has passed means now."""
        if not self.attempts:
            return 0.0
        due = [self.attempts[-1] + BACKOFF[min(self.refused, len(BACKOFF) - 1)]]
        limits = ((policy.logins_per_hour, HOUR), (policy.logins_per_day, DAY))
        due += [
            self.attempts[-allowed] + span
            for allowed, span in limits
            if len(self.attempts) >= allowed
        ]
        return max(due)

    def begun(self, wall: float) -> LoginHistory:
        """A login begins now; to be stored before it does."""
        return msgspec.structs.replace(self, attempts=(*self.attempts, wall), pending=True)

    def not_made(self) -> LoginHistory:
        """The login that was to begin never reached IBKR."""
        return msgspec.structs.replace(self, attempts=self.attempts[:-1], pending=False)

    def ended(self) -> LoginHistory:
        """It is over, and was no refusal. Whether it was a success, ``succeeded`` tells."""
        return msgspec.structs.replace(self, pending=False)

    def resumed(self, wall: float, policy: SessionPolicy) -> LoginHistory:
        """As a new process goes on: a login that the last one did not see to its end counts as
        refused, since its password may have been."""
        if not self.pending:
            return self
        return self.refusal("the process ended during a login", wall, policy)

    def refusal(self, reason: str, wall: float, policy: SessionPolicy) -> LoginHistory:
        """IBKR has refused the login; after ``failed_logins`` of them in a row: locked."""
        refused = self.refused + 1
        counted = msgspec.structs.replace(self, refused=refused, pending=False)
        if refused < policy.failed_logins:
            return counted
        return counted.locked(
            PodState.LOCKED, f"{refused} logins in a row were refused, the last one: {reason}", wall
        )

    def locked(self, state: PodState, reason: str, wall: float) -> LoginHistory:
        """Nobody logs in until a person gives another unlock token."""
        return msgspec.structs.replace(self, lock=Lock(state, reason, wall), pending=False)

    def succeeded(self) -> LoginHistory:
        """The session is authenticated: the credentials are good."""
        return self if self.refused == 0 else msgspec.structs.replace(self, refused=0)

    def with_token(self, token: str) -> LoginHistory:
        """What a process that is started with ``token`` goes on from. A token that is new to this
        username ends a lock; no token, or an old one, ends nothing. Attempts stay counted."""
        if token in self.unlock_tokens:
            return self
        known = (*self.unlock_tokens, token)
        history = msgspec.structs.replace(self, unlock_tokens=known)
        if self.lock is None:
            return history
        return msgspec.structs.replace(history, lock=None, refused=0)
