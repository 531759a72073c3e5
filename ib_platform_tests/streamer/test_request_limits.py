"""Our own programs against a simulator that keeps IBKR's limits: no drill earns them a 429."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.pacing import PacingParameters
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform.states import PodState
from ib_platform_tests.gateway.supervised import supervisor_of
from ib_platform_tests.pod_processes import health_of, running, write_config
from ib_platform_tests.simulator.client import QUICK
from ib_platform_tests.simulator.counting_pacing import CountingPacing
from ib_platform_tests.streamer.app_bench import CL, ES, assign_on_disk, streaming
from ib_platform_tests.support import make_config, wait_until

# Not even the burst that is granted to other clients.
STRICT = replace(QUICK, pacing=PacingParameters(endpoint_burst=1))


class Drill:
    """One pod whose gateway is simulated in this process, for as long as the test lasts."""

    def __init__(
        self, config: PlatformConfig, folder: Path, face: GatewayFace, pacing: CountingPacing
    ) -> None:
        self.user: PaperUser = config.paper_user("alpha")
        self.pacing = pacing
        self._face = face
        self.file = write_config(config, folder)
        self._config = config
        self._paths = PodPaths(config.runtime.state_dir, "alpha")

    @asynccontextmanager
    async def supervising(self) -> AsyncIterator[None]:
        """A supervisor as its process makes it; its own gateway program finds the port taken."""
        tls = client_ssl_context(self._paths.certificate)
        port = self.user.gateway_port
        async with GatewayClient(port, tls, pace=Pace(self._paths.pacing)) as client:
            supervisor = supervisor_of(self._config, self.user, self.file.parent, client)
            running_supervisor = asyncio.create_task(supervisor.run())
            try:
                await self.until(self.is_authenticated, "a supervised session")
                yield
            finally:
                supervisor.ask_to_stop()
                await running_supervisor

    def is_authenticated(self) -> bool:
        health = health_of(self.user.gateway_health_port, GatewayHealth)
        return health is not None and health.state is PodState.AUTHENTICATED

    def is_logged_out(self) -> bool:
        health = health_of(self.user.gateway_health_port, GatewayHealth)
        return health is not None and health.state is PodState.NO_SSO

    def log_out(self) -> None:
        assert self._face.login is not None
        self._face.world.end_login(self._face.login)

    def log_in(self) -> None:
        """As somebody who types the password anew: which login it is, must be proven anew."""
        self._face.login = self._face.world.log_in(self._face.user)

    def is_streaming(self) -> bool:
        health = health_of(self.user.health_port, StreamerHealth)
        return health is not None and health.state is PodState.STREAMING

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        def look() -> bool:
            refused = [(path, at) for at, path, allowed in self.pacing.seen if not allowed]
            assert not refused, f"answered 429: {refused}"
            return condition()

        await asyncio.to_thread(wait_until, look, what)


@pytest.fixture
async def drill(tmp_path: Path) -> AsyncIterator[Drill]:
    # The program that the supervisor starts waits for the port, all the time.
    config = make_config(tmp_path, limits={"start_budget": 600})
    user, paths = config.paper_user("alpha"), PodPaths(tmp_path, "alpha")
    ensure_certificate(paths.certificate, paths.private_key)
    assign_on_disk(config, CL, ES)
    simulated = SimulatedUser.of(user)
    world = World([simulated], seed=7, behaviour=STRICT)
    world.pacing = pacing = CountingPacing(STRICT.pacing)
    face = GatewayFace(world, simulated)
    async with gateway_listening(
        face,
        certificate=paths.certificate,
        private_key=paths.private_key,
        port=user.gateway_port,
    ):
        yield Drill(config, tmp_path, face, pacing)


async def test_restarts_of_everything_never_break_a_limit(drill: Drill) -> None:
    """Streamer killed and started again, login lost and made anew, supervisor started again:
    all within a minute, which is the interval of ``sso/validate``."""
    async with drill.supervising():
        for number in range(3):
            with running("stream", drill.file, name=f"stream{number}") as streamer:
                await asyncio.to_thread(streaming, drill.user, streamer)
                streamer.stop(signal.SIGKILL)
        with running("stream", drill.file, name="last") as streamer:
            await asyncio.to_thread(streaming, drill.user, streamer)
            drill.log_out()
            await drill.until(drill.is_logged_out, "a supervisor without a login")
            drill.log_in()
            await drill.until(drill.is_authenticated, "a supervisor with a new login")
            await drill.until(drill.is_streaming, "a streamer with a new login")
    for _ in range(2):
        async with drill.supervising():
            pass
    paths = Counter(path for _, path, _ in drill.pacing.seen)
    spent = drill.pacing.seen[-1][0] - drill.pacing.seen[0][0]
    busiest = drill.pacing.busiest_second()
    print(f"{paths.total()} requests in {spent:.0f} s, at most {busiest} in a second: {paths}")
    assert all(allowed for _, _, allowed in drill.pacing.seen)
    assert paths["/sso/validate"] <= 1 + spent // 60
    assert paths["/one/user"] >= 8, "the streamers' proofs, and those of the supervisor in between"
    assert busiest <= 9


async def test_the_limits_would_have_been_noticed(drill: Drill) -> None:
    """What the programs did before: both asked ``sso/validate`` when they started."""
    async with drill.supervising():
        tls = client_ssl_context(PodPaths(drill.file.parent, "alpha").certificate)
        async with GatewayClient(drill.user.gateway_port, tls) as careless:
            with pytest.raises(Exception, match="429"):
                await careless.sso_validate()
