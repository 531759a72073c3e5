"""Whether a trade date may be dropped: built to its end, unchanged since, and proven complete."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.verify.app import verify_span
from ib_platform.warehouse.dropped import input_dropped_for
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.late_inputs import LOOK_BACK, TOLD_LATER, late_inputs
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_USED = """
SELECT trade_date, run_id, input, rows, highest_seq FROM builds
WHERE trade_date BETWEEN {read_from:Date} AND {read_to:Date}
"""
Inputs = dict[date, set[tuple[Any, ...]]]


def unfinished_dates(
    client: Client, dates: Iterable[date], dropped: Mapping[date, set[str]]
) -> dict[date, str]:
    """Why trade dates have no final build of their record as it is now; others are final.

    Looked at are ``dates`` and those after them whose builds read back to them. Of an input that
    retention has dropped nothing is compared, but that nothing came behind it.
    """
    asked = sorted(dates)
    if not asked:
        return {}
    window = {"read_from": asked[0], "read_to": asked[-1] + LOOK_BACK}
    recorded = _by_date(client.query(query("inputs"), window).result_rows)
    for day, *row in late_inputs(client):
        if window["read_from"] <= day <= window["read_to"]:
            recorded[day].add(tuple(row))
    used = _by_date(client.query(_USED, window).result_rows)
    reasons = {}
    for day in sorted({*asked, *recorded, *used}):
        ignored = set(dropped.get(day, ()))
        if input_dropped_for(day, dropped) is not None:
            # Which dates a run's end concerns is read from frames that are not there any more.
            ignored.add(TOLD_LATER)
        why = _why_unfinished(recorded[day], used[day], ignored)
        if why is not None:
            reasons[day] = why
    return reasons


def unproven(config: PlatformConfig, day: date) -> str | None:
    """Why ``ib-platform verify`` of the trade date is not clean; None: every frame is stored, or
    lost with a cause, and no spool of this machine holds one that is not loaded."""
    begin, end = trade_date_span(day)
    found = verify_span(config, Span(to_ns(begin), to_ns(end)))
    if found.unexplained:
        first = found.unexplained[0]
        return f"verify is not clean: run {first.run_id}: {first.text}"
    if found.total.pending:
        return f"{found.total.pending} of its frames are in a spool and not loaded yet"
    return None


def _why_unfinished(
    recorded: set[tuple[Any, ...]], used: set[tuple[Any, ...]], ignored: set[str]
) -> str | None:
    """Rows are (run id, input, rows, highest seq); of the build as a whole the run id is empty.
    ``ignored``: inputs that cannot be compared any more."""
    if not any(run_id == "" for run_id, *_ in used):
        return "it has no final build"
    late = sorted({_table(name) for _, name, *_ in recorded if _table(name) in ignored})
    late = [name for name in late if name != TOLD_LATER]
    if late:
        return f"rows came to {', '.join(late)} after they were dropped"
    built = {row for row in used if row[0] != "" and _table(row[1]) not in ignored}
    if built != {row for row in recorded if _table(row[1]) not in ignored}:
        return "its record has changed since its last build"
    return None


def _table(name: str) -> str:
    """Table of an input: rows of a later decoder are an input of their own."""
    return name.partition("/")[0]


def _by_date(rows: Iterable[Any]) -> Inputs:
    found: Inputs = defaultdict(set)
    for day, *row in rows:
        found[date_of(day)].add(tuple(row))
    return found
