"""The other end of the control endpoint: finds a running simulator and talks to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from ib_platform.config import PlatformConfig
from ib_platform.errors import ConfigurationError, GatewayError
from ib_platform.paths import PodPaths
from ib_platform.simulator.listener import HOST

_TIMEOUT_SECONDS = 10.0
_HOW = "start one with `ib-platform simulate` or `ib-platform demo`"


@dataclass(frozen=True)
class Note:
    """What a running simulator wrote down about its control endpoint."""

    port: int
    pid: int


def control_ports(config: PlatformConfig, paper_user: str | None) -> dict[int, list[str]]:
    """Control ports of the simulators that run for this paper user, or for any, and for whom.

    Raises:
        ConfigurationError: an unknown paper user.
        GatewayError: none runs; says where was looked.
    """
    users = [user.name for user in config.paper_users]
    if paper_user is not None:
        users = [config.paper_user(paper_user).name]
    files = [PodPaths(config.runtime.state_dir, name).simulator_control for name in users]
    found: dict[int, list[str]] = {}
    for name, file in zip(users, files, strict=True):
        if (note := _read(file)) is not None:
            found.setdefault(note.port, []).append(name)
    if not found:
        whom = "any paper user" if paper_user is None else paper_user
        raise GatewayError(
            f"no simulator runs for {whom}: {', '.join(str(file) for file in files)} "
            f"{'names' if len(files) == 1 else 'name'} none that lives. If one runs with another "
            f"configuration, name that with --config; else {_HOW}"
        )
    return found


def call(port: int, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
    """The answer's JSON.

    Raises:
        ConfigurationError: the simulator refused the request; its reason.
        GatewayError: nothing answers, or something else does.
    """
    return asyncio.run(_call(port, method, path, body))


async def _call(port: int, method: str, path: str, body: Mapping[str, Any] | None) -> Any:
    url = f"http://{HOST}:{port}{path}"
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.request(method, url, json=body) as answer,
        ):
            text, status = await answer.text(), answer.status
    except (aiohttp.ClientError, TimeoutError, OSError, UnicodeDecodeError) as error:
        reason = str(error) or type(error).__name__
        raise GatewayError(f"no simulator answers at {url} ({reason}); {_HOW}") from error
    try:
        decoded = json.loads(text)
    except ValueError as error:
        raise GatewayError(f"{url} is not the control endpoint of a simulator") from error
    if status >= 400:
        refusal = decoded.get("error") if isinstance(decoded, dict) else None
        raise ConfigurationError(str(refusal or f"{url} answered {status}"))
    return decoded


def settings_of(assignments: Sequence[str]) -> dict[str, str | int | float]:
    """``name=value`` of the command line; numbers as such. Raises ConfigurationError."""
    found: dict[str, str | int | float] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator or not name:
            raise ConfigurationError(f"--set {assignment}: write NAME=VALUE, like code=1006")
        found[name] = _number_or_text(value)
    return found


def _number_or_text(value: str) -> str | int | float:
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    return value


def _read(file: Path) -> Note | None:
    """None for a file that is not there, not whole, or of a simulator that has died."""
    try:
        note = json.loads(file.read_text(encoding="utf-8"))
        found = Note(int(note["port"]), int(note["pid"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return found if psutil.pid_exists(found.pid) else None
