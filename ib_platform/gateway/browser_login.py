"""The login that a session keeper calls: credentials are read anew, then the browser is run."""

from __future__ import annotations

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.gateway.keeper import LogIn
from ib_platform.ibkr.login_outcome import LoginResult


def browser_login(config: PlatformConfig, user: PaperUser) -> LogIn:
    """A function that logs ``user`` in once, and never raises for what the page does."""

    async def log_in() -> LoginResult:
        raise NotImplementedError

    return log_in
