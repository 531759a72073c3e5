"""Evidence and what it means."""

from __future__ import annotations

import pytest

from ib_platform.errors import LiveAccountError
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.session import (
    Accounts,
    SsoValidation,
    cause_of,
    judge_failure,
    judge_status,
    paper_proof,
    require_paper,
)
from ib_platform.states import Cause, PodState

PAPER = SsoValidation(2, True)
ACCOUNTS = Accounts(("DU1000001",), True)


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (SessionStatus(True, True, False), PodState.AUTHENTICATED),
        (SessionStatus(authenticated=True), PodState.AUTHENTICATED),
        (SessionStatus(True, False, False), PodState.SSO_ONLY),
        (SessionStatus(False, True, False), PodState.SSO_ONLY),
        (SessionStatus(False, False, False), PodState.SSO_ONLY),
        (SessionStatus(), PodState.SSO_ONLY),
        (SessionStatus(True, True, True), PodState.COMPETING),
        (SessionStatus(False, True, True), PodState.COMPETING),
    ],
)
def test_answers(status: SessionStatus, state: PodState) -> None:
    assert judge_status(status).state is state
    assert status.usable == (state is PodState.AUTHENTICATED)


def test_what_ibkr_says_about_a_failure_is_passed_on() -> None:
    judgement = judge_status(SessionStatus(False, True, False, fail="Force compete"))
    assert "Force compete" in judgement.reason


@pytest.mark.parametrize(
    ("status", "state"),
    [
        (None, PodState.DOWN),
        (401, PodState.NO_SSO),
        (429, PodState.PENALTY),
        (500, PodState.MAINTENANCE),
        (503, PodState.MAINTENANCE),
        (400, PodState.SSO_ONLY),
    ],
)
def test_failures(status: int | None, state: PodState) -> None:
    assert judge_failure(status).state is state


@pytest.mark.parametrize("status", [403, 404, 500])
def test_a_gateway_that_does_not_let_us_in_is_diagnosed_by_its_words(status: int) -> None:
    judgement = judge_failure(status, "<html>Access denied</html>")
    assert judgement.state is PodState.DOWN
    assert "ips.allow" in judgement.reason


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        (PodState.DOWN, Cause.GATEWAY_DIED),
        (PodState.NO_SSO, Cause.SESSION_LOST),
        (PodState.LOCKED, Cause.SESSION_LOST),
        (PodState.SSO_ONLY, Cause.SESSION_LOST),
        (PodState.COMPETING, Cause.COMPETING_LOGIN),
        (PodState.PENALTY, Cause.RATE_LIMITED),
        (PodState.MAINTENANCE, Cause.MAINTENANCE),
        (PodState.REFUSED_LIVE, Cause.SESSION_LOST),
        (PodState.AUTHENTICATED, Cause.DISCONNECTED),
    ],
)
def test_causes(state: PodState, cause: Cause) -> None:
    assert cause_of(state) is cause


def test_a_paper_login_is_proven() -> None:
    assert paper_proof(PAPER, ACCOUNTS, "DU1000001") is None
    require_paper(PAPER, ACCOUNTS, "DU1000001", "alpha")


@pytest.mark.parametrize(
    ("validation", "accounts", "account", "word"),
    [
        (SsoValidation(1, True), ACCOUNTS, "DU1000001", "LOGIN_TYPE 1"),
        (SsoValidation(), ACCOUNTS, "DU1000001", "LOGIN_TYPE None"),
        (SsoValidation(2, False), ACCOUNTS, "DU1000001", "RESULT false"),
        (PAPER, Accounts(("DU1000001",), False), "DU1000001", "isPaper False"),
        (PAPER, Accounts(("DU1000001",)), "DU1000001", "isPaper None"),
        (PAPER, Accounts(("U1000001",), True), "U1000001", "begin with D"),
        (PAPER, Accounts(("DU1000001", "U7"), True), "DU1000001", "begin with D"),
        (PAPER, ACCOUNTS, "DU1000002", "does not see"),
        (PAPER, Accounts((), True), "DU1000001", "does not see"),
    ],
)
def test_anything_else_is_refused(
    validation: SsoValidation, accounts: Accounts, account: str, word: str
) -> None:
    reason = paper_proof(validation, accounts, account)
    assert reason is not None
    assert word in reason
    with pytest.raises(LiveAccountError, match="not provably a paper login") as caught:
        require_paper(validation, accounts, account, "alpha")
    assert caught.value.exit_code == 7
