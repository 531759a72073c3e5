"""What a person is told about a session that does not come back by itself, and when. PURE."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.session import Judgement
from ib_platform.states import PodState

STUCK_AFTER = 900.0
"""Seconds without a usable session after which there is an alarm, whatever the state."""
DOWN_AFTER = 60.0
LOGIN_SOON = 90.0
"""A login that is due within so many seconds needs nobody's attention."""
_NOBODY = (PodState.DOWN, PodState.STARTING)
_LOCKED_STATES = (PodState.LOCKED, PodState.REFUSED_LIVE)
ONLY_LOGGED_IN = (
    "the login page has let us in, but no brokerage session has begun. Only auth/status tells the "
    "truth: the page says success to users whose session never begins, like general users with a "
    "TOTP second factor, instead of the paper user. Check that the configured username is the "
    "paper user of the account, and that no agreement waits for a signature in the portal"
)
UNPROVEN_TEXT = (
    "the session is there, and is not used before the gateway tells whether the login is paper."
)
_NOT_TAKEN = (
    "another login of this user holds the session, and this pod has not been able to take it back. "
    "End the other login"
)
_YIELDS = (
    "another login of this user holds the session, and this pod yields (gateway.session.competing)."
    " End the other login; the pod then resumes by itself"
)
_PING_PONG = (
    "another login of this user takes the session back again and again: this pod has stopped "
    "taking it. One paper user belongs to one pod; end the other program"
)
_PENALTY = "IBKR has refused a request (429): nothing is asked until its penalty is over"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Everything that an alarm depends on beside the state. Durations in seconds.

    ``login_due_in``: until the limits and pauses allow a login.
    ``bad_for``: how long there is no usable session. ``state_for``: how long it is what it is now.
    ``expected_until``: end of an expected outage. ``blocked``: why no login can begin.
    ``cure_problem``: what the last cure or question was answered. ``says_unauthenticated``: the
    gateway says so itself. ``unproven``: usable, but not proven to be paper.
    """

    bad_for: float
    state_for: float = math.inf
    login_due_in: float = 0.0
    expected_until: datetime | None = None
    blocked: str | None = None
    refusal: str | None = None
    ping_pong: bool = False
    cure_problem: str | None = None
    says_unauthenticated: bool = False
    unproven: bool = False


def alarm_of(
    judgement: Judgement, trouble: Trouble, policy: SessionPolicy, history: LoginHistory
) -> str | None:
    """What a person should look at now; None when nothing, or nothing yet."""
    if judgement.state in _LOCKED_STATES:
        return f"{judgement.reason}. Correct it, then run `ib-platform unlock` for this pod"
    if judgement.state is PodState.PENALTY:
        return _PENALTY
    if judgement.state is PodState.COMPETING:
        return _PING_PONG if trouble.ping_pong else _competing(trouble, policy)
    if judgement.state is PodState.AUTHENTICATED:
        return None
    return _of_a_session_that_is_down(judgement, trouble, policy, history)


def _competing(trouble: Trouble, policy: SessionPolicy) -> str | None:
    if policy.competing == "yield":
        return _YIELDS
    return _NOT_TAKEN if trouble.bad_for >= STUCK_AFTER else None


def _of_a_session_that_is_down(
    judgement: Judgement, trouble: Trouble, policy: SessionPolicy, history: LoginHistory
) -> str | None:
    if judgement.state is PodState.NO_SSO:
        if trouble.blocked is not None:
            return f"nobody can log in: {trouble.blocked}"
        if history.refused:
            return _refused(trouble, history, policy)
        if trouble.login_due_in > LOGIN_SOON and trouble.expected_until is None:
            return _spent(history, policy)
    if trouble.expected_until is None:
        if judgement.state is PodState.SSO_ONLY and _held(trouble) >= policy.auth_grace:
            return _with_problem(_why_only_logged_in(judgement, trouble), trouble)
        if judgement.state in _NOBODY and trouble.bad_for >= DOWN_AFTER:
            return (
                f"{judgement.reason}, for {trouble.bad_for:.0f} s by now. gateway.log says whether "
                "the gateway program starts at all"
            )
    if trouble.bad_for < STUCK_AFTER:
        return None
    text = f"no session for {trouble.bad_for / 60:.0f} min; now {judgement.state.value}"
    if trouble.expected_until is not None:
        text += f"; an outage is expected until {trouble.expected_until:%H:%M} UTC"
    if judgement.state is PodState.NO_SSO:
        count, due = len(history.attempts), _time_of(history, policy)
        text += f"; {count} logins in a day, the next one not before {due} UTC"
    return _with_problem(text, trouble)


def _why_only_logged_in(judgement: Judgement, trouble: Trouble) -> str:
    if trouble.says_unauthenticated:
        return ONLY_LOGGED_IN
    if trouble.unproven:
        return f"{UNPROVEN_TEXT} For {_held(trouble):.0f} s it has not told"
    return f"{judgement.reason}, for {_held(trouble):.0f} s by now"


def _held(trouble: Trouble) -> float:
    return min(trouble.bad_for, trouble.state_for)


def _refused(trouble: Trouble, history: LoginHistory, policy: SessionPolicy) -> str:
    left = policy.failed_logins - history.refused
    times = "once" if history.refused == 1 else f"{history.refused} times in a row"
    why = "" if trouble.refusal is None else f" ({trouble.refusal})"
    return (
        f"the login was refused {times}{why}; {left} more and the pod locks itself. The next one "
        f"is not before {_time_of(history, policy)} UTC. Check username and password of the paper "
        "user"
    )


def _spent(history: LoginHistory, policy: SessionPolicy) -> str:
    return (
        f"nobody is logged in, and the limits allow the next login at {_time_of(history, policy)} "
        f"UTC: {len(history.attempts)} in the last 24 hours (gateway.session.logins_per_hour is "
        f"{policy.logins_per_hour}, logins_per_day {policy.logins_per_day}). Log in by hand at the "
        "gateway's page to be back sooner"
    )


def _time_of(history: LoginHistory, policy: SessionPolicy) -> str:
    return f"{datetime.fromtimestamp(history.next_at(policy), UTC):%H:%M:%S}"


def _with_problem(text: str, trouble: Trouble) -> str:
    return text if trouble.cure_problem is None else f"{text}. Last answer: {trouble.cure_problem}"
