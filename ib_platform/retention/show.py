"""A plan as a table for people, and each step that was done as a line."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ib_platform.retention.app import Done, Outlook


def show(outlook: Outlook, console: Console) -> None:
    """Print every partition that is old enough, and what ``--apply`` would do with it."""
    table = Table("trade date", "table", "rows", "bytes", "what")
    for step in outlook.steps:
        one = step.partition
        what = "export and drop" if step.kept_because is None else f"keep: {step.kept_because}"
        # As text: what is in brackets would be markup.
        table.add_row(str(one.trade_date), one.table, f"{one.rows:,}", f"{one.bytes:,}", Text(what))
    console.print(table)
    for name in outlook.unfinished:
        console.print(f"{name}: an earlier run was killed at work; --apply ends that first")
    dropped = sum(step.kept_because is None for step in outlook.steps)
    console.print(
        f"{dropped} partitions would be exported and dropped, {len(outlook.steps) - dropped} kept; "
        "nothing was changed",
        highlight=False,
    )


def told(done: Done | str) -> str:
    """One line about a step."""
    if isinstance(done, str):
        return done
    one = done.step.partition
    what = f"{one.trade_date} {one.table}"
    if done.kept_because is not None:
        return f"{what}: kept: {done.kept_because}"
    assert done.export is not None
    file = done.export
    return f"{what}: {file.rows:,} rows in {file.file} ({file.bytes:,} bytes), dropped"
