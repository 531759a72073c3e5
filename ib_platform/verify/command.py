"""The command ``ib-platform verify``. What it needs is imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from ib_platform.config import CONFIG_VARIABLE, load_config
from ib_platform.errors import VerificationError

_CONFIG = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path),
    help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
)


@click.command()
@_CONFIG
@click.option("--paper-user", help="Only this one; else all.")
@click.option("--date", "trade_date", metavar="TRADE_DATE",
              help="Like 2026-11-23; today's trade date if nothing is named.")  # fmt: skip
@click.option("--from", "begin", metavar="INSTANT|DATE",
              help="Like 2026-11-23T14:30:00Z, or a trade date from its start.")  # fmt: skip
@click.option("--to", "end", metavar="INSTANT|DATE",
              help="Exclusive, or a trade date to its end; else now.")  # fmt: skip
@click.option("--json", "as_machine_text", is_flag=True, help="Print JSON instead of tables.")
def verify(
    config_file: Path | None,
    paper_user: str | None,
    trade_date: str | None,
    begin: str | None,
    end: str | None,
    as_machine_text: bool,
) -> None:
    """Prove that every received frame of a span is stored, or lost with a cause.

    Reads frames and events of the warehouse, and the spools of this machine without disturbing
    their streamers. Exit code 10 when something is not explained.
    """
    from datetime import UTC, datetime

    from rich.console import Console

    from ib_platform.verify.app import verify_span
    from ib_platform.verify.show import as_json, show, verdict
    from ib_platform.warehouse.times import span_of

    config = load_config(config_file)
    span = span_of(datetime.now(UTC), trade_date, begin, end)
    found = verify_span(config, span, paper_user)
    if as_machine_text:
        click.echo(as_json(found))
    else:
        show(found, Console())
    if found.unexplained:
        raise VerificationError(f"{verdict(found)}; docs/verify.md says what each means")
