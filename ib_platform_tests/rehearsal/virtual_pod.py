"""A whole pod and the IBKR that it talks to in one process, in virtual time.

Supervisor's session keeper, streamer, spool, loader, simulated gateway and ClickHouse are the real
ones, over real sockets; time alone is virtual. What is missing of a real pod: the gateway program
as a process, and the browser (the login goes over HTTP, as the page's script does it).
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import cast

from ib_platform.clocks import Clocks
from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.gateway.health import SupervisorState
from ib_platform.gateway.keeper import SessionKeeper
from ib_platform.gateway.login_record import LoginRecord
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.proof import PaperProof
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.session_machine import SessionMachine
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform.states import ContractState, PodState
from ib_platform.streamer.app import Streamer
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool, new_run_id
from ib_platform_tests.failures.page_login import PageLogin
from ib_platform_tests.rehearsal.virtual_time import VirtualTimeLoop
from ib_platform_tests.simulator.client import client_of

_NANOS = 1_000_000_000
_WELL = (ContractState.LIVE, ContractState.MARKET_CLOSED)


class VirtualClock:
    """The simulation's clock, over the same loop."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks

    def now(self) -> float:
        return self._clocks.seconds()

    def wall(self) -> float:
        return self._clocks.unix()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@dataclass
class Program:
    """A gateway program that somebody else runs. ``restarts``: how often a new one was wanted."""

    pids: itertools.count[int]
    pid: int
    restarts: int = 0

    async def restart(self, deadline: float) -> None:
        self.restarts += 1
        self.pid = next(self.pids)


@dataclass
class VirtualPod:
    """The running pod. ``clocks``: virtual time."""

    loop: VirtualTimeLoop
    clocks: Clocks
    world: World
    user: PaperUser
    machine: SessionMachine
    supervisor: SupervisorState
    program: Program
    login: PageLogin
    streamer: Streamer
    loader: Loader
    spool: Spool

    @property
    def is_live(self) -> bool:
        """Session and ladders are well, as the pod itself says; a closed market is well too."""
        health = self.streamer.state.health()
        return (
            self.machine.judgement.state is PodState.AUTHENTICATED
            and health.state is PodState.STREAMING
            and all(contract.state in _WELL for contract in health.contracts.values())
        )

    async def until_live(self, seconds: float) -> None:
        """AssertionError after so many (virtual) seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not self.is_live:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
        except TimeoutError:
            health = self.streamer.state.health()
            raise AssertionError(
                f"not live within {seconds:.0f} s: {self.machine.judgement}, {health}"
            ) from None


@asynccontextmanager
async def virtual_pod(
    config: PlatformConfig, began: datetime, behaviour: Behaviour
) -> AsyncIterator[VirtualPod]:
    """The pod of alpha, running; its world begins at ``began``. At the end the streamer stops in
    order and the spool is loaded."""
    loop = cast("VirtualTimeLoop", asyncio.get_running_loop())
    clocks = loop.clocks(round(began.timestamp() * _NANOS) - round(loop.time() * _NANOS))
    user = config.paper_user("alpha")
    paths = PodPaths(config.runtime.state_dir, user.name)
    ensure_certificate(paths.certificate, paths.private_key)
    world = World([SimulatedUser.of(user)], seed=7, behaviour=behaviour, clock=VirtualClock(clocks))
    face = GatewayFace(world, SimulatedUser.of(user))
    tls = client_ssl_context(paths.certificate)
    pacing = config.gateway.pacing
    pace = Pace(
        paths.pacing,
        share=pacing.supervisor_per_second,
        penalty_pause=pacing.penalty_pause,
        clock=clocks.seconds,
        wall=clocks.unix,
    )
    spool = Spool.open(
        paths.spool,
        user.name,
        new_run_id(user.name, clocks.utc()),
        segment_bytes=config.limits.segment_bytes,
        clocks=clocks,
    )
    async with AsyncExitStack() as stack:
        stack.callback(spool.close)
        await stack.enter_async_context(
            gateway_listening(
                face,
                certificate=paths.certificate,
                private_key=paths.private_key,
                port=user.gateway_port,
            )
        )
        page = await stack.enter_async_context(client_of(user.gateway_port, tls))
        client = await stack.enter_async_context(GatewayClient(user.gateway_port, tls, pace=pace))
        pids = itertools.count(1)
        program = Program(pids, next(pids))
        login = PageLogin(page, SimulatedUser.of(user))
        machine = SessionMachine(
            config.gateway.session, LoginHistory(user.username), clocks.seconds()
        )
        state = SupervisorState()
        keeper = SessionKeeper(
            machine,
            client,
            PaperProof(user.account, user.name),
            LoginRecord(paths.login_record),
            program,
            login,
            state,
            stop_deadline=1,
            clock=clocks.seconds,
            wall=clocks.utc,
        )
        loader = Loader(spool, config.clickhouse, config.limits)
        streamer = Streamer(config, user, spool, loader, clocks)
        loader.start()
        keeping = asyncio.create_task(keeper.keep())
        streaming = asyncio.create_task(streamer.run())
        try:
            yield VirtualPod(
                loop, clocks, world, user, machine, state, program, login, streamer, loader, spool
            )
        finally:
            streamer.ask_to_stop()
            await streaming
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await asyncio.to_thread(loader.stop, 120)
            streamer.join_threads()
