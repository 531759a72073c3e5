"""Proving that a login is paper, over several questions when the gateway does not answer them.

Evidence of a live login is final at once. An answer that says nothing (seen: an empty body with
200) is asked for again a few times; only then is the missing proof final too.
"""

from __future__ import annotations

from ib_platform.ibkr.messages import Welcome
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.session import (
    Accounts,
    SsoValidation,
    account_proof,
    live_evidence,
    login_proof,
    paper_error,
)

TRIES = 3
VALIDATE_PAUSE = 61.0
"""``sso/validate`` may be asked once a minute."""
ACCOUNTS_PAUSE = 2.0


class PaperProof:
    """The proof of one login, and what is still missing of it. ``now``: monotonic seconds.

    Each question that is due asks the gateway at most once per call and endpoint, so callers poll.
    All questions raise GatewayCallError, and LiveAccountError when the answer is final.
    """

    def __init__(self, account: str, paper_user: str) -> None:
        self._account = account
        self._paper_user = paper_user
        self.forget()

    def forget(self) -> None:
        """Another login begins: nothing is proven."""
        self._validation, self._accounts = SsoValidation(), Accounts()
        self._validations = self._listings = 0
        self._validate_at = self._list_at = float("-inf")

    async def login_is_paper(self, client: GatewayClient, now: float) -> bool:
        """Whether ``sso/validate`` has proven it: all that is known before ``ssodh/init``."""
        if login_proof(self._validation) is None:
            return True
        if now < self._validate_at:
            return False
        self._validate_at = now + VALIDATE_PAUSE
        self._validation = await client.sso_validate()
        self._validations += 1
        return self._judge(login_proof(self._validation), self._validations)

    async def is_proven(self, client: GatewayClient, now: float) -> bool:
        """Whether two independent answers agree. Needs an initialised session."""
        if not await self.login_is_paper(client, now):
            return False
        if account_proof(self._accounts, self._account) is None:
            return True
        if now < self._list_at:
            return False
        self._list_at = now + ACCOUNTS_PAUSE
        self._accounts = await client.accounts()
        self._listings += 1
        return self._judge(account_proof(self._accounts, self._account), self._listings)

    def _judge(self, missing: str | None, tries: int) -> bool:
        evidence = live_evidence(self._validation, self._accounts, self._account)
        if evidence is not None:
            raise paper_error(evidence, self._paper_user)
        if missing is not None and tries >= TRIES:
            raise paper_error(f"{missing}, {tries} times", self._paper_user)
        return missing is None


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
