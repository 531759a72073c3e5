"""The commands ``bars``, ``continuous``, ``depth``, ``quality``, ``export``. They import when they
run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ib_platform.config import CONFIG_VARIABLE

_PATH = click.Path(path_type=Path)
_SPAN = (
    click.option(
        "--config", "config_file", type=_PATH,
        help=f"Configuration file; else {CONFIG_VARIABLE}, else ./ib_platform.yaml.",
    ),
    click.option("--date", "trade_date", metavar="TRADE_DATE",
                 help="Like 2026-11-23; today's trade date if nothing is named."),
    click.option("--from", "begin", metavar="INSTANT|DATE",
                 help="Like 2026-11-23T14:30:00Z, or a trade date from its start."),
    click.option("--to", "end", metavar="INSTANT|DATE",
                 help="Exclusive, or a trade date to its end; else now."),
    click.option("--columns", help="Like bar_start,mid_close; else all, or in a table some."),
    click.option("--floats", is_flag=True, help="Prices as floats instead of exact decimals."),
    click.option("--force", is_flag=True, help="Replace a file that exists."),
)  # fmt: skip
_MIN_VERDICT = click.option(
    "--min-verdict", metavar="VERDICT",
    help="Only trade dates that are at least this: available, degraded, pending, missing.",
)  # fmt: skip
_DROP_SUSPECT = click.option(
    "--drop-suspect", is_flag=True, help="Without rows that are suspect or that a gap touches."
)
_SIZE = click.option("--size", default="1m", show_default=True, help="Bar size.")
_OUTPUT = (
    click.option("--format", "form", type=click.Choice(["table", "csv", "parquet"]),
                 help="Else by the name of the file, else a table."),
    click.option("--output", type=_PATH, help="File to write instead of printing."),
    click.option("--limit", default=50, show_default=True, type=click.IntRange(min=1),
                 help="Rows of a table."),
)  # fmt: skip


def _with(*options: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def decorate(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return decorate


@click.command()
@click.argument("contract")
@_with(_SIZE, _MIN_VERDICT, _DROP_SUSPECT, *_SPAN, *_OUTPUT)
def bars(contract: str, **options: Any) -> None:
    """Bars of CONTRACT, a key like CL.NYMEX.front or a conid."""
    from ib_platform.research.answer import answer

    answer("bars", contract, options)


@click.command()
@click.argument("product")
@_with(_SIZE, _MIN_VERDICT, _DROP_SUSPECT, *_SPAN, *_OUTPUT)
def continuous(product: str, **options: Any) -> None:
    """Bars of PRODUCT over its rolls, like CL.NYMEX: unadjusted and back-adjusted prices."""
    from ib_platform.research.answer import answer

    answer("continuous", product, options)


@click.command()
@click.argument("contract")
@_with(_MIN_VERDICT, _DROP_SUSPECT, *_SPAN, *_OUTPUT)
def depth(contract: str, **options: Any) -> None:
    """Book states of CONTRACT, a key like CL.NYMEX.front or a conid."""
    from ib_platform.research.answer import answer

    answer("depth", contract, options)


@click.command()
@click.argument("contract", required=False)
@_with(_MIN_VERDICT, *_SPAN, *_OUTPUT)
@click.option("--checks", is_flag=True, help="The 33 checks behind it, one row each.")
def quality(contract: str | None, checks: bool, **options: Any) -> None:
    """Quality reports of CONTRACT, else of all contracts."""
    from ib_platform.research.answer import answer

    answer("checks" if checks else "quality", contract, options)


@click.command()
@click.argument(
    "table", type=click.Choice(["bars", "depth", "quotes", "gaps", "quality", "checks"])
)
@click.argument("contracts", nargs=-1, metavar="[CONTRACT]...")
@_with(_SIZE, _MIN_VERDICT, _DROP_SUSPECT, *_SPAN)
@click.option("--format", "form", type=click.Choice(["csv", "parquet"]), default="parquet",
              show_default=True, help="Of the files.")  # fmt: skip
@click.option("--output", type=_PATH, required=True, help="Folder for a file per contract.")
def export(table: str, contracts: tuple[str, ...], **options: Any) -> None:
    """Write TABLE of each CONTRACT, else of all contracts, to a file of its own."""
    from ib_platform.research.answer import export_all

    export_all(table, contracts, options)
