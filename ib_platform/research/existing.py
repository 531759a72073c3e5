"""What exists: verdicts by trade date, and the answer to a span in which nothing does."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.errors import NothingRecordedError, SelectionError
from ib_platform.marketdata.bars import BarSize
from ib_platform.research.columns import Table
from ib_platform.research.contracts import NamedContract
from ib_platform.research.selection import Selection
from ib_platform.research.span import ReadSpan
from ib_platform.states import Verdict
from ib_platform.warehouse.inputs import date_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_REPORT = """
SELECT trade_date, contract, conid, verdict FROM quality_report
WHERE trade_date BETWEEN {first_date:Date} AND {last_date:Date}
  AND (contract = {contract:String} OR conid IN {conids:Array(UInt64)})
"""
_BUILT = """
SELECT countIf(trade_date BETWEEN {first_date:Date} AND {last_date:Date}),
       count(DISTINCT trade_date), min(trade_date), max(trade_date)
FROM quality_report
"""
_DROPPED = """
SELECT count(DISTINCT trade_date), min(trade_date), max(trade_date),
       arraySort(groupUniqArray(3)(file))
FROM dropped_partitions
WHERE table_name = {table:String} AND trade_date BETWEEN {first_date:Date} AND {last_date:Date}
"""
_STORED_IN = {Table.CONTINUOUS: "bars"}
_BEST_FIRST = (Verdict.AVAILABLE, Verdict.DEGRADED, Verdict.PENDING, Verdict.MISSING)


def verdict_of(text: str) -> Verdict:
    """Raises SelectionError for another word than those of ``quality_report.verdict``."""
    try:
        return Verdict(text)
    except ValueError as error:
        known = ", ".join(_BEST_FIRST)
        raise SelectionError(f"no verdict {text!r}; known, best first: {known}") from error


def bar_size_of(text: str) -> BarSize:
    """Raises SelectionError for another word than those of ``bars.bar_size``."""
    try:
        return BarSize(text)
    except ValueError as error:
        raise SelectionError(f"no bar size {text!r}; built are {', '.join(BarSize)}") from error


def at_least(minimum: Verdict) -> list[str]:
    """Words of the verdicts that are not worse than ``minimum``, best first."""
    return [verdict.value for verdict in _BEST_FIRST[: _BEST_FIRST.index(minimum) + 1]]


def verdicts(client: Client, contract: NamedContract, span: ReadSpan) -> dict[date, Verdict]:
    """Verdict of a contract by trade date; no entry where there is no report.

    A date may have reports of several keys with the same conid (``CL.NYMEX.front`` and
    ``CL.NYMEX.2026-12``): the key's own counts, else the worst of them.
    """
    bound = {
        **span.dates,
        "contract": contract.name,
        "conids": contract.conids,
    }
    own: dict[date, Verdict] = {}
    others: dict[date, Verdict] = {}
    for row_date, key, conid, word in client.query(_REPORT, bound).result_rows:
        day, verdict = date_of(row_date), Verdict(word)
        if key == contract.name:
            own[day] = verdict
        elif conid == contract.conid_on(day):
            others[day] = max(others.get(day, verdict), verdict, key=_BEST_FIRST.index)
    return {**others, **own}


def refuse_nothing(client: Client, selection: Selection, reported: Iterable[date]) -> None:
    """Of a selection without rows: return where that is the truth, since a report says that the
    trade date was looked at; else say what exists.

    Raises:
        NothingRecordedError: nothing of the contract, or of this bar size, was recorded there, or
            retention has exported and dropped it.
    """
    _refuse_dropped(client, selection)
    if selection.bar_size is not None:
        _refuse_size(client, selection, selection.bar_size)
    if not list(reported):
        what = "bars" if selection.table.of_bars else f"rows in {selection.table.value}"
        raise NothingRecordedError(
            f"{selection.contract.name} has no {what} from {selection.span}; "
            f"{_recorded(client, selection)}"
        )


def refuse_unbuilt(client: Client, span: ReadSpan) -> None:
    """Of a span without gaps or reports: return where it was built.

    Raises:
        SelectionError: no trade date of ``span`` has a quality report.
    """
    built, days, first, last = client.query(_BUILT, span.dates).result_rows[0]
    if built:
        return
    what = f"built are {days} trade dates, {first} to {last}" if days else "none was built yet"
    raise SelectionError(f"no trade date from {span} was built; {what}")


def refuse_unchecked(client: Client, condition: str, bound: dict[str, Any]) -> None:
    """Of a selection without checks: return where it has no reports either. ``condition``: over
    ``quality_report AS t``.

    Raises:
        NothingRecordedError: the reports are older than the checks.
    """
    reports, first, last = client.query(
        "SELECT count(), min(t.trade_date), max(t.trade_date) FROM quality_report AS t "
        f"WHERE {condition}",
        bound,
    ).result_rows[0]
    if reports:
        raise NothingRecordedError(
            f"no checks: {reports} reports from {first} to {last} were built by a version without "
            "them; `ib-platform compact` builds these trade dates again"
        )


def _refuse_size(client: Client, selection: Selection, size: BarSize) -> None:
    others = client.query(
        f"SELECT toString(t.bar_size), count() FROM {selection.table.value} AS t WHERE t.conid IN "
        "{conids:Array(UInt64)} AND t.bar_start >= {begin:DateTime64(9, 'UTC')} "
        "AND t.bar_start < {end:DateTime64(9, 'UTC')} GROUP BY t.bar_size ORDER BY t.bar_size",
        {"conids": selection.contract.conids, **selection.span.bound},
    ).result_rows
    if others and size.value not in {name for name, _ in others}:
        known = ", ".join(f"{rows:,} of {name}" for name, rows in others)
        raise NothingRecordedError(
            f"{selection.contract.name} has no {size} bars from {selection.span}; "
            f"bars there: {known}"
        )


def _refuse_dropped(client: Client, selection: Selection) -> None:
    table = _STORED_IN.get(selection.table, selection.table.value)
    bound = {**selection.span.dates, "table": table}
    days, first, last, files = client.query(_DROPPED, bound).result_rows[0]
    if days:
        raise NothingRecordedError(
            f"{selection.contract.name} has no rows from {selection.span}: retention has exported "
            f"and dropped {table} of {days} trade dates there, {first} to {last}, to "
            f"{', '.join(files)}"
        )


def _recorded(client: Client, selection: Selection) -> str:
    table = selection.table
    source = "ladder_frames" if table is Table.DEPTH else table.value
    size = "" if selection.bar_size is None else " AND bar_size = {bar_size:String}"
    days, first, last = client.query(
        "SELECT count(DISTINCT trade_date), min(trade_date), max(trade_date) "
        f"FROM {source} WHERE conid IN {{conids:Array(UInt64)}}{size}",
        {"conids": selection.contract.conids, **selection.bound},
    ).result_rows[0]
    if not days:
        return "nothing of it is there on any other trade date"
    return f"it has some on {days} trade dates, {first} to {last}"
