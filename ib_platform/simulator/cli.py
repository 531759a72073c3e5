"""The command ``ib-platform simulate``. What it needs is imported when it runs."""

from __future__ import annotations

import logging
import math
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ib_platform.config import CONFIG_VARIABLE, PlatformConfig
from ib_platform.errors import ConfigurationError

if TYPE_CHECKING:
    from ib_platform.simulator.scenario import Scenario

_FILE = click.Path(path_type=Path)
_PORT = click.IntRange(1, 65535)
_POSITIVE = click.FloatRange(min=0, min_open=True)
CONFIG_OPTION = click.option(
    "--config",
    "config_file",
    type=_FILE,
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml, else two built-in "
    "paper users.",
)


@click.command()
@CONFIG_OPTION
@click.option("--paper-user", help="Only this one; else all of the configuration.")
@click.option("--scenario", help="Name of a scenario, or a .yaml file with one.")
@click.option("--list-scenarios", is_flag=True, help="Print the scenarios and end.")
@click.option("--list-parameters", is_flag=True, help="Print what a scenario's behaviour may set.")
@click.option("--port", type=_PORT, help="Other TLS port than the paper user's gateway_port.")
@click.option("--certificate", type=_FILE, help="Certificate to present; made if missing.")
@click.option("--private-key", type=_FILE, help="Its private key.")
@click.option("--upstream-port", type=_PORT, help="Stand in for IBKR behind a gateway program too.")
@click.option("--control-port", type=_PORT, help="Port of the control endpoint; else a free one.")
@click.option("--logged-out", is_flag=True, help="Nobody is logged in at the start.")
@click.option("--seed", type=int, help="Another seed draws another market and other luck.")
@click.option("--time-scale", type=_POSITIVE, help="How many times as fast time passes.")
@click.option("--start", help="Simulated date and time of the start, like 2026-11-20T15:55-06:00.")
@click.option("--replay", type=_FILE, help="Play a recorded capture instead of a market.")
@click.option("--speed", type=_POSITIVE, help="Time scale of the replay.")
@click.option("--max-pause", type=_POSITIVE, help="Longest pause of the replay, in seconds.")
@click.option("--sent-log", type=_FILE, help="A new file: one line of JSON for every frame sent.")
@click.option("--parent-pid", type=int, hidden=True, help="End when this process ends.")
def simulate(
    config_file: Path | None,
    paper_user: str | None,
    list_scenarios: bool,
    list_parameters: bool,
    upstream_port: int | None,
    control_port: int | None,
    sent_log: Path | None,
    parent_pid: int | None,
    **options: Any,
) -> None:
    """Simulate IBKR: a gateway for one paper user, or for all, on this machine."""
    from ib_platform.simulator.program import serve
    from ib_platform.simulator.standalone import config_or_default

    if list_scenarios:
        return _print_scenarios()
    if list_parameters:
        return _print_parameters()
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    config, built_in = config_or_default(config_file)
    config = _with_simulator(config, paper_user, options)
    scenario = _scenario_of(config, options)
    seats = _seats_of(config, paper_user, options)
    if built_in:
        _print_built_in(config)
    serve(
        config,
        seats,
        scenario=scenario,
        upstream_port=upstream_port,
        control_port=control_port or config.simulator_control_port(paper_user) or 0,
        parent_pid=parent_pid,
        sent_log=sent_log,
    )


def _with_simulator(
    config: PlatformConfig, paper_user: str | None, options: dict[str, Any]
) -> PlatformConfig:
    """The configuration with what the command line says about the simulator."""
    names = ("replay", "speed", "max_pause", "seed", "scenario")
    changes = {name: options[name] for name in names if options[name] is not None}
    if "replay" in changes and paper_user is not None:
        changes["replay_paper_user"] = paper_user
    for name in ("speed", "max_pause"):
        if not math.isfinite(changes.get(name, 1.0)):
            raise click.UsageError(f"--{name.replace('_', '-')}: not a finite number")
    section = config.gateway.simulator
    section = section.model_validate({**section.model_dump(), **changes})
    gateway = config.gateway.model_copy(update={"simulator": section})
    return config.model_copy(update={"gateway": gateway})


def _scenario_of(config: PlatformConfig, options: dict[str, Any]) -> Scenario | None:
    """The scenario to play, with what the command line changes in it."""
    from ib_platform.simulator.scenario import FASTEST
    from ib_platform.simulator.scenario_library import load_scenario, plain_scenario

    name = config.gateway.simulator.scenario
    scenario = None if name is None else load_scenario(name)
    if not 0 < (options["time_scale"] or 1.0) <= FASTEST:
        raise click.UsageError(f"--time-scale: a number between 0 and {FASTEST:g}")
    changes = {
        "seed": options["seed"],
        "scale": options["time_scale"],
        "start": _instant(options["start"]),
        "logged_in": False if options["logged_out"] else None,
    }
    if all(value is None for value in changes.values()):
        return scenario
    return (scenario or plain_scenario()).changed(**changes)


def _instant(text: str | None) -> datetime | None:
    from ib_platform.simulator.scenario import within_calendar

    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = datetime.min
    if instant.tzinfo is None:
        raise ConfigurationError(
            f"--start {text}: no date and time with zone, like 2026-11-20T15:55:00-06:00"
        )
    if (problem := within_calendar(instant)) is not None:
        raise ConfigurationError(f"--start {text}: {problem}")
    return instant


def _seats_of(config: PlatformConfig, paper_user: str | None, options: dict[str, Any]) -> list[Any]:
    from dataclasses import replace

    from ib_platform.simulator.simulation import GatewaySeat

    names = [user.name for user in config.paper_users] if paper_user is None else [paper_user]
    seats = [GatewaySeat.of(config, name) for name in names]
    own = {
        name: options[name]
        for name in ("port", "certificate", "private_key")
        if options[name] is not None
    }
    if own and paper_user is None:
        option = next(iter(own)).replace("_", "-")
        raise click.UsageError(f"--{option} belongs to one gateway: name it with --paper-user")
    if (options["certificate"] is None) != (options["private_key"] is None):
        raise click.UsageError("--certificate and --private-key belong together: name both")
    return [replace(seat, **own) for seat in seats]


def _print_built_in(config: PlatformConfig) -> None:
    click.echo(
        "no ib_platform.yaml here: simulating the built-in paper users, files in "
        f"{config.runtime.state_dir}"
    )
    for user in config.paper_users:
        click.echo(
            f"  {user.name}: username {user.username}, password simulated-{user.username}, "
            f"account {user.account}"
        )


def _print_scenarios() -> None:
    from ib_platform.simulator.scenario_library import load_scenario, scenario_names

    for name in scenario_names():
        click.echo(f"{name:24} {load_scenario(name).description}")


def _print_parameters() -> None:
    from ib_platform.simulator.reference import described_parameters

    for parameter in described_parameters():
        click.echo(
            f"{parameter.name}: {parameter.default}  ({parameter.unit}, {parameter.source}) "
            f"{parameter.meaning}"
        )
