"""Playing a scenario in a running simulation, and what faults do to its ports.

Begin and end of every fault are one log line each.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from ib_platform.errors import PlatformInUseError
from ib_platform.simulator.fault_kinds import FaultKind, checked_parameters
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.listener import Listener
from ib_platform.simulator.scenario import Scenario, ScheduledFault
from ib_platform.simulator.timeline import Timeline
from ib_platform.simulator.world import World

logger = logging.getLogger(__name__)
_WATCH_SECONDS = 0.1
FIRST = "first"
"""Stands for the first configured paper user, so that scenarios fit every configuration."""


class NotHereError(ValueError):
    """A fault names somebody or something that this simulation does not have. ``key``: which of
    the fault's keys does."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


@dataclass(frozen=True)
class GatewayPort:
    """A gateway's port and whose it is; None: the upstream, which is everybody's."""

    listener: Listener
    username: str | None


def username_of(world: World, fault: ScheduledFault, usernames: Mapping[str, str]) -> str | None:
    """Whom a fault concerns; None: everybody. ``usernames``: by name of the paper user.

    Raises:
        NotHereError: an unknown paper user, username or symbol; says which are known.
    """
    username = fault.username
    if fault.paper_user is not None:
        username = usernames.get(fault.paper_user)
        if username is None and fault.paper_user == FIRST:
            username = next(iter(usernames.values()), None)
        if username is None:
            raise _unknown(fault, "paper_user", fault.paper_user, usernames)
    if username is not None and world.user(username) is None:
        raise _unknown(fault, "username", username, [user.username for user in world.users])
    if fault.symbol is not None and not world.catalogue.months_of(fault.symbol):
        raise _unknown(fault, "symbol", fault.symbol, world.catalogue.symbols)
    return username


def begin(world: World, fault: ScheduledFault, usernames: Mapping[str, str]) -> Fault:
    """Start a fault now. Raises like ``username_of``."""
    return world.faults.begin(
        fault.fault,
        world.clock.now(),
        seconds=fault.seconds,
        username=username_of(world, fault, usernames),
        symbol=fault.symbol,
        parameters=checked_parameters(fault.fault, fault.parameters),
    )


async def play(
    world: World, faults: Sequence[ScheduledFault], seed: int, usernames: Mapping[str, str]
) -> None:
    """Let the faults of a scenario begin in their time, from now on, until none is left."""
    timeline = Timeline(faults, seed)
    began = world.clock.now()
    while (due := timeline.next_due) is not None:
        await world.clock.sleep(began + due - world.clock.now())
        for fault in timeline.take(world.clock.now() - began):
            begin(world, fault, usernames)


class Player:
    """The scenarios that are played in a running simulation. ``usernames``: by paper user."""

    def __init__(self, world: World, usernames: Mapping[str, str]) -> None:
        self._world = world
        self._usernames = dict(usernames)
        self._tasks: dict[asyncio.Task[None], str] = {}

    @property
    def playing(self) -> tuple[str, ...]:
        """Names of scenarios that have not begun all of their faults."""
        return tuple(self._tasks.values())

    def start(self, scenario: Scenario) -> None:
        """Play its faults from now on. To be called where an event loop runs."""
        seed = self._world.seed if scenario.seed is None else scenario.seed
        task = asyncio.create_task(play(self._world, scenario.faults, seed, self._usernames))
        self._tasks[task] = scenario.name
        task.add_done_callback(lambda done: self._tasks.pop(done, None))
        logger.warning("scenario %s begins: %s", scenario.name, scenario.description)

    def stop(self) -> tuple[str, ...]:
        """Begin nothing any more; faults that are active stay. Names of what was playing."""
        stopped = self.playing
        for task in self._tasks:
            task.cancel()
        return stopped


class FaultWatch:
    """Logs what begins and ends, and takes ports away while their gateway is down."""

    def __init__(self, world: World, ports: Sequence[GatewayPort]) -> None:
        self._world = world
        self._ports = tuple(ports)
        self._active: dict[int, Fault] = {}
        world.faults.listen(self._begun)

    async def run(self) -> None:
        """Until cancelled. In the machine's time: ports live in it."""
        while True:
            await self.look()
            await asyncio.sleep(_WATCH_SECONDS)

    async def look(self) -> None:
        """Compare with the last look, once."""
        active = {fault.number: fault for fault in self._world.faults.all(self._world.clock.now())}
        for fault in self._active.values():
            if fault.number not in active:
                logger.warning("fault %d ends: %s", fault.number, described(fault))
        self._active = active
        for port in self._ports:
            await self._set(port)

    def _begun(self, fault: Fault, now: float) -> None:
        logger.warning("fault %d begins: %s", fault.number, described(fault))

    async def _set(self, port: GatewayPort) -> None:
        down = self._world.fault(FaultKind.GATEWAY_DOWN, port.username) is not None
        if down and port.listener.is_up:
            await port.listener.take_down()
        elif not down and not port.listener.is_up:
            try:
                await port.listener.start()
            except PlatformInUseError as error:
                logger.error("cannot listen again: %s", error)


def described(fault: Fault) -> str:
    """One line for people: kind, whom, what, parameters."""
    words = [str(fault.kind)]
    if fault.username is not None:
        words.append(f"of {fault.username}")
    if fault.symbol is not None:
        words.append(f"for {fault.symbol}")
    words += [f"{name}={value}" for name, value in fault.parameters.items()]
    return " ".join(words)


def _unknown(fault: ScheduledFault, key: str, name: str, known: Iterable[str]) -> NotHereError:
    what = key.replace("_", " ")
    return NotHereError(key, f"{fault.fault}: no {what} {name!r} here; known: {', '.join(known)}")
