"""Differences as a table for people: one row per trade date, table and contract."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ib_platform.redecode.app import Redecoded
from ib_platform.redecode.compare import Difference, Place


def merged(done: Iterable[Redecoded]) -> dict[Place, Difference]:
    """Differences of all runs, by place, ascending."""
    found: dict[Place, Difference] = defaultdict(Difference)
    for one in done:
        for place, difference in one.differences.items():
            found[place].add(difference)
    return dict(sorted(found.items()))


def show(
    differences: Mapping[Place, Difference], names: Mapping[int, str], console: Console
) -> None:
    """Print them. ``names``: contract keys by conid."""
    table = Table(
        "trade date", "table", "contract", "equal", "differ", "only old", "only new", "columns"
    )
    for (day, name, conid), found in differences.items():
        columns = ", ".join(f"{column} {rows:,}" for column, rows in found.by_column.most_common())
        counts = (found.equal, found.differing, found.only_old, found.only_new)
        contract = names.get(conid, str(conid))
        table.add_row(str(day), name, contract, *(f"{one:,}" for one in counts), Text(columns))
    console.print(table)
    if any(found.only_old for found in differences.values()):
        console.print(
            "Rows that are only old stay as they are: rows of the record are never deleted."
        )
