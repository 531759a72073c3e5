"""The command ``report``. It imports when it runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from ib_platform.config import CONFIG_VARIABLE, load_config

_PATH = click.Path(path_type=Path)


@click.command()
@click.option(
    "--config", "config_file", type=_PATH,
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)  # fmt: skip
@click.option(
    "--date", "trade_date", type=click.DateTime(["%Y-%m-%d"]), metavar="TRADE_DATE",
    help="Like 2026-11-23; else the newest one that has a report.",
)  # fmt: skip
@click.option(
    "--output", type=_PATH,
    help="HTML file to write; else quality_TRADE_DATE.html in the current folder.",
)  # fmt: skip
def report(config_file: Path | None, trade_date: datetime | None, output: Path | None) -> None:
    """Write the quality report of one trade date as one HTML page, plots included.

    It shows what the last build of the date found out; `ib-platform compact` builds it again.
    """
    from contextlib import closing

    from ib_platform.errors import NothingRecordedError
    from ib_platform.report.read import dates_with_a_report
    from ib_platform.report.write import write_page
    from ib_platform.warehouse.connect import connect, warehouse_errors

    config = load_config(config_file)
    with (
        warehouse_errors(config.clickhouse, "report"),
        closing(connect(config.clickhouse)) as client,
    ):
        known = dates_with_a_report(client)
        chosen = trade_date.date() if trade_date else (known[-1] if known else None)
        if chosen is None:
            raise NothingRecordedError(
                "no trade date has a report yet: `ib-platform compact` builds one"
            )
        if chosen not in known:
            there = ", ".join(day.isoformat() for day in known[-10:]) or "none"
            raise NothingRecordedError(
                f"no report of {chosen}; the newest dates that have one: {there}"
            )
        file = output or Path(f"quality_{chosen}.html")
        written = write_page(client, chosen, file)
    click.echo(f"{file.resolve()}: {written / 1000:,.0f} kB, trade date {chosen}")
