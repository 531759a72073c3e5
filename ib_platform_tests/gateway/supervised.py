"""A supervisor in this process, before a gateway and with logins that a test scripts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.gateway.keeper import LogIn
from ib_platform.gateway.program import program_command
from ib_platform.gateway.supervisor import Supervisor
from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform.ibkr.rest import GatewayClient
from ib_platform_tests.pod_processes import write_config


@dataclass
class ScriptedLogins:
    """Stands where the browser does. ``outcomes``: what comes of the logins, the last one stays."""

    outcomes: list[LoginOutcome] = field(default_factory=lambda: [LoginOutcome.NO_CREDENTIALS])
    made: int = 0

    async def __call__(self) -> LoginResult:
        self.made += 1
        outcome = self.outcomes.pop(0) if len(self.outcomes) > 1 else self.outcomes[0]
        return LoginResult(outcome, f"scripted: {outcome.value}")


def supervisor_of(
    config: PlatformConfig,
    user: PaperUser,
    folder: Path,
    client: GatewayClient,
    logins: LogIn | None = None,
    *,
    unlock_token: str = "",
) -> Supervisor:
    """A supervisor whose program is the simulator, if the gateway port is free."""
    command = program_command(config, user, write_config(config, folder))
    return Supervisor(
        config, user, command, client, logins or ScriptedLogins(), unlock_token=unlock_token
    )
