"""DAGSTER_HOME for a demo or for `make dev`: a folder with this repository's dagster.yaml."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from ib_platform.errors import ConfigurationError, PlatformError

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout: holds pyproject.toml with [tool.dg], dagster.yaml and workspace.yaml."""


def prepare_dagster_home(home: Path) -> Path:
    """Create ``home`` with dagster.yaml in it; returns its absolute path."""
    template = PROJECT / "dagster.yaml"
    if not template.is_file():
        raise ConfigurationError(
            f"{template} is missing: run from a checkout of ib_platform (pip install -e .)"
        )
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(template, home / "dagster.yaml")
    _create_storage(home.resolve())
    return home.resolve()


def _create_storage(home: Path) -> None:
    """Create Dagster's databases before its programs start: when two of them create the same
    SQLite file at once, its schema version is written twice and the daemon never recovers."""
    code = (
        "from dagster import DagsterInstance; instance = DagsterInstance.get(); "
        "instance.get_runs(limit=1); instance.all_instigator_state(); "
        "instance.dispose()"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    if done.returncode != 0:
        raise PlatformError(f"{home}: Dagster cannot create its storage:\n{done.stderr[-2000:]}")


def dagster_commands(*, ui_port: int | None, code_server_port: int, home: Path) -> list[list[str]]:
    """Programs to run: `dg dev` with a UI, else a code server and the daemon.

    Without the webserver the daemon needs a code server of its own: with in-process code servers it
    reloads them every minute and kills long ticks (dagster issue 32677).
    """
    binaries = Path(sys.executable).parent
    if ui_port is not None:
        # dg finds the project by the working directory.
        enter = ["/usr/bin/env", "-C", str(PROJECT)]
        return [
            [*enter, str(binaries / "dg"), "dev", "--host", "127.0.0.1", "--port", str(ui_port)]
        ]
    workspace = home / "workspace.yaml"
    workspace.write_text(
        "load_from:\n  - grpc_server:\n      host: 127.0.0.1\n"
        f"      port: {code_server_port}\n      location_name: ib_platform\n",
        encoding="utf-8",
    )
    server = [str(binaries / "dagster"), "code-server", "start", "--host", "127.0.0.1"]
    server += ["--port", str(code_server_port), "--module-name", "ib_platform.definitions"]
    return [server, [str(binaries / "dagster-daemon"), "run", "--workspace", str(workspace)]]


if __name__ == "__main__":
    prepare_dagster_home(Path(os.environ["DAGSTER_HOME"]))
