"""A simulated gateway whose names are secrets, and recordings of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ib_platform.config import PlatformConfig
from ib_platform.ibkr.capture_file import CaptureFile, read_capture_file
from ib_platform.ibkr.capture_format import Exchange, Frame, Line, Note
from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.paths import PodPaths
from ib_platform.recorder.app import RecordOptions, record
from ib_platform.recorder.experiments import Times
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.users import SimulatedUser, simulated_password
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import QUICK, TIMEOUT
from ib_platform_tests.support import make_config

ACCOUNT, USERNAME = "DU7654321", "hansmeier7"
NAMES = (ACCOUNT, USERNAME, simulated_password(USERNAME))
TIMES = Times(rows_within=10, settle=0.3, watch=1.0, silence=1.5, longest=4.0, tries=3)


def secret_config(state_dir: Path, **overrides: Any) -> PlatformConfig:
    """A configuration whose user alpha must not be recognised in a recording."""
    config = make_config(state_dir, **overrides)
    secret = {"username": USERNAME, "account": ACCOUNT}
    users = tuple(
        user.model_copy(update=secret if user.name == "alpha" else {})
        for user in config.paper_users
    )
    return config.model_copy(update={"paper_users": users})


def with_port(config: PlatformConfig, port: int) -> PlatformConfig:
    users = tuple(
        user.model_copy(update={"gateway_port": port} if user.name == "alpha" else {})
        for user in config.paper_users
    )
    return config.model_copy(update={"paper_users": users})


@asynccontextmanager
async def secret_gateway(
    folder: Path, behaviour: Behaviour = QUICK, **changes: Any
) -> AsyncIterator[tuple[PlatformConfig, GatewayFace]]:
    """A listening simulated gateway in this process. ``changes`` of its user."""
    config = secret_config(folder)
    paths = PodPaths(config.runtime.state_dir, "alpha")
    ensure_certificate(paths.certificate, paths.private_key)
    user = SimulatedUser.of(config.paper_user("alpha")).model_copy(update=changes)
    face = GatewayFace(World([user], seed=7, behaviour=behaviour), user)
    async with gateway_listening(
        face, certificate=paths.certificate, private_key=paths.private_key, port=0
    ) as listener:
        yield with_port(config, listener.port), face


def quick_options(out: Path, **changes: Any) -> RecordOptions:
    options = RecordOptions(out, share=1000, poll=0.05, times=TIMES)
    return replace(options, **changes)


@dataclass
class Made:
    """A recording that was made: what was said, and the file."""

    path: Path
    said: list[str] = field(default_factory=list)

    @property
    def file(self) -> CaptureFile:
        return read_capture_file(self.path)

    @property
    def lines(self) -> tuple[Line, ...]:
        return self.file.lines

    @property
    def frames(self) -> list[Frame]:
        return [line for line in self.lines if isinstance(line, Frame)]

    @property
    def inbound(self) -> list[bytes]:
        return [frame.payload for frame in self.frames if frame.dir == "in"]

    @property
    def outbound(self) -> list[str]:
        return [frame.payload.decode() for frame in self.frames if frame.dir == "out"]

    @property
    def exchanges(self) -> list[Exchange]:
        return [line for line in self.lines if isinstance(line, Exchange)]

    def notes(self, name: str) -> list[Note]:
        return [x for x in self.lines if isinstance(x, Note) and x.name == name]

    def note(self, name: str) -> Note:
        """The only note of this name."""
        [found] = self.notes(name)
        return found


async def recorded(
    config: PlatformConfig, options: RecordOptions, stopping: asyncio.Event | None = None
) -> Made:
    """Record to the end."""
    made = Made(options.out)
    async with asyncio.timeout(TIMEOUT):
        await record(config, "alpha", options, stopping or asyncio.Event(), made.said.append)
    return made
