"""A plan as a table for people, and each date that was done as a line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ib_platform.rebuild.app import Done
from ib_platform.rebuild.plan import Step


def show(steps: Sequence[Step], console: Console) -> None:
    """Print every date of the span, and what ``--apply`` would do with it."""
    table = Table("trade date", "what", "why")
    for step in steps:
        what = "keep" if step.because is None else "build"
        # As text: what is in brackets would be markup.
        table.add_row(str(step.trade_date), what, Text(step.because or step.kept))
    console.print(table)
    due = sum(step.because is not None for step in steps)
    console.print(
        f"{due} trade dates would be built, {len(steps) - due} stay as they are; "
        "nothing was changed, --apply builds",
        highlight=False,
    )


def followed(done: Iterable[Done], total: int, console: Console) -> Iterator[Done]:
    """Pass on what is done, a line for each, over a bar where ``console`` is a terminal."""
    columns = (TextColumn("trade dates"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("build", total=total)
        for one in done:
            progress.console.print(Text(told(one)), soft_wrap=True)
            progress.advance(task)
            yield one


def told(done: Done) -> str:
    """One line about a date."""
    day, because = done.step.trade_date, done.step.because
    if done.built is None:
        return f"{day}: failed ({because}): {done.failed}"
    rows = done.built.rows
    counted = ", ".join(f"{table} {rows[table]:,}" for table in ("depth", "bars") if table in rows)
    return f"{day}: built ({because}): {counted} rows"
