"""``ib-platform gateway``: runs the gateway program and owns the brokerage session, alone.

The streamer only reads ``auth/status``; initialising, keeping alive and logging out happen here
(design section 7). A login that is not provably paper is logged out at once and never retried.
"""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import GatewayError, LiveAccountError
from ib_platform.gateway.health import SupervisorState
from ib_platform.gateway.program import GatewayProgram, program_argv
from ib_platform.health import GatewayHealth
from ib_platform.health_server import serve_health
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.proof import PaperProof
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.session import Judgement, judge_failure, judge_status
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.states import PodState

logger = logging.getLogger(__name__)
TICKLE_EVERY = 50.0
_INIT_EVERY = 5.0
_LOGOUT_TIMEOUT = 3.0
_POLL_SETTLED = 5.0
_POLL_UNSETTLED = 1.0
_PENALTY_PAUSE = 60.0
_UNPROVEN = Judgement(
    PodState.SSO_ONLY, "logged in, but the gateway has not said yet whether the login is paper"
)


def poll_pause(state: PodState) -> float:
    """Seconds until the next look at the session."""
    if state is PodState.AUTHENTICATED:
        return _POLL_SETTLED
    return _PENALTY_PAUSE if state is PodState.PENALTY else _POLL_UNSETTLED


class Supervisor:
    """One gateway program and its session. ``run`` until ``ask_to_stop``."""

    def __init__(
        self, config: PlatformConfig, user: PaperUser, config_file: Path, client: GatewayClient
    ) -> None:
        self._user = user
        self._health_port = user.gateway_health_port
        self._stop_deadline = config.limits.shutdown_deadline
        self._client = client
        self._program = GatewayProgram(
            program_argv(config, user, config_file),
            user.gateway_port,
            port_deadline=config.limits.start_budget,
        )
        self._state = SupervisorState()
        self._stopping = asyncio.Event()
        self._proof = PaperProof(user.account, user.name)
        self._proof_pid: int | None = None
        self._proven = False
        self._next_tickle = self._next_init = 0.0

    def ask_to_stop(self) -> None:
        """End ``run`` in order; called by SIGTERM and SIGINT."""
        self._stopping.set()

    async def run(self) -> None:
        """Serve health, run the program, keep the session; ends in order when asked to.

        Raises:
            PlatformInUseError: the health port or the gateway port is taken.
        """
        async with serve_health(self._health_port, self._state.probes(self._health)):
            program = asyncio.create_task(self._program.keep_running(), name="program")
            session = asyncio.create_task(self._keep_session(program), name="session")
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

    def _health(self) -> GatewayHealth:
        return self._state.health(self._user.name, self._program.pid, self._program.starts)

    async def _keep_session(self, program: asyncio.Task[None]) -> None:
        while True:
            try:
                judgement = await self._look()
            except GatewayCallError as error:
                judgement = judge_failure(error.status)
            except LiveAccountError as error:
                await self._refuse(error, program)
                return
            if self._state.update(judgement):
                logger.info("session: %s: %s", judgement.state, judgement.reason)
            if judgement.state in (PodState.DOWN, PodState.NO_SSO):
                # The next login may be somebody else's.
                self._forget_login()
            await asyncio.sleep(poll_pause(judgement.state))

    async def _look(self) -> Judgement:
        """Read the session, and cure what one request can cure."""
        now = asyncio.get_running_loop().time()
        if self._state.judgement.state is PodState.PENALTY or now >= self._next_tickle:
            # After a penalty the first try is one tickle (reference, section 2.3).
            await self._client.tickle()
            self._next_tickle = now + TICKLE_EVERY
        status = await self._client.auth_status()
        if self._program.pid != self._proof_pid:
            self._forget_login()
            self._proof_pid = self._program.pid
        if _needs_initialising(status) and now >= self._next_init:
            # No brokerage session for a login of which it is not known that it is paper.
            if not await self._proof.login_is_paper(self._client, now):
                return _UNPROVEN
            self._next_init = now + _INIT_EVERY
            status = status.merged_with(await self._client.ssodh_init())
        if status.usable and not self._proven:
            if not await self._proof.is_proven(self._client, now):
                return _UNPROVEN
            self._proven = True
            logger.info("login of %s is proven to be paper", self._user.name)
        return judge_status(status)

    def _forget_login(self) -> None:
        self._proof.forget()
        self._proven = False
        self._next_init = 0.0

    async def _refuse(self, error: LiveAccountError, program: asyncio.Task[None]) -> None:
        logger.critical("%s", error)
        self._state.update(Judgement(PodState.REFUSED_LIVE, str(error)))
        await self._logout()
        program.cancel()
        await self._program.stop(self._stop_deadline)

    async def _logout(self) -> None:
        try:
            async with asyncio.timeout(_LOGOUT_TIMEOUT):
                await self._client.logout()
        except (GatewayError, TimeoutError) as error:
            logger.warning("logout failed: %s", error)

    async def _end(self, tasks: tuple[asyncio.Task[object], ...]) -> None:
        for task in tasks:
            task.cancel()
        # What a task raised has been raised by run() already.
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._program.pid is not None:
            await self._logout()
        await self._program.stop(self._stop_deadline)
        logger.info("gateway of %s stopped", self._user.name)


def _needs_initialising(status: SessionStatus) -> bool:
    """A login without a brokerage session. A gateway that has just been logged in says that it
    is not connected either; without a login it answers 401 instead."""
    return status.authenticated is False and status.connected is not None and not status.competing


async def _supervise(config: PlatformConfig, user: PaperUser, config_file: Path) -> None:
    paths = PodPaths(config.runtime.state_dir, user.name)
    ensure_certificate(paths.certificate, paths.private_key)
    tls = client_ssl_context(paths.certificate)
    async with GatewayClient(user.gateway_port, tls, pace=Pace(paths.pacing)) as client:
        supervisor = Supervisor(config, user, config_file, client)
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, supervisor.ask_to_stop)
        await supervisor.run()


def run(config: PlatformConfig, paper_user: str, config_file: Path) -> None:
    """Supervise the gateway of ``paper_user`` until SIGTERM or SIGINT; then log out, stop, return.

    ``config_file`` is handed to the gateway program.

    Raises:
        ConfigurationError: no such paper user.
        PlatformInUseError: its gateway port or health port is taken.
    """
    asyncio.run(_supervise(config, config.paper_user(paper_user), config_file))
