"""The commands ``ib-platform demo`` and ``ib-platform stop``. What they need is imported when they
run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ib_platform.config import CONFIG_VARIABLE, load_config

_CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)
_FILE = click.Path(path_type=Path)
_PORT = click.IntRange(1, 65535)
_POSITIVE = click.FloatRange(min=0, min_open=True)


@click.command()
@_CONFIG
def stop(config_file: Path | None) -> None:
    """Stop exactly the pods and the demo that were started with this configuration."""
    from ib_platform.demo.stop import stop_everything

    for line in stop_everything(load_config(config_file)):
        click.echo(line)


@click.command()
@click.option("--folder", type=_FILE, default=Path(".ib_platform/demo"), show_default=True)
@click.option("--for", "seconds", type=click.FloatRange(min=1), help="End by itself after this.")
@click.option("--scenario", help="Scenario that both simulated gateways play: name or .yaml file.")
@click.option("--replay", type=_FILE, help="First paper user plays this recorded capture.")
@click.option("--speed", type=_POSITIVE, default=1.0)
@click.option("--max-pause", type=_POSITIVE)
@click.option("--json", "json_file", type=_FILE, help="Write the summary here.")
@click.option("--no-ui", is_flag=True, help="Without the Dagster webserver.")
@click.option("--keep", is_flag=True, help="Go on with the data of the last demo in the folder.")
@click.option("--ui-port", type=_PORT, default=3000, show_default=True)
@click.option("--clickhouse-port", type=_PORT, default=8123, show_default=True)
@click.option("--pod-port", type=click.IntRange(1, 65000), default=5000, show_default=True,
              help="First of the ports that the pods use.")  # fmt: skip
def demo(**options: Any) -> None:
    """The whole system on this machine: simulated IBKR, ClickHouse, Dagster, two pods."""
    from ib_platform.demo.app import DemoOptions, run

    sys.exit(run(DemoOptions(**options)))
