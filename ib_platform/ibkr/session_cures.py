"""The milder cures of a session that is logged in and not authenticated, and how often. PURE.

In order, as the field does it (``ibkr_web_api.md`` section 5, row 1): ``ssodh/init``, then
``reauthenticate``, then a restart of the gateway program; each only so often.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ib_platform.ibkr.login_history import HOUR

SETTLING = 10.0
"""``auth/status`` is false for 5 to 7 s after a good login (observed page): no failure."""
LOGIN_IN_OUTAGE_EVERY = 600.0
TAKEOVER_PAUSE = 30.0
_INIT_PAUSES = (5.0, 10.0, 20.0)
_REAUTHENTICATE_PAUSES = (30.0, 30.0)
_SLOW_PAUSE = 60.0


class Cure(StrEnum):
    """One request that may bring the brokerage session back."""

    INITIALISE = "initialise"
    REAUTHENTICATE = "reauthenticate"


@dataclass
class Spell:
    """What was tried since the last fresh start: a login, a new program, or a session that was
    well. ``began``, ``settled_at``, ``next_at``: monotonic seconds. ``problem``: what the last cure
    or question was answered."""

    began: float
    settled_at: float = float("-inf")
    next_at: float = float("-inf")
    initialised: int = 0
    reauthenticated: int = 0
    problem: str | None = None

    @property
    def exhausted(self) -> bool:
        """Whether all milder cures were tried in vain."""
        return self.reauthenticated >= len(_REAUTHENTICATE_PAUSES)

    def next_cure(self, now: float, *, expected: bool) -> Cure | None:
        """The cure that is due, which counts as tried; None while the last one may still work.

        ``expected``: IBKR is expected to be away. Then, and when all was in vain, it is
        ``ssodh/init`` once a minute.
        """
        if now < self.next_at:
            return None
        cure, pause = Cure.INITIALISE, _SLOW_PAUSE
        if expected:
            pass
        elif self.initialised < len(_INIT_PAUSES):
            pause = _INIT_PAUSES[self.initialised]
            self.initialised += 1
        elif not self.exhausted:
            cure, pause = Cure.REAUTHENTICATE, _REAUTHENTICATE_PAUSES[self.reauthenticated]
            self.reauthenticated += 1
        self.next_at = now + pause
        return cure


@dataclass
class Allowance:
    """So many in any ``span`` of seconds. Instants are monotonic: no clock that is set moves them.
    It is this process's own, and begins anew with it."""

    most: int
    span: float = HOUR
    _taken: list[float] = field(default_factory=list)

    def left(self, now: float) -> bool:
        self._taken = [at for at in self._taken if at > now - self.span]
        return len(self._taken) < self.most

    def take(self, now: float) -> bool:
        """Take one, if there is one left."""
        if not self.left(now):
            return False
        self._taken.append(now)
        return True

    def give_back(self) -> None:
        """The last one was not used after all."""
        self._taken.pop()
