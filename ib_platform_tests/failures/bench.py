"""One paper user's pod against a simulated IBKR, for failures that a test injects.

The simulator and the gateway supervisor run in this process, so that faults can be begun at a known
instant; the streamer is a process of its own; ClickHouse is real. The login goes over HTTP, as the
page's script does it, unless the browser is the subject.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ib_platform.config import ClickHouse, PaperUser, PlatformConfig
from ib_platform.health import ContractHealth, GatewayHealth, StreamerHealth
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.paths import PodPaths
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.drill import FaultWatch, GatewayPort
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_spec import FaultKind, Value
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.pacing import PacingParameters
from ib_platform.simulator.session_states import SessionParameters
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform.states import PodState
from ib_platform.warehouse.assignments import write_assignment
from ib_platform.warehouse.compact import build_open_date
from ib_platform.warehouse.connect import connect
from ib_platform_tests.failures.page_login import PageLogin
from ib_platform_tests.failures.supervision import Supervision, with_credentials
from ib_platform_tests.pod_processes import PodProcess, health_of, running, write_config
from ib_platform_tests.simulator.client import client_of
from ib_platform_tests.simulator.counting_pacing import CountingPacing
from ib_platform_tests.streamer.app_bench import CL, ES, Content, query
from ib_platform_tests.support import make_config, wait_until

T = TypeVar("T")
BOX = 8.0
"""Seconds that the simulated penalty box holds; the pod waits longer (``penalty_pause``)."""
PENALTY_PAUSE = 12.0
TRADED = Behaviour(
    pacing=PacingParameters(penalty=BOX),
    session=SessionParameters(
        authentication_delay=0.5, login_delay=(0.5, 1.0), wait_share=0.0, lock_after=5
    ),
)
"""Sessions begin quickly, everything else keeps IBKR's times."""


class Event(NamedTuple):
    """A row of ``stream_events``; ``detail`` as JSON text."""

    kind: str
    cause: str | None
    contract: str | None
    detail: str


class Gap(NamedTuple):
    """A row of ``gaps``."""

    contract: str
    cause: str
    seconds: float


@dataclass
class Bench:
    """The running pod, and the world that it lives in."""

    config: PlatformConfig
    user: PaperUser
    face: GatewayFace
    login: PageLogin
    streamer: PodProcess
    warehouse: ClickHouse
    requests: CountingPacing
    supervision: Supervision

    @property
    def world(self) -> World:
        return self.face.world

    def inject(
        self,
        kind: FaultKind,
        seconds: float | None = None,
        symbol: str | None = None,
        **parameters: Value,
    ) -> Fault:
        """Begin a fault now."""
        return self.world.faults.begin(
            kind,
            self.world.clock.now(),
            seconds=seconds,
            username=self.user.username,
            symbol=symbol,
            parameters=parameters,
        )

    def gateway(self) -> GatewayHealth:
        health = health_of(self.user.gateway_health_port, GatewayHealth)
        assert health is not None, "the supervisor does not answer"
        return health

    def health(self) -> StreamerHealth:
        code = self.streamer.process.poll()
        assert code is None, f"the streamer ended with {code}: {self.streamer.output()[-2000:]}"
        health = health_of(self.user.health_port, StreamerHealth)
        assert health is not None, "the streamer does not answer"
        return health

    def contract(self, key: str = CL) -> ContractHealth:
        return self.health().contracts[key]

    def all_live(self) -> bool:
        """Whether everything is well: session, streamer, and fresh frames of every ladder."""
        health = self.health()
        now = datetime.now(UTC)
        fresh = all(
            contract.last_frame_at is not None and (now - contract.last_frame_at).seconds < 3
            for contract in health.contracts.values()
        )
        return (
            self.gateway().state is PodState.AUTHENTICATED
            and health.state is PodState.STREAMING
            and {contract.state.value for contract in health.contracts.values()} == {"LIVE"}
            and fresh
        )

    async def until(self, condition: Callable[[], T], what: str, patience: float = 90) -> T:
        return await asyncio.to_thread(wait_until, condition, what, patience)

    async def seconds_until(
        self, condition: Callable[[], object], what: str, patience: float = 90
    ) -> float:
        began = time.monotonic()
        await self.until(condition, what, patience)
        return time.monotonic() - began

    async def stop_streamer(self) -> None:
        assert await asyncio.to_thread(self.streamer.stop) == 0

    async def end(self) -> tuple[GatewayHealth, list[Event], list[Gap]]:
        """Stop the streamer in order; what the supervisor said last, and what the record says."""
        health = await asyncio.to_thread(self.gateway)
        await self.stop_streamer()
        return health, await asyncio.to_thread(self.recorded), await asyncio.to_thread(self._gaps)

    def recorded(self) -> list[Event]:
        """The events in the database, in order; those of the last moment may still be missing."""
        rows = query(
            self.warehouse,
            "SELECT kind, cause, contract, detail FROM stream_events FINAL ORDER BY at, event_no",
        )
        return [Event(*row) for row in rows]

    def _gaps(self) -> list[Gap]:
        """What the compaction of today says."""
        client = connect(self.warehouse)
        build_open_date(client, self.config, trade_date_of(datetime.now(UTC)))
        rows = client.query(
            "SELECT contract, cause, date_diff('millisecond', begin, end) / 1000 FROM gaps "
            "ORDER BY begin"
        ).result_rows
        client.close()
        return [Gap(*row) for row in rows]


@asynccontextmanager
async def failure_bench(
    folder: Path, warehouse: ClickHouse, behaviour: Behaviour = TRADED, **overrides: Any
) -> AsyncIterator[Bench]:
    """A pod whose two ladders are live. ``overrides``: sections of the configuration."""
    async with pod_bench(folder, warehouse, behaviour, **overrides) as bench:
        await bench.until(lambda: _answers(bench), "the pod's health")
        await bench.until(bench.all_live, "two live ladders")
        yield bench


@asynccontextmanager
async def pod_bench(
    folder: Path,
    warehouse: ClickHouse,
    behaviour: Behaviour = TRADED,
    *,
    who_logs_in: Mapping[str, Any] | None = None,
    browser: bool = False,
    **overrides: Any,
) -> AsyncIterator[Bench]:
    """A pod that has just been started. ``who_logs_in``: what is different about the simulated
    user from what the configuration says. ``browser``: a real one logs in."""
    limits = {"start_budget": 7200, "silent_after": 20, "heartbeat_timeout": 12}
    gateway = overrides.pop("gateway", {})
    # The hour of the day must not matter: in IBKR's own nightly outage nobody logs in.
    session = {"expected_outages": []} | gateway.get("session", {})
    sections: dict[str, Any] = {
        "clickhouse": warehouse.model_dump(),
        "limits": limits | overrides.pop("limits", {}),
        "gateway": {"pacing": {"penalty_pause": PENALTY_PAUSE}} | gateway | {"session": session},
    }
    config = with_credentials(make_config(folder, **sections, **overrides), folder)
    user, paths = config.paper_user("alpha"), PodPaths(folder, "alpha")
    ensure_certificate(paths.certificate, paths.private_key)
    with closing(connect(warehouse)) as rebalance:
        # Due in a minute, or with the first frame: no start is a gap.
        write_assignment(rebalance, Content((CL, ES)), grace=60)
    told = SimulatedUser.of(user).model_dump() | dict(who_logs_in or {})
    simulated = SimulatedUser.model_validate(told)
    world = World([simulated], seed=7, behaviour=behaviour)
    world.pacing = requests = CountingPacing(behaviour.pacing)
    face = GatewayFace(world, simulated)
    tls = client_ssl_context(paths.certificate)
    pacing = config.gateway.pacing
    pace = Pace(
        paths.pacing, share=pacing.supervisor_per_second, penalty_pause=pacing.penalty_pause
    )
    async with (
        gateway_listening(
            face,
            certificate=paths.certificate,
            private_key=paths.private_key,
            port=user.gateway_port,
        ) as listener,
        client_of(user.gateway_port, tls) as page,
        GatewayClient(user.gateway_port, tls, pace=pace) as client,
    ):
        login = PageLogin(page, simulated, True if behaviour.login_page.toggle else None)
        supervision = Supervision(config, client, None if browser else login)
        supervision.start()
        watch = FaultWatch(face.world, [GatewayPort(listener, user.username)])
        watching = asyncio.create_task(watch.run())
        try:
            with running("stream", write_config(config, folder)) as streamer:
                yield Bench(config, user, face, login, streamer, warehouse, requests, supervision)
        finally:
            watching.cancel()
            await supervision.stop()


def _answers(bench: Bench) -> bool:
    answers = (
        health_of(bench.user.gateway_health_port, GatewayHealth),
        health_of(bench.user.health_port, StreamerHealth),
    )
    return None not in answers


def logged_out(behaviour: Behaviour = TRADED) -> Behaviour:
    """The same world before anybody has logged in."""
    return replace(behaviour, gateway=replace(behaviour.gateway, logged_in=False))
