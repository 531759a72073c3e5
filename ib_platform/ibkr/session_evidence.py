"""What is known of a brokerage session from everything that was seen so far. PURE.

The half of the session machine that listens; ``session_machine`` decides from it.
``now`` is monotonic seconds, ``wall`` an aware instant: both are arguments, always.
"""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr import session_cures as cures
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.outages import outage_until
from ib_platform.ibkr.session import Judgement, judge_failure, judge_status
from ib_platform.ibkr.session_cures import Spell
from ib_platform.states import PodState

TICKLE_EVERY = 50.0
_ASK_AGAIN = 1.0
_TICKLE_AGAIN = 10.0
_POLLS = {
    PodState.AUTHENTICATED: 5.0,
    PodState.COMPETING: 5.0,
    PodState.NO_SSO: 5.0,
}
_FIRST_PATIENCE, _LONGEST_PATIENCE = 5.0, 30.0
_BLOCKED_PAUSE = 60.0
_PAPER_NEEDS_NO_FACTOR = (
    "the page asks for a second factor. Paper users need none: the username is probably that of a "
    "live user, which is never used here"
)
UNPROVEN = Judgement(
    PodState.SSO_ONLY, "logged in, but the gateway has not said yet whether the login is paper"
)


class SessionEvidence:
    """``history`` must be stored whenever it has changed. ``judgement``: what is known now."""

    def __init__(self, policy: SessionPolicy, history: LoginHistory, now: float) -> None:
        self.history = history
        self.judgement = Judgement(PodState.STARTING, "the gateway program is starting")
        self._policy = policy
        self._state_since = self._bad_since = now
        self._spell = Spell(now)
        self.logins_seen = 0
        """Counts up whenever what was proven about a login must not be used any more."""
        self._login_paper = self._proven = False
        self._silent_since: float | None = now
        self._says_unauthenticated = False
        self._fresh = self._slipped = self._logout_due = False
        self._next_look = self._next_tickle = now
        self._patience = _FIRST_PATIENCE
        self._blocked: str | None = None
        self._refusal: str | None = None
        self._login_not_before = now
        self._unheard = 0
        """Logins in a row of which the page said success, and the gateway nothing at all."""

    @property
    def is_usable(self) -> bool:
        """Whether the last answer said so, and only the proof that the login is paper is missing:
        then the accounts can be asked for."""
        return self.judgement is UNPROVEN

    def saw_status(self, status: SessionStatus, now: float) -> None:
        """``auth/status`` or ``ssodh/init`` has answered."""
        self._slipped, self._unheard = False, 0
        judged = judge_status(status)
        if status.usable and not self._proven:
            judged = UNPROVEN
        speaks = status.authenticated is not None
        self._silent_since = None if speaks else self._silent_since or now
        self._says_unauthenticated = status.authenticated is False
        self._is(judged, now)
        self._fresh = True
        self._next_look = now + _POLLS.get(judged.state, _ASK_AGAIN)

    def saw_tickle(self, now: float) -> None:
        self._next_tickle = now + TICKLE_EVERY

    def saw_tickle_fail(self, now: float) -> None:
        """It is asked again later; what is the matter, the next look tells."""
        self._next_tickle = now + _TICKLE_AGAIN
        self._next_look = now

    def saw_failure(self, http_status: int | None, now: float, body: str = "") -> None:
        """A look has failed; ``http_status`` None: nobody answered. One failure of a session that
        was well may be a slip: it is asked again first. After any 401 the next login may be
        somebody else's."""
        if http_status == HTTPStatus.UNAUTHORIZED:
            self.forget_login()
        if self.judgement.state is PodState.AUTHENTICATED and not self._slipped:
            self._slipped, self._next_look = True, now + _ASK_AGAIN
            return
        judged = judge_failure(http_status, body)
        if judged.state is PodState.DOWN and self.judgement.state is PodState.STARTING:
            judged = Judgement(PodState.STARTING, "the gateway program does not answer yet")
        if judged.state is PodState.SSO_ONLY:
            # "no bridge" and "init session first" say that there is no session.
            self._silent_since = None
        self._says_unauthenticated = False
        self._is(judged, now)
        self._fresh = True
        self._next_look = now + self._pause_after(judged.state)

    def saw_question_fail(self, problem: str, now: float) -> None:
        """A cure, or a question of the proof, was answered with an error. The next look tells."""
        self._spell.problem = problem
        self._next_look = now + _ASK_AGAIN

    def saw_proof(self, now: float, *, login: bool, proven: bool) -> None:
        """``login``: it is a paper login as far as can be known before ``ssodh/init``.
        ``proven``: two independent answers and the account agree."""
        self._login_paper = self._login_paper or login or proven
        if proven and not self._proven:
            self._proven = True
            self._next_look = now

    def saw_live_login(self, reason: str, wall: datetime) -> None:
        """The login is not provably paper: log out, and never try again."""
        self.history = self.history.locked(PodState.REFUSED_LIVE, reason, wall.timestamp())
        self._logout_due = True
        self.forget_login()

    def saw_login(self, result: LoginResult, now: float, wall: datetime) -> None:
        """The browser is done."""
        self._blocked, self._refusal = None, result.detail
        self.forget_login()
        self._next_look = now
        outcome = result.outcome
        if outcome is LoginOutcome.SUBMITTED:
            self.history = self.history.ended()
            self._unheard += 1
            self._spell = Spell(now, settled_at=now + cures.SETTLING)
        elif outcome is LoginOutcome.SECOND_FACTOR:
            reason = f"{_PAPER_NEEDS_NO_FACTOR} ({result.detail})"
            self.history = self.history.locked(PodState.LOCKED, reason, wall.timestamp())
        elif not result.submitted:
            self.cannot_log_in(result.detail, now)
        elif outcome is not LoginOutcome.REJECTED and self._outage(wall) is not None:
            # What goes wrong while IBKR is away says nothing about the credentials.
            self.history = self.history.ended()
            self._blocked, self._login_not_before = result.detail, now + _BLOCKED_PAUSE
        else:
            self.history = self.history.refusal(result.detail, wall.timestamp(), self._policy)

    def saw_new_program(self, now: float) -> None:
        """The gateway program was started (again): its login, if any, is another one."""
        self.forget_login()
        self._spell = Spell(now)
        self._slipped = False
        self._state_since = now
        self._next_look = now

    def cannot_log_in(self, reason: str, now: float) -> None:
        """The password certainly reached nobody: the login does not count."""
        self.history = self.history.not_made()
        self._blocked, self._login_not_before = reason, now + _BLOCKED_PAUSE

    def forget_login(self) -> None:
        """The next login may be somebody else's: nothing that was proven holds."""
        self._login_paper = self._proven = False
        self.logins_seen += 1

    def _is(self, judgement: Judgement, now: float) -> None:
        if judgement.state is not self.judgement.state:
            self._state_since = now
            if judgement.state is not PodState.MAINTENANCE:
                self._patience = _FIRST_PATIENCE
        self.judgement = judgement

    def _pause_after(self, state: PodState) -> float:
        if state is not PodState.MAINTENANCE:
            return _POLLS.get(state, _ASK_AGAIN)
        pause, self._patience = self._patience, min(2 * self._patience, _LONGEST_PATIENCE)
        return pause

    def _outage(self, wall: datetime) -> datetime | None:
        return outage_until(self._policy.expected_outages, wall)
