"""Inputs of a build that may come long after its date: what later runs told of an earlier one.

As rows of ``inputs.sql``, for all dates: the date has to be looked at anew then, though nothing
else of it may have changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from typing import TYPE_CHECKING

from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.refused import read_waiting
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

LOOK_BACK = timedelta(days=7)
"""How far before a trade date its streams are followed back: a ladder without any frame for longer
is taken to have ended."""
REFUSED = "batch_refused"
"""The batches of a run that waited in the quarantine then: a person may take weeks to send them."""
TOLD_LATER = "told_later"
"""What was told of a run on a later date: that it died, or that its spool was damaged."""
LATE = (REFUSED, TOLD_LATER)


def late_inputs(client: Client) -> Iterator[tuple[date, str, str, int, int | None]]:
    """(trade date, run id, input, rows, highest seq or None), one each. Raises errors of
    clickhouse-connect."""
    batches: dict[tuple[date, str], list[int]] = {}
    for batch in read_waiting(client):
        for day in batch.trade_dates:
            batches.setdefault((day, batch.run_id), []).append(batch.last_seq or 0)
    for (day, run_id), last in batches.items():
        yield day, run_id, REFUSED, len(last), max(last)
    told: Counter[tuple[date, str]] = Counter()
    for run_id, *dates in client.query(query("told_later")).result_rows:
        told.update((day, run_id) for day in _concerned(*map(date_of, dates)))
    for (day, run_id), count in told.items():
        yield day, run_id, TOLD_LATER, count, None


def _concerned(first: date, last_of_run: date, told_on: date) -> Iterator[date]:
    """Trade dates before the telling that know the run: an event of their own is an input of each
    date anyway."""
    end = min(told_on, last_of_run + LOOK_BACK + timedelta(days=1))
    for number in range((end - first).days):
        day = first + timedelta(days=number)
        if day.weekday() <= 4:
            yield day
