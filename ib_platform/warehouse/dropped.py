"""What retention has dropped, and what must not be built any more because of that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING

from ib_platform.errors import WarehouseError
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.late_inputs import LOOK_BACK

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

INPUTS = ("frames", "ladder_frames")
"""Tables that may be dropped and that a build reads: of its own date, and back to ``LOOK_BACK``."""
_DROPPED = "SELECT DISTINCT trade_date, table_name FROM dropped_partitions ORDER BY 1, 2"


def dropped_tables(client: Client) -> dict[date, set[str]]:
    """Tables of which retention has dropped the partition, by trade date."""
    found: dict[date, set[str]] = defaultdict(set)
    for day, table in client.query(_DROPPED).result_rows:
        found[date_of(day)].add(str(table))
    return dict(found)


def input_dropped_for(trade_date: date, dropped: Mapping[date, set[str]]) -> date | None:
    """The newest trade date whose record a build of ``trade_date`` would miss; None: it has all."""
    missed = [
        day
        for day, tables in dropped.items()
        if trade_date - LOOK_BACK <= day <= trade_date and not tables.isdisjoint(INPUTS)
    ]
    return max(missed, default=None)


def refuse_without_inputs(client: Client, trade_date: date) -> None:
    """Raise WarehouseError where a build would replace good rows by what is left of its record."""
    missed = input_dropped_for(trade_date, dropped_tables(client))
    if missed is not None:
        raise WarehouseError(
            f"trade date {trade_date} cannot be built: retention has dropped the record of "
            f"{missed}, which the build would read. What was built stays as it is. "
            "docs/retention.md says how to bring a date back."
        )
