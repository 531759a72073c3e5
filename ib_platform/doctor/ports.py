"""Ports that the pods and the embedded ClickHouse listen on: free, ours, or somebody else's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import psutil

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Finding, ok, problem
from ib_platform.errors import GatewayError
from ib_platform.gateway.program import port_is_free

PORTS = "ports"
_OURS = ("ib_platform", "ib-platform")


@dataclass(frozen=True)
class _Need:
    """A port, its key in the configuration, and the paper user whose pod listens there."""

    port: int
    key: str
    paper_user: str | None
    config: Path | None = None


def check_ports(config: PlatformConfig, file: Path | None = None) -> Iterator[Finding]:
    """Each port of the pods and of the embedded ClickHouse. ``file``: where the configuration was
    read from; a process with another one is not ours."""
    resolved = None if file is None else file.resolve()
    needs = [replace(need, config=resolved) for need in _needs(config)]
    by_port: dict[int, list[str]] = {}
    for need in needs:
        by_port.setdefault(need.port, []).append(need.key)
    for port, keys in by_port.items():
        if len(keys) > 1:
            text = f"port {port} is wanted twice: {' and '.join(keys)}; only one can listen"
            yield problem(PORTS, text, "Give each of them a port of its own.")
    taken = []
    for need in needs:
        try:
            free = port_is_free(need.port)
        except GatewayError as error:
            yield problem(PORTS, f"{need.key}: {error}", "Choose a port from 1024 on.")
            continue
        if not free:
            taken.append(need)
    for need in taken:
        yield _holder(need)
    if not taken:
        yield ok(PORTS, f"all {len(by_port)} are free: {', '.join(map(str, sorted(by_port)))}")


def _needs(config: PlatformConfig) -> list[_Need]:
    needs = [
        _Need(port, f"{key} of paper user {user.name}", user.name)
        for user in config.paper_users
        for key, port in (
            ("gateway_port", user.gateway_port),
            ("gateway_health_port", user.gateway_health_port),
            ("health_port", user.health_port),
        )
    ]
    if config.clickhouse.embedded_folder is not None:
        needs.append(_Need(config.clickhouse.port, "clickhouse.port", None))
    return needs


def _holder(need: _Need) -> Finding:
    process = _listener(need.port)
    where = f"port {need.port} ({need.key})"
    if process is None:
        return problem(
            PORTS,
            f"{where} is held by a process of another user; what should listen there cannot start",
            f"Find it as root with `ss -ltnp 'sport = :{need.port}'`, or change the port.",
        )
    who = f"pid {process.pid} ({_name(process)})"
    if any(_is_ours(each, need) for each in _with_parents(process)):
        return ok(PORTS, f"{where} is held by {who}, which belongs to this platform")
    return problem(
        PORTS,
        f"{where} is held by {who}; what should listen there cannot start",
        "End that process if it is not needed, or change the port.",
    )


def _listener(port: int) -> psutil.Process | None:
    """Who listens on the port; None when the system does not tell."""
    for connection in psutil.net_connections(kind="tcp"):
        address = connection.laddr
        listens = connection.status == psutil.CONN_LISTEN and address and address.port == port
        if listens and connection.pid is not None:
            try:
                return psutil.Process(connection.pid)
            except psutil.NoSuchProcess:
                return None
    return None


def _name(process: psutil.Process) -> str:
    """The command's name. Never its arguments, which belong to somebody."""
    try:
        return process.name()
    except psutil.Error:
        return "unknown"


def _with_parents(process: psutil.Process) -> list[psutil.Process]:
    """The gateway program is a child of its supervisor."""
    try:
        return [process, *process.parents()]
    except psutil.Error:
        return [process]


def _is_ours(process: psutil.Process, need: _Need) -> bool:
    """Whether it is a process of this platform, for this paper user, with this configuration.
    Another installation's pod on the same port keeps ours from starting."""
    try:
        words, folder = process.cmdline(), Path(process.cwd())
    except psutil.Error:
        return False
    configs = [folder / file for word, file in pairwise(words) if word == "--config"]
    if need.config is not None and configs and need.config not in {c.resolve() for c in configs}:
        return False
    named = any(
        part in Path(word).parts or part in word.split(".") for word in words for part in _OURS
    )
    return named and (need.paper_user is None or need.paper_user in words)
