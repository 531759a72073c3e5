"""Rows on a terminal: a table of some, and how far the reading has come."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ib_platform.research.rows import Rows
from ib_platform.research.words import cells

if TYPE_CHECKING:
    import pyarrow as pa

TABLE_COLUMNS: dict[str, Sequence[str]] = {
    "bars": (
        "bar_start", "mid_open", "mid_high", "mid_low", "mid_close", "spread_time_weighted",
        "volume", "complete", "suspect", "gap", "verdict",
    ),
    "continuous": (
        "bar_start", "contract", "mid_close", "adjustment", "back_adjusted_mid_close",
        "spread_time_weighted", "states", "complete", "suspect", "gap",
    ),
    "depth": (
        "received_at", "in_force_ns", "phase", "bid_size", "best_bid", "best_ask", "ask_size",
        "complete", "crossed", "suspect",
    ),
    "quality": (
        "trade_date", "contract", "verdict", "coverage", "gaps", "gap_seconds", "ladder_frames",
        "reasons",
    ),
    "checks": ("trade_date", "contract", "code", "name", "verdict", "value", "unit", "explanation"),
}  # fmt: skip
"""What a table for people shows unless columns are named: more do not fit."""


def show(rows: Rows, limit: int, console: Console, *, floats: bool = False) -> None:
    """Print at most ``limit`` rows as a table, and say on standard error if there are more."""
    table = Table(*rows.schema.names)
    shown, more = 0, False
    for batch in rows.batches(min(limit + 1, 10_000), floats=floats):
        for row in cells(batch)[: limit - shown]:
            # As text: what is in brackets would be markup.
            table.add_row(*map(Text, row))
        more = shown + batch.num_rows > limit
        shown = min(limit, shown + batch.num_rows)
        if more:
            break
    console.print(table)
    if more:
        Console(stderr=True).print(
            f"{shown:,} rows of at most {rows.at_most:,}; --limit shows more, "
            "--output FILE.csv or FILE.parquet has all",
            highlight=False,
        )


class ProgressBar:
    """A bar on standard error, where that is a terminal and nothing else is printed there."""

    def __init__(self, label: str, *, quiet: bool = False) -> None:
        self._label = label
        self._quiet = quiet or not sys.stderr.isatty()

    def __call__(self, batches: Iterable[pa.RecordBatch], at_most: int) -> Iterator[pa.RecordBatch]:
        """The batches, counted as they pass by."""
        if self._quiet:
            yield from batches
            return
        with Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("rows"), TimeRemainingColumn(), console=Console(stderr=True),
        ) as progress:  # fmt: skip
            task = progress.add_task(self._label, total=at_most)
            for batch in batches:
                yield batch
                progress.advance(task, batch.num_rows)
            # Suspect rows that were dropped never passed by.
            progress.update(task, completed=at_most)
