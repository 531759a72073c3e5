"""The running system of a demo: its children, its pods, and how both are started and ended."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from ib_platform.config import CONFIG_VARIABLE, PlatformConfig
from ib_platform.demo.children import Child, ChildSpec
from ib_platform.demo.dagster_home import dagster_commands, prepare_dagster_home
from ib_platform.errors import PlatformError, WarehouseError
from ib_platform.fleet.local import stop_all
from ib_platform.fleet.plan import plan_assignment
from ib_platform.warehouse.assignments import write_assignment
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate

MOST_RESTARTS = 20
_STOP_DEADLINE = 10.0

Say = Callable[[str], None]


class DemoSystem:
    """Everything that a demo starts. Use ``start`` once, ``tend`` often, the stops at the end."""

    def __init__(self, config: PlatformConfig, config_file: Path, say: Say) -> None:
        self._config = config
        self._config_file = config_file
        self._folder = config_file.parent
        self._say = say
        self._clickhouse: Child | None = None
        self._dagster: list[Child] = []

    def start_clickhouse(self, patience: float) -> None:
        """Start the embedded ClickHouse, wait until it answers, migrate, assign the contracts."""
        command = [sys.executable, "-m", "ib_platform.cli", "clickhouse"]
        self._clickhouse = self._child("clickhouse", [*command, "--config", str(self._config_file)])
        self._clickhouse.start()
        self._wait_for_clickhouse(patience)
        applied = migrate(self._config.clickhouse)
        self._say(f"schema ready ({len(applied)} migrations applied)")
        assignment = plan_assignment(self._config)
        with closing(connect(self._config.clickhouse)) as client:
            write_assignment(client, assignment, self._config.limits.start_grace)
        for contract, user in zip(assignment.contracts, assignment.paper_users, strict=True):
            self._say(f"{contract} is assigned to {user}")

    def start_dagster(self, *, ui_port: int | None, code_server_port: int) -> None:
        home = prepare_dagster_home(self._folder / "dagster_home")
        commands = dagster_commands(ui_port=ui_port, code_server_port=code_server_port, home=home)
        for number, command in enumerate(commands):
            name = "dagster" if number == 0 else f"dagster-{number}"
            child = self._child(name, command, {"DAGSTER_HOME": str(home)})
            child.start()
            self._dagster.append(child)

    def tend(self) -> None:
        """Start again what has ended by itself.

        Raises:
            PlatformError: a child ended more often than a demo should see.
        """
        for child in self._children():
            if (reason := child.exit_reason()) is None:
                continue
            if child.restarts >= MOST_RESTARTS:
                raise PlatformError(
                    f"{child.spec.name} ended {child.restarts + 1} times (last: {reason}); "
                    f"the end of {child.spec.log}:\n{child.log_tail()}"
                )
            child.restarts += 1
            self._say(f"{child.spec.name} ended ({reason}); starting it again")
            child.start()

    def stop_dagster(self) -> None:
        """First: nobody launches pods any more."""
        for child in reversed(self._dagster):
            child.stop(_STOP_DEADLINE)
        self._dagster = []

    def stop_pods(self) -> list[str]:
        """Second: streamers flush into ClickHouse, gateways log out."""
        return list(stop_all(self._config))

    def stop_clickhouse(self) -> None:
        """Last."""
        if self._clickhouse is not None:
            self._clickhouse.stop(_STOP_DEADLINE)
            self._clickhouse = None

    def _children(self) -> Iterator[Child]:
        if self._clickhouse is not None:
            yield self._clickhouse
        yield from self._dagster

    def _child(self, name: str, command: list[str], more: dict[str, str] | None = None) -> Child:
        environment = {CONFIG_VARIABLE: str(self._config_file), **(more or {})}
        path = os.environ.get("PATH", os.defpath)
        environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{path}"
        return Child(ChildSpec(self._folder, name, command, environment))

    def _wait_for_clickhouse(self, patience: float) -> None:
        deadline = time.monotonic() + patience
        while True:
            assert self._clickhouse is not None
            if (reason := self._clickhouse.exit_reason()) is not None:
                raise WarehouseError(
                    f"the embedded ClickHouse ended at once ({reason}):\n"
                    f"{self._clickhouse.log_tail()}"
                )
            try:
                connect(self._config.clickhouse, database="default").close()
                return
            except WarehouseError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
