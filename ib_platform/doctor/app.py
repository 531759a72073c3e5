"""All checks in order, and how their findings are shown."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ib_platform.config import PlatformConfig, find_config, load_config
from ib_platform.doctor.clickhouse import CLICKHOUSE, check_clickhouse
from ib_platform.doctor.clock import (
    CLOCK,
    NTP_SERVER,
    TIME_ZONES,
    check_clock,
    check_time_zones,
)
from ib_platform.doctor.credentials import CREDENTIALS, check_credentials
from ib_platform.doctor.finding import Check, Finding, Level, findings_of, ok, problem
from ib_platform.doctor.machine import (
    DISK,
    MEMORY,
    STATE_DIR,
    check_disk,
    check_memory,
    check_state_dir,
)
from ib_platform.doctor.plan import CONTRACTS, REQUESTS, check_contracts, check_requests
from ib_platform.doctor.pods import PODS, check_pods
from ib_platform.doctor.ports import PORTS, check_ports
from ib_platform.doctor.programs import CHROMIUM, JAVA, check_browser, check_java
from ib_platform.errors import ConfigurationError

CONFIGURATION = "configuration"
_STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def diagnose(config_file: Path | None, ntp_server: str = NTP_SERVER) -> list[Finding]:
    """Everything that is found about this machine and the configuration. Never raises, and asks
    nothing of a gateway. Without a usable configuration there is nothing else to check."""
    try:
        config = load_config(config_file)
    except ConfigurationError as error:
        return [problem(CONFIGURATION, str(error), "Correct the file; nothing can start with it.")]
    names = ", ".join(user.name for user in config.paper_users)
    loaded = ok(CONFIGURATION, f"{find_config(config_file)} is valid; paper users {names}")
    return [loaded, *findings_of(_checks(ntp_server, find_config(config_file)), config)]


def _checks(ntp_server: str, file: Path) -> list[tuple[str, Check[PlatformConfig]]]:
    return [
        (CONTRACTS, check_contracts),
        (REQUESTS, check_requests),
        (CREDENTIALS, check_credentials),
        (JAVA, check_java),
        (CHROMIUM, check_browser),
        (PORTS, partial(check_ports, file=file)),
        (STATE_DIR, check_state_dir),
        (DISK, check_disk),
        (MEMORY, check_memory),
        (TIME_ZONES, check_time_zones),
        (CLOCK, partial(check_clock, ntp_server=ntp_server)),
        (CLICKHOUSE, check_clickhouse),
        (PODS, check_pods),
    ]


def exit_code(findings: list[Finding]) -> int:
    """0 without a problem, 1 with at least one. Warnings do not count."""
    return int(any(finding.level is Level.PROBLEM for finding in findings))


def as_json(findings: list[Finding]) -> str:
    """For machines: ``findings`` in order, and how many ``problems`` and ``warnings`` there are."""
    counts = {
        f"{level}s": sum(finding.level is level for finding in findings)
        for level in (Level.PROBLEM, Level.WARNING)
    }
    return json.dumps({"findings": msgspec.to_builtins(findings), **counts}, indent=2)


def show(findings: list[Finding], console: Console) -> None:
    """For people: a table, and how many problems and warnings there are."""
    table = Table(show_lines=True)
    for column in ("check", "level", "found", "what to do"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        level = Text(finding.level.value, style=_STYLES[finding.level])
        # Text, since a path with brackets is no markup.
        table.add_row(finding.check, level, Text(finding.text), Text(finding.remedy or ""))
    console.print(table)
    problems = sum(finding.level is Level.PROBLEM for finding in findings)
    warnings = sum(finding.level is Level.WARNING for finding in findings)
    console.print(f"{len(findings)} findings: {problems} problems, {warnings} warnings")
