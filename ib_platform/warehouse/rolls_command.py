"""The command ``rolls``. It imports when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from ib_platform.config import CONFIG_VARIABLE

DECIDED_BY = "ib-platform rolls"


@click.command()
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)  # fmt: skip
@click.option("--write", is_flag=True, help="Append what has changed to the table rolls.")
def rolls(config_file: Path | None, write: bool) -> None:
    """Plan when each product's continuous series changes its contract, and show it."""
    from contextlib import closing
    from datetime import UTC, datetime

    from rich.console import Console

    from ib_platform.config import load_config
    from ib_platform.warehouse.connect import connect, warehouse_errors
    from ib_platform.warehouse.rolls import plan_of_record, write_changes
    from ib_platform.warehouse.rolls_show import show

    config, now = load_config(config_file), datetime.now(UTC)
    settings = config.clickhouse
    with (
        closing(connect(settings, role="rolls")) as client,
        warehouse_errors(settings, "plan the rolls"),
    ):
        plan = plan_of_record(client, config, now)
        written = write_changes(client, plan, DECIDED_BY, now) if write else None
    show(plan, Console())
    for key in plan.undated:
        click.echo(f"left out, its last trading day is not known: {key}", err=True)
    if written is not None:
        click.echo(f"{written} rows written" if written else "unchanged, nothing written")
    elif plan.changes:
        click.echo(f"{len(plan.changes)} rows differ from the table rolls; --write appends them")
    else:
        click.echo("the table rolls says the same")
