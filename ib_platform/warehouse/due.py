"""Which closed trade dates have to be built, and why: what a final build used, held against what
the record and the rules are now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.calendar import trade_date_of, trade_date_span, trade_dates_between
from ib_platform.warehouse.dropped import dropped_tables, input_dropped_for
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.late_inputs import LATE, late_inputs
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_BUILT = "SELECT trade_date, inputs_version FROM builds WHERE run_id = ''"
_USED = """
SELECT trade_date, run_id, input, rows, highest_seq FROM builds
WHERE run_id != '' AND (trade_date >= {read_from:Date} OR input IN {late:Array(String)})
"""
Inputs = frozenset[tuple[Any, ...]]
"""Of one date: (run id, input, rows, highest seq or None)."""
_NOTHING: Inputs = frozenset()


class Why(StrEnum):
    """Why a closed date is built; CURRENT: it need not be."""

    NEVER_BUILT = "never built"
    RECORD_CHANGED = "record changed"
    RULES_CHANGED = "rules changed"
    CURRENT = "current"


@dataclass(frozen=True)
class Standing:
    """One closed trade date. ``detail``: what changed, for people. ``record_dropped``: the date
    whose record retention has dropped and a build would read; then nothing may be built."""

    trade_date: date
    why: Why
    detail: str = ""
    record_dropped: date | None = None


def standings(
    client: Client, now: datetime, version: str, first: date | None = None
) -> list[Standing]:
    """All closed trade dates with a record, ascending. ``version``: the ``inputs_version`` of now.

    Changes of the record are looked for from ``first`` on, None: everywhere. Raises errors of
    clickhouse-connect.
    """
    closed = closed_dates(client, now)
    if not closed:
        return []
    begin = first or min(closed)
    recorded = recorded_inputs(client, begin, trade_date_of(now))
    used = _used(client, begin)
    built = {date_of(day): str(of) for day, of in client.query(_BUILT).result_rows}
    dropped = dropped_tables(client)
    found = []
    for day in sorted(closed):
        missing = input_dropped_for(day, dropped)
        if day not in built:
            why, detail = Why.NEVER_BUILT, ""
        elif missing is None and used.get(day) != recorded.get(day):
            before, after = used.get(day, _NOTHING), recorded.get(day, _NOTHING)
            why, detail = Why.RECORD_CHANGED, difference(before, after)
        elif built[day] != version:
            why, detail = Why.RULES_CHANGED, f"{built[day]} -> {version}"
        else:
            why, detail = Why.CURRENT, ""
        found.append(Standing(day, why, detail, missing))
    return found


def dates_needing_revision(client: Client, now: datetime, look_back_days: int = 14) -> list[date]:
    """Closed trade dates, ascending, that were never finalized, or whose record has changed since.

    Changes are looked for in the last ``look_back_days``; a date without any build is found
    however old it is, and so is one of which a batch was refused or sent again since, or of whose
    runs a later one has told since. A date of whose record retention has dropped something that a
    build reads is never due: its rows would be replaced by what is left. Other rules alone make no
    date due: ``ib-platform rebuild`` builds these.
    """
    first = trade_date_of(now) - timedelta(days=look_back_days)
    return [
        one.trade_date
        for one in standings(client, now, "", first)
        if one.why in (Why.NEVER_BUILT, Why.RECORD_CHANGED) and one.record_dropped is None
    ]


def recorded_inputs(client: Client, first: date, last: date) -> dict[date, Inputs]:
    """What the record holds now: of the dates from ``first`` to ``last``, and late inputs of all
    dates. Raises errors of clickhouse-connect."""
    window = {"read_from": first, "read_to": last}
    rows: list[Any] = list(client.query(query("inputs"), window).result_rows)
    return _by_date([*rows, *late_inputs(client)])


def closed_dates(client: Client, now: datetime) -> set[date]:
    """Closed trade dates with frames, or since the first assignment."""
    days = {
        date_of(row[0])
        for row in client.query("SELECT DISTINCT trade_date FROM frames").result_rows
    }
    assigned, first = client.query(
        "SELECT count(), min(effective_at) FROM assignments"
    ).result_rows[0]
    if assigned:
        begin = first if first.tzinfo else first.replace(tzinfo=UTC)
        days.update(trade_dates_between(min(begin, now), now))
    return {day for day in days if trade_date_span(day)[1] <= now}


def difference(before: Inputs, after: Inputs) -> str:
    """What changed between two records of a date, by input, for people: ``frames +3``."""
    rows_before, rows_after = _rows_by_input(before), _rows_by_input(after)
    changes = []
    for name in sorted({one[1] for one in before ^ after}):
        by = rows_after.get(name, 0) - rows_before.get(name, 0)
        changes.append(f"{name} {by:+,}" if by else f"{name} differ")
    return ", ".join(changes)


def _used(client: Client, first: date) -> dict[date, Inputs]:
    return _by_date(client.query(_USED, {"read_from": first, "late": list(LATE)}).result_rows)


def _by_date(rows: Iterable[Any]) -> dict[date, Inputs]:
    found: dict[date, set[tuple[Any, ...]]] = {}
    for day, *row in rows:
        found.setdefault(date_of(day), set()).add(tuple(row))
    return {day: frozenset(those) for day, those in found.items()}


def _rows_by_input(inputs: Inputs) -> Mapping[str, int]:
    rows: dict[str, int] = {}
    for _, name, count, _ in inputs:
        rows[name] = rows.get(name, 0) + count
    return rows
