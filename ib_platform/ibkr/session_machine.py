"""The session machine: from evidence to the next step, for whoever owns a brokerage session. PURE.

It sees what every call came to and says what to do next: one request, one login, one restart of the
gateway program, or nothing for a while. Sources: ``ibkr_web_api.md`` sections 1.4, 2.4 and 5,
``ibkr_ladder_observed.md`` ("Sessions").

What holds whatever happens (``test_session_machine.py``): no more logins, takeovers and restarts
than ``SessionPolicy`` allows; nothing is asked during a penalty; a lock is ended by a person only;
no state lasts for ``STUCK_AFTER`` without an alarm; a login that is not proven to be paper is never
initialised, nor called authenticated.

``now`` is monotonic seconds, ``wall`` an aware instant: both are arguments, always.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr import session_cures as cures
from ib_platform.ibkr.login_history import DAY, LoginHistory
from ib_platform.ibkr.session import Judgement, judge_failure
from ib_platform.ibkr.session_alarms import Trouble, alarm_of
from ib_platform.ibkr.session_cures import Allowance, Spell
from ib_platform.ibkr.session_evidence import UNPROVEN, SessionEvidence
from ib_platform.states import PodState

_HANG_AFTER = 60.0
_LOCKED_REST = 60.0
_PING_PONG_FORGOTTEN = 600.0
WELL_AFTER = 60.0
"""A session that was usable for so many seconds is well; its next loss is another trouble."""


class Action(StrEnum):
    """What to do next. ``rest``: nothing. ``prove``: ask what tells whether the login is paper."""

    REST = "rest"
    LOOK = "look"
    TICKLE = "tickle"
    PROVE = "prove"
    INITIALISE = "initialise"
    TAKE_OVER = "take_over"
    REAUTHENTICATE = "reauthenticate"
    LOG_IN = "log_in"
    LOG_OUT = "log_out"
    RESTART_PROGRAM = "restart_program"


CURES = frozenset(Action) - {Action.REST, Action.LOOK, Action.TICKLE, Action.PROVE}


@dataclass(frozen=True, slots=True)
class Step:
    """``seconds``: how long to rest."""

    action: Action
    seconds: float = 0.0


class SessionMachine(SessionEvidence):
    """One session of one paper user. Ask ``next_step``, do it, tell what came of it, ask again.

    ``history`` must be stored whenever it has changed, before the step is carried out.
    ``judgement``: what is known now. ``alarm``: what a person should look at, or None.
    ``cures``: how often each cure was ordered.
    """

    def __init__(self, policy: SessionPolicy, history: LoginHistory, now: float) -> None:
        super().__init__(policy, history, now)
        self.alarm: str | None = None
        self.cures: Counter[str] = Counter()
        self._restarts = Allowance(policy.restarts_per_hour)
        self._takeovers = Allowance(policy.takeovers_per_hour)
        # Beside the history, whose clock somebody may set.
        self._logins = (
            Allowance(policy.logins_per_hour),
            Allowance(policy.logins_per_day, DAY),
        )
        self._next_takeover = now
        self._ping_pong = False

    def next_step(self, now: float, wall: datetime, penalty_left: float = 0.0) -> Step:
        """What to do now. ``penalty_left``: seconds during which nothing may be asked."""
        self.history = self.history.as_of(wall.timestamp())
        step = self._choose(now, wall, penalty_left)
        if step.action in CURES:
            self.cures[step.action.value] += 1
        self.alarm = self._alarm_at(now, wall)
        return step

    @property
    def logout_due(self) -> bool:
        """Whether a login that was refused is still to be ended."""
        return self._logout_due

    def cannot_log_in(self, reason: str, now: float) -> None:
        super().cannot_log_in(reason, now)
        for allowance in self._logins:
            allowance.give_back()

    def _choose(self, now: float, wall: datetime, penalty_left: float) -> Step:
        lock = self.history.lock
        if lock is not None and self._logout_due:
            # Ending a live login comes before everything, a penalty too.
            self._is(Judgement(lock.state, lock.reason), now)
            self._logout_due = False
            return Step(Action.LOG_OUT)
        if lock is not None:
            self._is(Judgement(lock.state, lock.reason), now)
            return Step(Action.REST, _LOCKED_REST)
        if penalty_left > 0:
            self._is(judge_failure(429), now)
            self._fresh = False
            self._next_look = self._next_tickle = now
            return Step(Action.REST, penalty_left)
        if self._fresh:
            self._fresh = False
            if (cure := self._cure(now, wall)) is not None:
                return Step(cure)
        if now < self._next_look:
            return Step(Action.REST, self._next_look - now)
        asks = self.judgement.state not in (PodState.DOWN, PodState.NO_SSO, PodState.STARTING)
        return Step(Action.TICKLE if asks and now >= self._next_tickle else Action.LOOK)

    def _cure(self, now: float, wall: datetime) -> Action | None:
        match self.judgement.state:
            case PodState.DOWN | PodState.STARTING:
                hangs = now - self._state_since >= _HANG_AFTER
                return self._restart(now, wall) if hangs else None
            case PodState.NO_SSO:
                return self._log_in(now, wall)
            case PodState.COMPETING:
                return self._take_over(now)
            case PodState.SSO_ONLY:
                return self._cure_unauthenticated(now, wall)
            case PodState.AUTHENTICATED:
                self._is_well(now)
        return None

    def _cure_unauthenticated(self, now: float, wall: datetime) -> Action | None:
        spell = self._spell
        if self._silent_since is not None:
            mute = now - self._silent_since >= self._policy.restart_after
            return self._restart(now, wall) if mute else None
        if self.judgement is UNPROVEN or not self._login_paper:
            return Action.PROVE
        if now < spell.settled_at:
            return None
        expected = self._outage(wall) is not None
        match spell.next_cure(now, expected=expected):
            case cures.Cure.INITIALISE:
                return Action.INITIALISE
            case cures.Cure.REAUTHENTICATE:
                return Action.REAUTHENTICATE
        lasts = now - spell.began >= self._policy.restart_after
        may_log_in = self.history.next_at(self._policy) <= wall.timestamp()
        if spell.exhausted and lasts and may_log_in and not expected:
            return self._restart(now, wall)
        return None

    def _restart(self, now: float, wall: datetime) -> Action | None:
        if self._outage(wall) is not None or not self._restarts.take(now):
            return None
        return Action.RESTART_PROGRAM

    def _log_in(self, now: float, wall: datetime) -> Action | None:
        at = wall.timestamp()
        due = self.history.next_at(self._policy)
        if self._outage(wall) is not None and self.history.attempts:
            due = max(due, self.history.attempts[-1] + cures.LOGIN_IN_OUTAGE_EVERY)
        if at < due or now < self._login_not_before:
            return None
        if self._unheard >= self._policy.failed_logins and self._outage(wall) is None:
            reason = (
                f"the login page has said success {self._unheard} times, and the gateway knows of "
                "no login (401). See what IBKR wants by a login by hand"
            )
            self.history = self.history.locked(PodState.LOCKED, reason, at)
            return None
        if not all(allowance.left(now) for allowance in self._logins):
            return None
        for allowance in self._logins:
            allowance.take(now)
        self.history = self.history.begun(at)
        return Action.LOG_IN

    def _take_over(self, now: float) -> Action | None:
        if self._policy.competing == "yield" or self._ping_pong:
            return None
        if not self._login_paper:
            return Action.PROVE
        if now < self._next_takeover:
            return None
        if not self._takeovers.take(now):
            self._ping_pong = True
            return None
        self._next_takeover = now + cures.TAKEOVER_PAUSE
        return Action.TAKE_OVER

    def _is_well(self, now: float) -> None:
        self.history = self.history.succeeded()
        if self._spell.initialised and now - self._state_since < WELL_AFTER:
            # A session that comes and goes is one trouble: its cures are counted together.
            return
        self._bad_since = now
        self._spell = Spell(now)
        if now - self._state_since >= _PING_PONG_FORGOTTEN:
            self._ping_pong = False

    def _alarm_at(self, now: float, wall: datetime) -> str | None:
        trouble = Trouble(
            bad_for=now - self._bad_since,
            state_for=now - self._state_since,
            login_due_in=self.history.next_at(self._policy) - wall.timestamp(),
            expected_until=self._outage(wall),
            blocked=self._blocked,
            refusal=self._refusal,
            ping_pong=self._ping_pong,
            cure_problem=self._spell.problem,
            says_unauthenticated=self._says_unauthenticated,
            unproven=self.judgement is UNPROVEN,
        )
        return alarm_of(self.judgement, trouble, self._policy, self.history)
