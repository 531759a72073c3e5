"""Which troubles are told to people, when, and in which words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.session import Judgement
from ib_platform.ibkr.session_alarms import DOWN_AFTER, STUCK_AFTER, Trouble, alarm_of
from ib_platform.states import PodState

POLICY = SessionPolicy()
HISTORY = LoginHistory("papera01")
OUTAGE_ENDS = datetime(2026, 11, 26, 6, 45, tzinfo=UTC)


def _alarm(state: PodState, trouble: Trouble, history: LoginHistory = HISTORY) -> str | None:
    return alarm_of(Judgement(state, "the reason"), trouble, POLICY, history)


def _for(seconds: float) -> Trouble:
    return Trouble(bad_for=seconds)


@pytest.mark.parametrize(
    ("state", "after"),
    [
        (PodState.STARTING, DOWN_AFTER),
        (PodState.DOWN, DOWN_AFTER),
        (PodState.NO_SSO, STUCK_AFTER),
        (PodState.SSO_ONLY, POLICY.auth_grace),
        (PodState.MAINTENANCE, STUCK_AFTER),
        (PodState.PENALTY, 0),
        (PodState.COMPETING, 0),
        (PodState.LOCKED, 0),
        (PodState.REFUSED_LIVE, 0),
    ],
)
def test_when_each_state_becomes_an_alarm(state: PodState, after: float) -> None:
    assert _alarm(state, _for(after)) is not None
    if after:
        assert _alarm(state, _for(after - 1)) is None


def test_a_session_that_is_well_has_no_alarm() -> None:
    assert _alarm(PodState.AUTHENTICATED, _for(10**6)) is None


def test_a_lock_tells_its_own_reason() -> None:
    told = _alarm(PodState.LOCKED, _for(0))
    assert told == "the reason. Correct it, then run `ib-platform unlock` for this pod"


@pytest.mark.parametrize("state", [PodState.SSO_ONLY, PodState.DOWN])
def test_an_expected_outage_delays_the_alarm_and_is_named(state: PodState) -> None:
    trouble = replace(_for(STUCK_AFTER - 1), expected_until=OUTAGE_ENDS)
    assert _alarm(state, trouble) is None
    told = _alarm(state, replace(trouble, bad_for=STUCK_AFTER))
    assert told is not None
    assert "expected until 06:45 UTC" in told


def test_why_no_login_can_begin_is_told_at_once() -> None:
    told = _alarm(PodState.NO_SSO, replace(_for(0), blocked="Chromium is not installed"))
    assert told == "nobody can log in: Chromium is not installed"


def test_refused_logins_are_counted_down() -> None:
    history = HISTORY.begun(OUTAGE_ENDS.timestamp()).refusal("no", 1.0, POLICY)
    told = _alarm(PodState.NO_SSO, replace(_for(0), refusal="the page says: no"), history)
    assert told is not None
    assert "refused once (the page says: no); 2 more and the pod locks itself" in told
    assert "not before 06:46:00 UTC" in told
    twice = _alarm(PodState.NO_SSO, _for(0), history.refusal("no", 1.0, POLICY))
    assert twice is not None
    assert "refused 2 times in a row; 1 more" in twice


def test_a_login_that_must_wait_says_until_when() -> None:
    at = OUTAGE_ENDS.timestamp()
    history = HISTORY
    for _ in range(POLICY.logins_per_hour):
        history = history.begun(at)
    told = _alarm(PodState.NO_SSO, _for(STUCK_AFTER), history)
    assert told is not None
    assert "4 logins in a day, the next one not before 07:45:00 UTC" in told


def test_the_answer_of_the_last_cure_is_told() -> None:
    trouble = replace(
        _for(POLICY.auth_grace), cure_problem="ssodh/init: HTTP 503", says_unauthenticated=True
    )
    told = _alarm(PodState.SSO_ONLY, trouble)
    assert told is not None
    assert "TOTP" in told
    assert told.endswith("Last answer: ssodh/init: HTTP 503")
