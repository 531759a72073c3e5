"""A scenario under a test's hand: its faults begin when the test says that their time has come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.drill import FaultWatch, GatewayPort, begin
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.scenario import Scenario
from ib_platform.simulator.scenario_library import load_scenario
from ib_platform.simulator.timeline import Timeline
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import QUICK, USER, Client, client_of

OTHER = USER.model_copy(
    update={"name": "beta", "username": "paperb02", "account": "DU1000002", "gateway_port": 5010}
)
USERNAMES = {user.name: user.username for user in (USER, OTHER)}


class JumpingClock:
    """The machine's time, and whatever a test jumps over. Sleepers wake when their time has come,
    by either."""

    def __init__(self, start: datetime | None = None) -> None:
        self._jumped_over = 0.0
        self._wall_offset = (time.time() if start is None else start.timestamp()) - time.monotonic()
        self._jumped = asyncio.Event()

    def now(self) -> float:
        return time.monotonic() + self._jumped_over

    def wall(self) -> float:
        return self.now() + self._wall_offset

    def jump(self, seconds: float) -> None:
        assert seconds >= 0, "time does not go back"
        self._jumped_over += seconds
        jumped, self._jumped = self._jumped, asyncio.Event()
        jumped.set()

    async def sleep(self, seconds: float) -> None:
        until = self.now() + seconds
        await asyncio.sleep(0)
        while (remaining := until - self.now()) > 0:
            try:
                async with asyncio.timeout(remaining):
                    await self._jumped.wait()
            except TimeoutError:
                continue


@dataclass
class Drilled:
    """A scenario at the gateways of two users; ``client`` and ``face`` are the first one's."""

    scenario: Scenario
    world: World
    clock: JumpingClock
    timeline: Timeline
    watch: FaultWatch
    clients: tuple[Client, Client]
    faces: tuple[GatewayFace, GatewayFace]

    @property
    def client(self) -> Client:
        return self.clients[0]

    @property
    def face(self) -> GatewayFace:
        return self.faces[0]

    async def at(self, seconds: float) -> None:
        """Let it be so many seconds after the start, and begin what is due by then."""
        self.clock.jump(max(0.0, seconds - self.world.elapsed))
        for fault in self.timeline.take(self.world.elapsed):
            begin(self.world, fault, USERNAMES)
        await self.watch.look()


def quickened(behaviour: Behaviour) -> Behaviour:
    """What the scenario says, and the tests' quick times for what it does not say."""
    merged: Behaviour = _merged(behaviour, Behaviour(), QUICK)
    return merged


def _merged(wanted: Any, default: Any, quick: Any) -> Any:
    changes = {}
    for field in fields(wanted):
        mine, usual, fast = (getattr(each, field.name) for each in (wanted, default, quick))
        if is_dataclass(mine):
            changes[field.name] = _merged(mine, usual, fast)
        else:
            changes[field.name] = fast if mine == usual else mine
    return replace(wanted, **changes)


@asynccontextmanager
async def drilled(folder: Path, name: str) -> AsyncIterator[Drilled]:
    """A scenario of the platform, with two listening gateways. It begins with the first ``at``."""
    scenario = load_scenario(name)
    clock = JumpingClock(scenario.clock.start)
    world = World(
        scenario.users_with((USER, OTHER)),
        seed=7 if scenario.seed is None else scenario.seed,
        behaviour=quickened(scenario.behaviour),
        clock=clock,
    )
    users = [world.user(user.username) for user in (USER, OTHER)]
    first, second = (GatewayFace(world, user) for user in users if user is not None)
    certificate, key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, key)
    context = client_ssl_context(certificate)
    files = {"certificate": certificate, "private_key": key}
    async with (
        gateway_listening(first, port=0, **files) as port,
        gateway_listening(second, port=0, **files) as other_port,
        client_of(port.port, context) as client,
        client_of(other_port.port, context) as other,
    ):
        ports = [GatewayPort(port, USER.username), GatewayPort(other_port, OTHER.username)]
        yield Drilled(
            scenario,
            world,
            clock,
            Timeline(scenario.faults, world.seed),
            FaultWatch(world, ports),
            (client, other),
            (first, second),
        )
