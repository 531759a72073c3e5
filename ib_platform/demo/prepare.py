"""What a demo needs before anything is started: its folder, its configuration, free ports.

Every problem is one clear sentence, and nothing is running yet when it is raised.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from ib_platform.config import PlatformConfig, dump_config
from ib_platform.errors import ConfigurationError, MissingDependencyError, PlatformInUseError
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.simulator.capture import load_capture
from ib_platform.simulator.scenario_library import is_scenario_file, load_scenario
from ib_platform.simulator.simulation import require_playable
from ib_platform.simulator.users import simulated_password

MARKER = "demo.json"
CONFIG_FILE = "ib_platform.yaml"
SECRETS = "secrets"
_PORTS_PER_POD = 10


@dataclass(frozen=True)
class DemoOptions:
    """What the command line says. ``seconds`` counts from the moment all pods are STREAMING."""

    folder: Path
    seconds: float | None
    replay: Path | None
    speed: float
    max_pause: float | None
    json_file: Path | None
    no_ui: bool
    ui_port: int
    clickhouse_port: int
    pod_port: int
    keep: bool = False
    scenario: str | None = None


def demo_config(options: DemoOptions) -> PlatformConfig:
    """Two paper users, one contract each, simulated, embedded, everything below the folder."""
    folder = options.folder.resolve()
    users = []
    for index, (name, letter) in enumerate((("alpha", "a01"), ("beta", "b02"))):
        port = options.pod_port + index * _PORTS_PER_POD
        users.append(
            {
                "name": name,
                "username": f"paper{letter}",
                "account": f"DU100000{index + 1}",
                "depth_slots": 3,
                "gateway_port": port,
                "gateway_health_port": port + 1,
                "health_port": port + 2,
                "credentials": {"password_file": folder / SECRETS / name},
            }
        )
    calendar = CalendarName.ALWAYS_OPEN
    contracts = [
        {"symbol": "CL", "exchange": "NYMEX", "calendar": calendar, "paper_user": "alpha"},
        {"symbol": "ES", "exchange": "CME", "calendar": calendar, "paper_user": "beta"},
    ]
    clickhouse = {
        "port": options.clickhouse_port,
        "password_file": folder / "clickhouse.password",
        "embedded_folder": folder / "clickhouse",
    }
    simulator = {
        "scenario": _absolute_scenario(options.scenario),
        "replay": options.replay.resolve() if options.replay else None,
        "speed": options.speed,
        "max_pause": options.max_pause,
    }
    data = {
        "paper_users": users,
        "contracts": contracts,
        "clickhouse": clickhouse,
        "gateway": {"simulator": simulator},
        "runtime": {"state_dir": folder},
        "limits": {"refresh_open_date_every": 1},
    }
    try:
        return PlatformConfig.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"these demo options do not fit: {where}: {first['msg']}"
        ) from None


def _absolute_scenario(scenario: str | None) -> str | None:
    """A name as it is; a file with its whole path, since the pods run elsewhere."""
    if scenario is None or not is_scenario_file(scenario):
        return scenario
    return str(Path(scenario).resolve())


def require_parts(options: DemoOptions) -> None:
    """Raise MissingDependencyError or ConfigurationError for what is not there."""
    if importlib.util.find_spec("chdb") is None:
        raise MissingDependencyError(
            "the embedded ClickHouse needs chdb: pip install 'ib-platform[embedded]'"
        )
    if options.replay is not None:
        if not options.replay.is_file():
            raise ConfigurationError(f"--replay {options.replay}: no such file")
        load_capture(options.replay)
    if options.scenario is not None:
        require_playable(demo_config(options), load_scenario(options.scenario))
    if options.json_file is not None and options.json_file.is_dir():
        raise ConfigurationError(f"--json {options.json_file}: this is a folder; name a file")
    if options.json_file is not None and not options.json_file.resolve().parent.is_dir():
        raise ConfigurationError(
            f"--json {options.json_file}: the folder {options.json_file.resolve().parent} "
            "does not exist; create it or name another file"
        )


def code_server_port(options: DemoOptions) -> int:
    """Port of Dagster's code server, used without the webserver only."""
    return options.pod_port + _PORTS_PER_POD - 1


def require_free_ports(config: PlatformConfig, options: DemoOptions) -> None:
    """Raise PlatformInUseError that names the first port that somebody listens on, and the option
    that chooses another; ConfigurationError for a port that is wanted twice."""
    wanted = [(config.clickhouse.port, "ClickHouse", "--clickhouse-port")]
    if not options.no_ui:
        wanted.append((options.ui_port, "the Dagster UI", "--ui-port"))
    for user in config.paper_users:
        for port in (user.gateway_port, user.gateway_health_port, user.health_port):
            wanted.append((port, f"the pod of {user.name}", "--pod-port"))
    if options.no_ui:
        wanted.append((code_server_port(options), "Dagster's code server", "--pod-port"))
    purposes: dict[int, str] = {}
    for port, purpose, option in wanted:
        if port in purposes:
            raise ConfigurationError(
                f"port {port} is wanted for {purposes[port]} and for {purpose}: choose another "
                f"with {option}"
            )
        purposes[port] = purpose
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                raise PlatformInUseError(
                    f"port {port} on 127.0.0.1, wanted for {purpose}, cannot be used "
                    f"({error.strerror}): stop what uses it, or choose another with {option}"
                ) from error


def prepare_folder(options: DemoOptions) -> None:
    """Make the demo's folder fresh: what an earlier demo left is removed, unless ``keep``.

    Raises ConfigurationError for a folder that cannot be written or that is not a demo's.
    """
    folder = options.folder
    marker = folder / MARKER
    if folder.is_dir() and any(folder.iterdir()):
        if not marker.is_file():
            raise ConfigurationError(
                f"{folder} is not empty and not the folder of a demo: name another with --folder"
            )
        if not options.keep:
            _empty(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        marker.write_text(json.dumps({"what": "folder of an ib-platform demo"}), encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"the demo cannot write to {folder} ({error.strerror}): name another folder with "
            "--folder"
        ) from error


def _empty(folder: Path) -> None:
    try:
        for item in folder.iterdir():
            if item.name in (MARKER, "demo.lock"):
                continue
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"{error.filename}: left by an earlier demo and cannot be removed ({error.strerror})"
        ) from error


def write_config(config: PlatformConfig, folder: Path) -> Path:
    """Write the configuration that every process of the demo reads; returns its path.

    With it come the password files of the simulated users: a pod whose login ends logs in again.
    """
    file = (folder / CONFIG_FILE).resolve()
    for user in config.paper_users:
        if user.credentials is not None and user.credentials.password_file is not None:
            password_file = user.credentials.password_file
            password_file.parent.mkdir(mode=0o700, exist_ok=True)
            password_file.touch(mode=0o600)
            password_file.write_text(simulated_password(user.username), encoding="utf-8")
    # Whoever finds the file reads all of it.
    temporary = file.with_suffix(".tmp")
    temporary.write_text(
        "# Written by `ib-platform demo`. Copy it as a start for your own.\n" + dump_config(config),
        encoding="utf-8",
    )
    temporary.replace(file)
    return file
