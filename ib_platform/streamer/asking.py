"""Which rows does ClickHouse lack? Asked where a token cannot tell, so that nothing comes twice."""

from __future__ import annotations

from ib_platform.config import ClickHouse
from ib_platform.streamer.arrow import COLUMNS
from ib_platform.streamer.decode import STREAM_EVENTS, Row
from ib_platform.warehouse.connect import Client, warehouse_errors


def missing_rows(client: Client, settings: ClickHouse, table: str, rows: list[Row]) -> list[Row]:
    """Those of ``rows``, all of one run and at least one, that are not in ``table``.

    Raises:
        WarehouseError: no answer, or a refusal.
    """
    names = [name for name, _ in COLUMNS[table]]
    key = "event_no" if table == STREAM_EVENTS else "seq"
    number, run = names.index(key), names.index("run_id")
    numbers = [row[number] for row in rows]
    with warehouse_errors(settings, f"look for rows in {table}"):
        found = client.query(
            f"SELECT DISTINCT {key} FROM {table} "
            "WHERE trade_date IN {dates:Array(Date)} AND run_id = {run:String} "
            f"AND {key} BETWEEN {{first:UInt64}} AND {{last:UInt64}}",
            {
                "dates": sorted({row[0] for row in rows}),
                "run": rows[0][run],
                "first": min(numbers),
                "last": max(numbers),
            },
        ).result_rows
    there = {value for (value,) in found}
    return [row for row in rows if row[number] not in there]
