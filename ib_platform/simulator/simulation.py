"""One simulated IBKR with its ports: a gateway for each paper user, upstream, control."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.paths import PodPaths
from ib_platform.simulator.app import (
    control_listening,
    gateway_listening,
    upstream_listening,
)
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.capture import load_capture
from ib_platform.simulator.clock import Clock, ScaledClock
from ib_platform.simulator.drill import FaultWatch, GatewayPort, NotHereError, Player, username_of
from ib_platform.simulator.faces import GatewayFace, UpstreamFace
from ib_platform.simulator.listener import HOST
from ib_platform.simulator.recorded_facts import require_listable
from ib_platform.simulator.replay import Replay
from ib_platform.simulator.scenario import Scenario
from ib_platform.simulator.scripted import load_scripts
from ib_platform.simulator.sent_log import SentLog
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class GatewaySeat:
    """Where one paper user's gateway listens and what it presents; defaults are the pod's own."""

    paper_user: str
    certificate: Path
    private_key: Path
    port: int

    @classmethod
    def of(cls, config: PlatformConfig, paper_user: str) -> GatewaySeat:
        """The configured one. Raises ConfigurationError for an unknown paper user."""
        user = config.paper_user(paper_user)
        paths = PodPaths(config.runtime.state_dir, paper_user)
        return cls(paper_user, paths.certificate, paths.private_key, user.gateway_port)


async def run_simulator(
    config: PlatformConfig,
    seats: Sequence[GatewaySeat],
    *,
    behaviour: Behaviour | None = None,
    clock: Clock | None = None,
    scenario: Scenario | None = None,
    upstream_port: int | None = None,
    control_port: int | None = None,
    sent_log: Path | None = None,
) -> None:
    """Serve the seats until cancelled; prints one line for each port when all of them listen.

    Certificates are made if they are missing. What is played comes from
    ``config.gateway.simulator`` and the scenario; ``behaviour`` and ``clock`` replace the
    scenario's. ``control_port`` 0 takes a free one and None none; it is noted in a file of
    each seat's pod, where ``ib-platform fault`` finds it. ``sent_log``: a new file that takes a
    line for every frame.

    Raises:
        ConfigurationError: a capture, book or scenario that cannot be played, or a sent log that
            cannot be made; nothing listens.
        PlatformInUseError: a port is taken.
    """
    world = _world_of(config, seats, scenario, behaviour, clock)
    usernames = {user.name: user.username for user in config.paper_users}
    if scenario is not None:
        _require_known(world, scenario, usernames)
    player = Player(world, usernames)
    lines: list[str] = []
    ports: list[GatewayPort] = []
    async with AsyncExitStack() as stack:
        if sent_log is not None:
            world.sent_log = SentLog.open(sent_log)
            stack.callback(world.sent_log.close)
        for seat in seats:
            user = _user_of(world, config, seat)
            own = GatewaySeat.of(config, seat.paper_user)
            theirs = (seat.certificate, seat.private_key) != (own.certificate, own.private_key)
            ensure_certificate(seat.certificate, seat.private_key, replace=not theirs)
            listener = await stack.enter_async_context(
                gateway_listening(
                    GatewayFace(world, user),
                    certificate=seat.certificate,
                    private_key=seat.private_key,
                    port=seat.port,
                )
            )
            ports.append(GatewayPort(listener, user.username))
            where = f"https://{HOST}:{listener.port}"
            lines.append(f"simulated IBKR of {seat.paper_user} on {where}, {_plays(world, user)}")
        if upstream_port is not None:
            upstream = await stack.enter_async_context(
                upstream_listening(UpstreamFace(world), port=upstream_port)
            )
            ports.append(GatewayPort(upstream, None))
            lines.append(f"simulated IBKR behind a gateway on http://{HOST}:{upstream.port}")
        if control_port is not None:
            control = await stack.enter_async_context(
                control_listening(world, usernames, player, port=control_port)
            )
            stack.enter_context(_noted(config, seats, control.port))
            lines.append(f"control of the simulation on http://{HOST}:{control.port}")
        if scenario is not None:
            lines.append(f"scenario {scenario.name}: {scenario.description}")
        print("\n".join(lines), flush=True)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(FaultWatch(world, ports).run())
            if scenario is not None:
                player.start(scenario)
            if world.replay is not None:
                outlets = world.outlets(_replay_username(config))
                tasks.create_task(world.replay.run(outlets, world.clock))


def _world_of(
    config: PlatformConfig,
    seats: Sequence[GatewaySeat],
    scenario: Scenario | None,
    behaviour: Behaviour | None,
    clock: Clock | None,
) -> World:
    users = tuple(SimulatedUser.of(user) for user in config.paper_users)
    seed = config.gateway.simulator.seed
    scripted = {}
    if scenario is not None:
        users = scenario.users_with(config.paper_users)
        seed = seed if scenario.seed is None else scenario.seed
        behaviour = behaviour or scenario.behaviour
        clock = clock or ScaledClock(scenario.clock.scale, scenario.clock.start)
        scripted = load_scripts(scenario.scripted)
    replay_user = _replay_username(config)
    seated = {config.paper_user(seat.paper_user).username for seat in seats}
    return World(
        users,
        seed=seed,
        behaviour=behaviour,
        clock=clock,
        replay=_replay_of(config) if replay_user in seated else None,
        replay_username=replay_user,
        scripted=scripted,
    )


def require_playable(config: PlatformConfig, scenario: Scenario) -> None:
    """Raise ConfigurationError if the scenario does not fit the configuration: file, line and
    reason of a user, symbol or book that there is not."""
    world = World(
        scenario.users_with(config.paper_users),
        seed=config.gateway.simulator.seed,
        behaviour=scenario.behaviour,
        clock=ScaledClock(scenario.clock.scale, scenario.clock.start),
        scripted=load_scripts(scenario.scripted),
    )
    _require_known(world, scenario, {user.name: user.username for user in config.paper_users})


def _require_known(world: World, scenario: Scenario, usernames: dict[str, str]) -> None:
    for number, fault in enumerate(scenario.faults):
        try:
            username_of(world, fault, usernames)
        except NotHereError as error:
            where = scenario.where("faults", number, error.key)
            raise ConfigurationError(f"{where}: {error}") from error


def _user_of(world: World, config: PlatformConfig, seat: GatewaySeat) -> SimulatedUser:
    user = world.user(config.paper_user(seat.paper_user).username)
    assert user is not None, "every configured paper user is simulated"
    return user


@contextmanager
def _noted(config: PlatformConfig, seats: Sequence[GatewaySeat], port: int) -> Iterator[None]:
    """The control port in a file of every seat's pod while it is served."""
    text = json.dumps({"port": port, "pid": os.getpid()})
    folder = config.runtime.state_dir
    notes = [PodPaths(folder, seat.paper_user).simulator_control for seat in seats]
    for note in notes:
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(text, encoding="utf-8")
    try:
        yield
    finally:
        for note in notes:
            # Another simulator may have taken the place since.
            if note.is_file() and note.read_text(encoding="utf-8") == text:
                note.unlink()


def _plays(world: World, user: SimulatedUser) -> str:
    if world.replay is None or not world.plays_replay(user.username):
        return "a synthetic market"
    return f"{world.replay.total} recorded messages"


def _replay_username(config: PlatformConfig) -> str:
    name = config.gateway.simulator.replay_paper_user or config.paper_users[0].name
    return config.paper_user(name).username


def _replay_of(config: PlatformConfig) -> Replay | None:
    options = config.gateway.simulator
    if options.replay is None:
        return None
    capture = load_capture(options.replay, allow_torn=options.replay_torn)
    if capture.torn is not None:
        logger.warning("%s: %s; it is played as far as it goes", options.replay, capture.torn)
    require_listable(capture.contracts, options.replay)
    return Replay(
        capture,
        speed=options.speed,
        max_pause=options.max_pause,
        serve_rest=options.replay_rest,
    )
