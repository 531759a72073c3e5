"""What does ClickHouse lack, or have? Asked where a token cannot tell, so that nothing comes twice,
and where the spool was damaged."""

from __future__ import annotations

from ib_platform.config import ClickHouse
from ib_platform.streamer.arrow import COLUMNS
from ib_platform.streamer.decode import STREAM_EVENTS, Row
from ib_platform.streamer.records import Record, RecordKind
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


def stored_frames(client: Client, settings: ClickHouse, run_id: str, from_seq: int) -> list[Record]:
    """Frames of the run from a number on, each once, in order, as they stood in the spool.

    Raises:
        WarehouseError: no answer, or a refusal.
    """
    with warehouse_errors(settings, "look for frames of a damaged batch"):
        found = client.query(
            "SELECT toUnixTimestamp64Nano(received_at), monotonic_ns, seq, connection, payload "
            "FROM frames WHERE run_id = {run:String} AND seq >= {from_seq:UInt64} "
            "ORDER BY seq LIMIT 1 BY seq",
            {"run": run_id, "from_seq": from_seq},
            column_formats={"payload": "bytes"},
        ).result_rows
    return [Record(RecordKind.FRAME, *row) for row in found]
