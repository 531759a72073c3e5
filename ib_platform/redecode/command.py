"""The command ``redecode``. It imports when it runs."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import click

from ib_platform.config import CONFIG_VARIABLE, PlatformConfig, load_config

_DATE = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)  # fmt: skip
@click.option("--from", "begin", type=_DATE, required=True, metavar="D", help="First trade date.")
@click.option("--to", "end", type=_DATE, required=True, metavar="D", help="Last trade date.")
@click.option("--apply", "do_apply", is_flag=True,
              help="Store the new rows; without it nothing is changed.")  # fmt: skip
def redecode(config_file: Path | None, begin: datetime, end: datetime, do_apply: bool) -> None:
    """Decode the recorded payloads of trade dates again, and show what would be different.

    --apply adds the rows of the new decoder; no row is deleted. After it the dates are due:
    `ib-platform rebuild` builds them.
    """
    from rich.console import Console

    from ib_platform.errors import SelectionError
    from ib_platform.marketdata.frames import DECODER_VERSION
    from ib_platform.redecode.app import redecode as decode_again
    from ib_platform.redecode.show import merged, show

    config, first, last = load_config(config_file), begin.date(), end.date()
    if last < first:
        raise SelectionError(f"--to {last} lies before --from {first}")
    done = []
    for one in decode_again(config, first, last, apply=do_apply):
        what = one.kept_because or f"{one.outdated:,} rows are not of decoder {DECODER_VERSION}"
        click.echo(f"run {one.run.run_id} of {one.run.paper_user}: {what}")
        done.append(one)
    if not done:
        raise SelectionError(_nothing(config, first, last))
    show(merged(done), _names(config), Console())
    if do_apply:
        click.echo(f"{sum(one.inserted for one in done):,} rows stored")
    else:
        click.echo(
            f"{sum(one.outdated for one in done):,} rows would be stored; "
            "nothing was changed, --apply stores them"
        )


def _names(config: PlatformConfig) -> dict[int, str]:
    from contextlib import closing

    from ib_platform.warehouse.connect import connect, warehouse_errors

    with (
        closing(connect(config.clickhouse, role="redecode")) as client,
        warehouse_errors(config.clickhouse, "read the contracts"),
    ):
        rows = client.query("SELECT conid, contract FROM contracts FINAL ORDER BY resolved_at")
        return {int(conid): str(contract) for conid, contract in rows.result_rows}


def _nothing(config: PlatformConfig, first: object, last: object) -> str:
    from contextlib import closing

    from ib_platform.warehouse.connect import connect, warehouse_errors

    with (
        closing(connect(config.clickhouse, role="redecode")) as client,
        warehouse_errors(config.clickhouse, "read the trade dates"),
    ):
        count, begin, end = client.query(
            "SELECT uniqExact(trade_date), min(trade_date), max(trade_date) FROM frames"
        ).result_rows[0]
    there = f"there are {count}, {begin} to {end}" if count else "nothing is recorded yet"
    return f"no trade date with frames from {first} to {last}: {there}"
