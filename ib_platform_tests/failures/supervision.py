"""The gateway supervisor of a bench: a task of the test's process; another one after a restart."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from ib_platform.config import PlatformConfig
from ib_platform.gateway.keeper import LogIn
from ib_platform.gateway.login import log_in
from ib_platform.gateway.program import ProgramCommand
from ib_platform.gateway.supervisor import Supervisor
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.paths import PodPaths
from ib_platform.simulator.users import simulated_password

# The gateway stands already: what the supervisor runs only has to live.
_PROGRAM = ProgramCommand((sys.executable, "-c", "import time; time.sleep(86400)"))


class Supervision:
    """Paper user alpha's. ``login`` None: the real browser."""

    def __init__(self, config: PlatformConfig, client: GatewayClient, login: LogIn | None) -> None:
        self._client = client
        self._login = login
        self._config = config
        self._supervisor: Supervisor | None = None
        self._running: asyncio.Task[None] | None = None

    def start(self, config: PlatformConfig | None = None, unlock_token: str = "") -> None:
        """``config``: another one than before. ``unlock_token``: as ``ib-platform unlock`` does."""
        config = config or self._config
        user, paths = config.paper_user("alpha"), PodPaths(config.runtime.state_dir, "alpha")
        login = self._login or partial(
            log_in, user, config.gateway.login, paths, now=lambda: datetime.now(UTC)
        )
        self._supervisor = Supervisor(
            config, user, _PROGRAM, self._client, login, unlock_token=unlock_token
        )
        self._running = asyncio.create_task(self._supervisor.run())

    async def stop(self) -> None:
        """In order, as SIGTERM does; raises what it has raised."""
        assert self._supervisor is not None
        assert self._running is not None
        self._supervisor.ask_to_stop()
        await self._running


def with_credentials(config: PlatformConfig, folder: Path) -> PlatformConfig:
    """The same with the passwords of its simulated users in private files."""
    secrets = folder / "secrets"
    secrets.mkdir()
    data = config.model_dump()
    for user in data["paper_users"]:
        file = secrets / user["name"]
        file.touch(mode=0o600)
        file.write_text(simulated_password(user["username"]))
        user["credentials"] = {"password_file": file}
    return PlatformConfig(**data)
