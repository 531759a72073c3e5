"""Proving that a login is paper, over several questions when the gateway does not answer them.

Two independent answers must agree: one about the login (``sso/validate`` or ``one/user``), one
about its accounts. ``sso/validate`` may be asked once a minute only, by all programs of a pod
together: so each program has a first choice, and asks the other question when that one may not be
asked or says nothing. Evidence of a live login is final at once. An answer that says nothing (seen:
an empty body with 200) is asked for again a few times; only then is the missing proof final too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ib_platform.ibkr.messages import Welcome
from ib_platform.ibkr.pacing import VALIDATE
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.session import (
    Accounts,
    OneUser,
    SsoValidation,
    account_proof,
    live_evidence,
    login_proof,
    paper_error,
    user_proof,
)

TRIES = 3
VALIDATE_PAUSE = 61.0
"""``sso/validate`` may be asked once a minute."""
USER_PAUSE = 20.0
ACCOUNTS_PAUSE = 2.0


class LoginQuestion(StrEnum):
    """What tells whether a login is paper."""

    VALIDATE = "sso/validate"
    ONE_USER = "one/user"


@dataclass(slots=True)
class _Asking:
    """One question: what its answer has not proven yet (None = it has), how often it was
    answered, and when it may be asked again (monotonic seconds)."""

    pause: float
    missing: str | None = "not asked"
    answers: int = 0
    again_at: float = float("-inf")

    @property
    def is_over(self) -> bool:
        return self.missing is not None and self.answers >= TRIES

    def is_due(self, now: float) -> bool:
        return self.answers < TRIES and now >= self.again_at

    def answered(self, missing: str | None) -> None:
        self.answers += 1
        self.missing = missing


class PaperProof:
    """The proof of one login, and what is still missing of it. ``now``: monotonic seconds.

    Each question that is due asks the gateway at most once per call and endpoint, so callers poll.
    All questions raise GatewayCallError, and LiveAccountError when the answer is final.
    """

    def __init__(
        self, account: str, paper_user: str, *, first: LoginQuestion = LoginQuestion.VALIDATE
    ) -> None:
        self._account = account
        self._paper_user = paper_user
        self._order = sorted(LoginQuestion, key=lambda question: question is not first)
        self.forget()

    def forget(self) -> None:
        """Another login begins: nothing is proven."""
        self._validation, self._user, self._accounts = SsoValidation(), OneUser(), Accounts()
        self._logins = {
            LoginQuestion.VALIDATE: _Asking(VALIDATE_PAUSE),
            LoginQuestion.ONE_USER: _Asking(USER_PAUSE),
        }
        self._listing = _Asking(ACCOUNTS_PAUSE)

    async def login_is_paper(self, client: GatewayClient, now: float) -> bool:
        """Whether the login is proven: all that can be known before ``ssodh/init``."""
        for question in self._order:
            if any(asking.missing is None for asking in self._logins.values()):
                return True
            await self._ask_login(question, client, now)
        if all(asking.is_over for asking in self._logins.values()):
            said = ", ".join(asking.missing or "" for asking in self._logins.values())
            raise paper_error(f"{said}, {TRIES} times", self._paper_user)
        return any(asking.missing is None for asking in self._logins.values())

    async def is_proven(self, client: GatewayClient, now: float) -> bool:
        """Whether two independent answers agree. Needs an initialised session."""
        if not await self.login_is_paper(client, now):
            return False
        listing = self._listing
        if listing.missing is None or not listing.is_due(now):
            return listing.missing is None
        listing.again_at = now + listing.pause
        self._accounts = await client.accounts()
        listing.answered(account_proof(self._accounts, self._account))
        self._refuse_live()
        if listing.is_over:
            raise paper_error(f"{listing.missing}, {TRIES} times", self._paper_user)
        return listing.missing is None

    async def _ask_login(self, question: LoginQuestion, client: GatewayClient, now: float) -> None:
        asking = self._logins[question]
        if not asking.is_due(now):
            return
        if question is LoginQuestion.VALIDATE:
            if client.pace.due_in(VALIDATE) > 0:
                return
            asking.again_at = now + asking.pause
            self._validation = await client.sso_validate()
            asking.answered(login_proof(self._validation))
        else:
            asking.again_at = now + asking.pause
            self._user = await client.one_user()
            asking.answered(user_proof(self._user))
        self._refuse_live()

    def _refuse_live(self) -> None:
        evidence = live_evidence(self._validation, self._user, self._accounts, self._account)
        if evidence is not None:
            raise paper_error(evidence, self._paper_user)


def require_paper_welcome(welcome: Welcome, username: str, paper_user: str) -> None:
    """Refuse a websocket whose first message shows a live login, or somebody else's.

    Raises:
        LiveAccountError: what it says contradicts the configuration. Silence contradicts nothing.
    """
    if welcome.is_paper is False:
        raise paper_error("the websocket says isPaper false", paper_user)
    if welcome.username is not None and welcome.username.lower() != username.lower():
        raise paper_error(
            f"the websocket belongs to username {welcome.username}, configured is {username}",
            paper_user,
        )
