"""Reading derived data for research: Arrow tables, bound parameters, nothing clever.

Instants in the answers are UTC; unknown values are null. A date that was never built gives no rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.bars import BarSize
from ib_platform.warehouse.late_inputs import LOOK_BACK
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client


def read_depth(client: Client, trade_date: date, conid: int | None = None) -> pa.Table:
    """Book states of a date that was finalized, ordered by conid, received_at, run_id, seq."""
    return _read(client, "depth", "conid, received_at, run_id, seq", trade_date, conid=conid)


def read_depth_now(client: Client, trade_date: date, conid: int | None = None) -> pa.Table:
    """The same columns straight from the record, for a date that is still open: slower, and what
    it says may grow."""
    bound = {
        "trade_date": trade_date,
        "read_from": trade_date - LOOK_BACK,
        "own_rows": True,
        "inputs_version": "",
        "built_at": "1970-01-01 00:00:00.000",
    }
    condition, extra = _conditions(conid=conid)
    return client.query_arrow(
        f"SELECT * EXCEPT (inputs_version, built_at) FROM ({query('depth')}) WHERE 1{condition} "
        "ORDER BY conid, received_at, run_id, seq",
        {**bound, **extra},
    )


def read_bars(
    client: Client, trade_date: date, size: BarSize | None = None, conid: int | None = None
) -> pa.Table:
    """Bars of a date, of one size or all, ordered by conid, bar_size, bar_start."""
    order = "conid, bar_size, bar_start"
    wanted = None if size is None else size.value
    return _read(client, "bars", order, trade_date, conid=conid, bar_size=wanted)


def read_gaps(client: Client, trade_date: date, contract: str | None = None) -> pa.Table:
    """Gaps of a date, ordered by contract and begin."""
    return _read(client, "gaps", "contract, begin", trade_date, contract=contract)


def read_suspect_windows(client: Client, trade_date: date, conid: int | None = None) -> pa.Table:
    """Suspect windows of a date, ordered by conid and begin."""
    return _read(client, "suspect_windows", "conid, begin, cause", trade_date, conid=conid)


def read_quality_report(client: Client, trade_date: date) -> pa.Table:
    """The quality report of a date, one row per contract."""
    return _read(client, "quality_report", "contract", trade_date)


_TYPES = {"conid": "UInt64", "bar_size": "String", "contract": "String"}


def _read(client: Client, table: str, order: str, trade_date: date, **wanted: Any) -> pa.Table:
    condition, bound = _conditions(**wanted)
    return client.query_arrow(
        f"SELECT * FROM {table} WHERE trade_date = {{trade_date:Date}}{condition} ORDER BY {order}",
        {"trade_date": trade_date, **bound},
    )


def _conditions(**wanted: Any) -> tuple[str, Mapping[str, Any]]:
    """SQL and values of the columns that are not None."""
    bound = {name: value for name, value in wanted.items() if value is not None}
    return "".join(f" AND {name} = {{{name}:{_TYPES[name]}}}" for name in bound), bound
