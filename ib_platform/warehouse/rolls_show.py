"""A plan of rolls as a table for people."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ib_platform.warehouse.rolls import RollPlan, RollRow


def show(plan: RollPlan, console: Console) -> None:
    """Print every roll that should be in force, and those that are to be withdrawn."""
    changed = {(row.product, row.to_conid) for row in plan.changes}
    withdrawn = [row for row in plan.changes if row.withdrawn]
    table = Table("roll date", "from", "to", "rule", "difference", "why", "in the table")
    for row in (*plan.rows, *withdrawn):
        state = "differs" if (row.product, row.to_conid) in changed else "same"
        # As text: what is in brackets would be markup.
        table.add_row(*map(Text, cells(row)), "to withdraw" if row.withdrawn else state)
    console.print(table)


def cells(row: RollRow) -> tuple[str, ...]:
    """One roll: date, from, to, rule, difference, why on this date and why without a difference."""
    difference, why = "-", row.reason
    if row.difference is not None:
        difference = f"{row.difference.normalize():f}"
    elif row.from_conid is not None:
        why += f". Difference unknown: {row.difference_reason}"
    date = f"{row.roll_date}"
    return date, row.from_contract or "-", row.to_contract, row.rule, difference, why
