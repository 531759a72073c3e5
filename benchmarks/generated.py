"""Ladder frames of whole trade dates, as many dates as a benchmark wants, without making each row.

One date is made from the recorded frames (``benchmarks/recorded.py``); every other one is that date
with its own times, its own run and its own trade date.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.recorded import START, ladder_rows
from ib_platform.fleet.plan import Assignment
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.streamer.arrow import to_arrow
from ib_platform.warehouse.assignments import write_assignment

FIRST_CONID = 700000001


def weekdays(count: int) -> list[date]:
    """The last ``count`` Mondays to Fridays up to the recorded frames' trade date, ascending."""
    found: list[date] = []
    day = trade_date_of(START)
    while len(found) < count:
        if day.weekday() < 5:
            found.append(day)
        day -= timedelta(days=1)
    return found[::-1]


def date_of_frames(frames: int, contracts: int) -> pa.Table:
    """``frames`` ladder frames of the recorded trade date, evenly over 22 hours and contracts."""
    return to_arrow("ladder_frames", list(ladder_rows(frames, contracts)))


def dated(table: pa.Table, day: date) -> pa.Table:
    """The same frames on another trade date, by a run of their own."""
    shift = pa.scalar(day - trade_date_of(START), pa.duration("ns"))
    columns = {
        "trade_date": pa.repeat(pa.scalar(day), len(table)),
        "received_at": pc.add(table["received_at"], shift),
        "run_id": pc.binary_join_element_wise(table["run_id"], day.isoformat(), "-"),
    }
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table


def insert_surroundings(client: Any, contracts: int, first_day: date) -> None:
    """An assignment and the contracts, from before ``first_day`` on."""
    at = datetime.combine(first_day - timedelta(days=7), time(), UTC)
    keys = tuple(f"B{n}.BENCH.front" for n in range(contracts))
    users = tuple(f"user{n}" for n in range(contracts))
    write_assignment(client, Assignment(keys, users, ("always_open",) * contracts), 60, at)
    client.insert(
        "contracts",
        [[key, FIRST_CONID + n, f"B{n}", "BENCH", "always_open", at] for n, key in enumerate(keys)],
        column_names=["contract", "conid", "symbol", "exchange", "calendar", "resolved_at"],
    )
