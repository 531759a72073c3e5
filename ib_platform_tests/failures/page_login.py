"""A login over HTTP, where the browser is not the subject of a test."""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform.simulator.login_page import WRONG_PASSWORD
from ib_platform.simulator.users import SimulatedUser
from ib_platform_tests.simulator.client import Client
from ib_platform_tests.simulator.login_client import script_of


@dataclass
class PageLogin:
    """Logs in as the page's script does. ``paper``: where its switch stands, None = it has none.
    ``outcome`` other than None stands in for the page."""

    client: Client
    user: SimulatedUser
    paper: bool | None = True
    outcome: LoginOutcome | None = None
    made: int = 0

    async def __call__(self) -> LoginResult:
        self.made += 1
        if self.outcome is not None:
            return LoginResult(self.outcome, f"the page: {self.outcome.value}")
        script = script_of(self.client)
        step = await script.prove(self.user.username, self.user.password, paper=self.paper)
        if step["step"] == "done":
            await script.dispatch()
            return LoginResult(LoginOutcome.SUBMITTED, "Client login succeeds")
        if step["step"] != "error":
            return LoginResult(LoginOutcome.SECOND_FACTOR, f"the page asks for a {step['step']}")
        rejected = step["text"] == WRONG_PASSWORD
        return LoginResult(
            LoginOutcome.REJECTED if rejected else LoginOutcome.REFUSED, step["text"]
        )
