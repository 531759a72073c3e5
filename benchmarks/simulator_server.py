"""The simulator process of the benchmark ``simulator``: many gateways, pinned to one core.

Prints one line of JSON with its ports, accounts and conids when all listen, and on every line that
comes in another one with what its clock has measured since the line before.

python -m benchmarks.simulator_server FOLDER CLIENTS LADDERS SCALE CORE
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.clock import ScaledClock
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World


class MeasuringClock(ScaledClock):
    """Notes how much later than asked a sleeper wakes: the lag behind its grid point."""

    def __init__(self, scale: float) -> None:
        super().__init__(scale)
        self.late: list[float] = []

    async def sleep(self, seconds: float) -> None:
        due = self.now() + seconds
        await super().sleep(seconds)
        self.late.append((self.now() - due) / self.scale)

    def taken(self) -> list[float]:
        """Lags in real milliseconds since the last call."""
        late, self.late = self.late, []
        return [round(value * 1000, 3) for value in late]


async def serve(folder: Path, clients: int, ladders: int, scale: float) -> None:
    certificate, key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, key)
    users = [
        SimulatedUser(
            username=f"paper{number:04}",
            password="not used here",
            account=f"DU{2_000_000 + number}",
            depth_slots=ladders,
        )
        for number in range(clients)
    ]
    clock, behaviour = MeasuringClock(scale), Behaviour()
    session = replace(behaviour.session, idle_timeout=1e9)
    world = World(users, seed=1, behaviour=replace(behaviour, session=session), clock=clock)
    ports = []
    async with AsyncExitStack() as stack:
        for user in users:
            face = GatewayFace(world, user)
            assert face.login is not None, "gateways start logged in"
            face.login.sessions.start_brokerage(face.login.token, clock.now(), compete=False)
            listening = gateway_listening(face, certificate=certificate, private_key=key, port=0)
            ports.append((await stack.enter_async_context(listening)).port)
        months = [world.catalogue.months_of(symbol)[0] for symbol in world.catalogue.symbols]
        conids = [contract.conid for contract in months[:ladders]]
        accounts = [user.account for user in users]
        print(json.dumps({"ports": ports, "accounts": accounts, "conids": conids}), flush=True)
        while await asyncio.to_thread(sys.stdin.readline):
            print(json.dumps({"late": clock.taken()}), flush=True)


def main() -> None:
    folder, clients, ladders, scale, core = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    asyncio.run(serve(Path(folder), int(clients), int(ladders), float(scale)))


if __name__ == "__main__":
    main()
