"""What the evidence about a brokerage session means. PURE: no I/O, no clock.

Sources: ``ibkr_web_api.md`` sections 1.4 and 2.4 (state machine, error bodies) and
``ibkr_ladder_observed.md`` (two independent proofs of a paper login).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ib_platform.errors import LiveAccountError
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.states import Cause, PodState

PAPER_LOGIN = 2
"""``LOGIN_TYPE`` of ``sso/validate``: 1 is a live login, 2 a paper login."""

ACCESS_DENIED = "Access Denied"
"""What the gateway answers to an address that ``ips.allow`` does not name."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """State of the session, and the reason in words for people."""

    state: PodState
    reason: str


class SsoValidation(msgspec.Struct, frozen=True):
    """Answer of ``sso/validate``; None = not said."""

    login_type: int | None = msgspec.field(default=None, name="LOGIN_TYPE")
    result: bool | None = msgspec.field(default=None, name="RESULT")


class OneUser(msgspec.Struct, frozen=True):
    """Answer of ``one/user``; None = not said."""

    is_paper: bool | None = msgspec.field(default=None, name="ispaper")


class Accounts(msgspec.Struct, frozen=True):
    """Answer of ``iserver/accounts``; None = not said."""

    accounts: tuple[str, ...] = ()
    is_paper: bool | None = msgspec.field(default=None, name="isPaper")


def judge_status(status: SessionStatus) -> Judgement:
    """State that a readable answer or merged ``sts`` message proves."""
    if status.competing:
        return Judgement(PodState.COMPETING, "another login of this user holds the session")
    if status.usable:
        return Judgement(PodState.AUTHENTICATED, "authenticated and connected")
    if status.authenticated:
        return Judgement(PodState.SSO_ONLY, "authenticated, but not connected to IBKR's servers")
    said = status.fail or status.message
    linked = "connected" if status.connected else "not connected"
    tail = f": {said}" if said else ""
    return Judgement(PodState.SSO_ONLY, f"logged in, {linked}, but not authenticated{tail}")


def judge_failure(http_status: int | None, body: str = "") -> Judgement:
    """State that a failed REST call proves. ``http_status`` None: nobody answered.

    A gateway that does not let us in says so in ``body``, with a status that nobody has documented.
    """
    if http_status is None:
        return Judgement(PodState.DOWN, "the gateway does not answer")
    if ACCESS_DENIED.lower() in body.lower():
        return Judgement(
            PodState.DOWN,
            f"the gateway answers {ACCESS_DENIED!r}: ips.allow in its conf.yaml lacks this "
            "machine's address. A gateway that the platform starts allows 127.0.0.1: is this one "
            "another program's?",
        )
    if http_status == 401:
        return Judgement(PodState.NO_SSO, "nobody is logged in at the gateway (401)")
    if http_status == 429:
        return Judgement(PodState.PENALTY, "too many requests (429): all REST calls must pause")
    if http_status >= 500:
        return Judgement(PodState.MAINTENANCE, f"IBKR's servers are not ready ({http_status})")
    return Judgement(PodState.SSO_ONLY, f"no brokerage session yet (HTTP {http_status})")


def cause_of(state: PodState) -> Cause:
    """Why data are missing while the session is in ``state``."""
    return {
        PodState.DOWN: Cause.GATEWAY_DIED,
        PodState.NO_SSO: Cause.SESSION_LOST,
        PodState.SSO_ONLY: Cause.SESSION_LOST,
        PodState.COMPETING: Cause.COMPETING_LOGIN,
        PodState.PENALTY: Cause.RATE_LIMITED,
        PodState.MAINTENANCE: Cause.MAINTENANCE,
        PodState.LOCKED: Cause.SESSION_LOST,
        PodState.REFUSED_LIVE: Cause.SESSION_LOST,
    }.get(state, Cause.DISCONNECTED)


def login_proof(validation: SsoValidation) -> str | None:
    """None when ``sso/validate`` proves a valid paper login, else the reason why not."""
    if validation.login_type != PAPER_LOGIN:
        return f"sso/validate says LOGIN_TYPE {validation.login_type}, paper is {PAPER_LOGIN}"
    if validation.result is False:
        return "sso/validate says RESULT false"
    return None


def user_proof(user: OneUser) -> str | None:
    """None when ``one/user`` proves a paper login, else the reason why not."""
    return None if user.is_paper is True else f"one/user says ispaper {user.is_paper}"


def account_proof(accounts: Accounts, expected_account: str) -> str | None:
    """None when ``iserver/accounts`` proves the configured paper account, else why not."""
    if accounts.is_paper is not True:
        return f"iserver/accounts says isPaper {accounts.is_paper}"
    if not expected_account.startswith("D"):
        return "the configured account does not begin with D"
    if any(not account.startswith("D") for account in accounts.accounts):
        return "the login can see an account that does not begin with D"
    if expected_account not in accounts.accounts:
        return f"the login does not see the configured account {expected_account}"
    return None


def paper_proof(validation: SsoValidation, accounts: Accounts, expected_account: str) -> str | None:
    """None when the login is provably paper, else the reason why not.

    Two independent answers must agree, and the account must be the configured paper account:
    a missing field proves nothing, hence refuses.
    """
    return login_proof(validation) or account_proof(accounts, expected_account)


def live_evidence(
    validation: SsoValidation, user: OneUser, accounts: Accounts, expected_account: str
) -> str | None:
    """What contradicts a paper login of ours, in words; None when something is just not said."""
    if validation.login_type not in (None, PAPER_LOGIN):
        return login_proof(validation)
    if user.is_paper is False:
        return user_proof(user)
    if accounts.is_paper is False or accounts.accounts:
        said = Accounts(accounts.accounts or (expected_account,), accounts.is_paper is not False)
        return account_proof(said, expected_account)
    return None


def paper_error(reason: str, paper_user: str) -> LiveAccountError:
    """The error of a login that must not be used."""
    return LiveAccountError(
        f"paper user {paper_user}: this login is not provably a paper login ({reason}). "
        "Nothing was requested and nothing will be retried. Check the username and the "
        "account in the configuration; live logins are never used."
    )


def require_paper(
    validation: SsoValidation, accounts: Accounts, expected_account: str, paper_user: str
) -> None:
    """Raises LiveAccountError unless ``paper_proof`` holds."""
    if reason := paper_proof(validation, accounts, expected_account):
        raise paper_error(reason, paper_user)
