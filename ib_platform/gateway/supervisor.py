"""``ib-platform gateway``: runs the gateway program and owns the brokerage session, alone.

The streamer only reads ``auth/status``; initialising, keeping alive and logging out happen here
(design section 7). A login that is not provably paper is logged out at once and never retried.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.gateway.health import SupervisorState
from ib_platform.gateway.keeper import LogIn, SessionKeeper
from ib_platform.gateway.login import log_in
from ib_platform.gateway.login_record import LoginRecord
from ib_platform.gateway.metrics import GatewayCollector
from ib_platform.gateway.program import GatewayProgram, ProgramCommand, program_command
from ib_platform.health import GatewayHealth
from ib_platform.health_server import serve_health
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.proof import PaperProof
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.session_machine import SessionMachine
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths

logger = logging.getLogger(__name__)


class Supervisor:
    """One gateway program and its session. ``run`` until ``ask_to_stop``.

    A pod that is locked runs no program: there is nothing that it could do. From the beginning
    until ``run`` ends it holds the login record of its paper user.

    Raises:
        PlatformInUseError: another supervisor of this paper user runs.
    """

    def __init__(
        self,
        config: PlatformConfig,
        user: PaperUser,
        command: ProgramCommand,
        client: GatewayClient,
        log_in: LogIn,
        *,
        unlock_token: str = "",
    ) -> None:
        paths = PodPaths(config.runtime.state_dir, user.name)
        self._user = user
        self._client = client
        self._stop_deadline = config.limits.shutdown_deadline
        self._program = GatewayProgram(
            command, user.gateway_port, port_deadline=config.limits.start_budget
        )
        self._state = SupervisorState()
        self._registry = CollectorRegistry()
        self._registry.register(GatewayCollector(self._health))
        self._stopping = asyncio.Event()
        policy = config.gateway.session
        self._record = record = LoginRecord(paths.login_record)
        record.own()
        history = record.load(user.username, unlock_token, time.time(), policy)
        self._machine = SessionMachine(policy, history, time.monotonic())
        self._keeper = SessionKeeper(
            self._machine,
            client,
            PaperProof(user.account, user.name),
            record,
            self._program,
            log_in,
            self._state,
            stop_deadline=self._stop_deadline,
        )

    def ask_to_stop(self) -> None:
        """End ``run`` in order; called by SIGTERM and SIGINT."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve health, run the program, keep the session; ends in order when asked to.

        Raises:
            PlatformInUseError: the health port or the gateway port is taken.
        """
        try:
            await self._run()
        finally:
            self._record.release()

    async def _run(self) -> None:
        probes = self._state.probes(self._health)
        async with serve_health(self._user.gateway_health_port, probes, self._registry):
            program = asyncio.create_task(self._run_program(), name="program")
            session = asyncio.create_task(self._keeper.keep(), name="session")
            stopping = asyncio.create_task(self._stopping.wait(), name="stopping")
            try:
                tasks = {program, session, stopping}
                while not stopping.done():
                    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                    tasks -= done
                    for task in done:
                        if not task.cancelled():
                            task.result()
            finally:
                await self._end((program, session, stopping))

    async def _run_program(self) -> None:
        """Keep the program running until the session is locked: nobody may use it any more."""
        if self._machine.history.lock is not None:
            return
        running = asyncio.create_task(self._program.keep_running(), name="gateway program")
        locked = asyncio.create_task(self._keeper.locked.wait(), name="locked")
        try:
            await asyncio.wait({running, locked}, return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
        finally:
            for task in (running, locked):
                task.cancel()
            # What the program raised has been raised already.
            await asyncio.gather(running, locked, return_exceptions=True)
        await self._program.stop(self._stop_deadline)

    def _health(self) -> GatewayHealth:
        return self._state.health(
            self._user.name,
            self._machine,
            program_pid=self._program.pid,
            starts=self._program.starts,
            penalty_until=self._client.pace.penalty_until,
        )

    async def _end(self, tasks: tuple[asyncio.Task[object], ...]) -> None:
        for task in tasks:
            task.cancel()
        # What a task raised has been raised by run() already.
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._program.pid is not None:
            await self._keeper.log_out()
        await self._program.stop(self._stop_deadline)
        logger.info("gateway of %s stopped", self._user.name)


async def _supervise(
    config: PlatformConfig, user: PaperUser, config_file: Path, unlock_token: str
) -> None:
    paths = PodPaths(config.runtime.state_dir, user.name)
    ensure_certificate(paths.certificate, paths.private_key)
    command = program_command(config, user, config_file)
    tls = client_ssl_context(paths.certificate)
    pacing = config.gateway.pacing
    pace = Pace(
        paths.pacing, share=pacing.supervisor_per_second, penalty_pause=pacing.penalty_pause
    )
    async with GatewayClient(user.gateway_port, tls, pace=pace) as client:
        login = partial(log_in, user, config.gateway.login, paths, now=lambda: datetime.now(UTC))
        supervisor = Supervisor(config, user, command, client, login, unlock_token=unlock_token)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, supervisor.ask_to_stop)
        await supervisor.run()


def run(
    config: PlatformConfig, paper_user: str, config_file: Path, *, unlock_token: str = ""
) -> None:
    """Supervise the gateway of ``paper_user`` until SIGTERM or SIGINT; then log out, stop, return.

    ``config_file`` is handed to the gateway program. ``unlock_token``: another one than that under
    which the paper user was locked ends the lock.

    Raises:
        ConfigurationError: no such paper user, or IBKR's program is not where it should be.
        MissingDependencyError: the gateway program is IBKR's, and there is no Java.
        PlatformInUseError: its gateway port or health port is taken.
    """
    user = config.paper_user(paper_user)
    asyncio.run(_supervise(config, user, config_file, unlock_token))
