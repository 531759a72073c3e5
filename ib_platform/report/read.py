"""Reads the page of a trade date from the derived tables, a few statements for all contracts."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.report.day import Arrivals, ContractPage, DatePage, Minute, Stretch
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_REPORTS = "SELECT * FROM quality_report WHERE trade_date = {trade_date:Date} ORDER BY contract"
_CHECKS = (
    "SELECT * FROM quality_checks WHERE trade_date = {trade_date:Date} ORDER BY contract, code"
)
_GAPS = """
SELECT contract AS of, begin, end, cause AS what FROM gaps
WHERE trade_date = {trade_date:Date} ORDER BY begin, end
"""
_PHASES = """
SELECT contract AS of, begin, end, toString(phase) AS what FROM phases
WHERE trade_date = {trade_date:Date} ORDER BY begin
"""
_SUSPECTS = """
SELECT conid AS of, begin, end, cause AS what FROM suspect_windows
WHERE trade_date = {trade_date:Date} ORDER BY begin, end
"""
_MINUTES = """
SELECT conid, bar_start AS begin, toFloat64(mid_close) AS mid, toFloat64(last_trade_close) AS last,
       spread_time_weighted_ticks AS spread, bid_depth_5_time_weighted AS bid_depth,
       ask_depth_5_time_weighted AS ask_depth
FROM bars WHERE trade_date = {trade_date:Date} AND bar_size = '1m' ORDER BY conid, bar_start
"""


def read_date(client: Client, trade_date: date) -> DatePage:
    """The page of ``trade_date``; without contracts where it was never built.

    Raises ValueError for a Saturday or Sunday.
    """
    begin, end = trade_date_span(trade_date)

    def rows(sql: str) -> list[dict[str, Any]]:
        return list(client.query(sql, {"trade_date": trade_date}).named_results())

    reports = rows(_REPORTS)
    checks = _by(rows(_CHECKS), "contract")
    gaps, phases, suspects = (_stretches(rows(sql)) for sql in (_GAPS, _PHASES, _SUSPECTS))
    minutes = _by(rows(_MINUTES), "conid")
    arrivals = {row["conid"]: row for row in rows(query("report_arrivals"))} if reports else {}
    return DatePage(
        trade_date,
        begin,
        end,
        tuple(
            ContractPage(
                {**report, "built_at": _aware(report["built_at"])},
                checks.get(report["contract"], []),
                gaps.get(report["contract"], []),
                suspects.get(report["conid"], []),
                phases.get(report["contract"], []),
                [_minute(row) for row in minutes.get(report["conid"], [])],
                _arrivals(arrivals.get(report["conid"])),
            )
            for report in reports
        ),
    )


def dates_with_a_report(client: Client) -> list[date]:
    """Trade dates that have a page, ascending."""
    answer = client.query("SELECT DISTINCT trade_date FROM quality_report ORDER BY trade_date")
    return [day.date() if isinstance(day, datetime) else day for (day,) in answer.result_rows]


def _by(rows: Sequence[dict[str, Any]], name: str) -> dict[Any, list[dict[str, Any]]]:
    grouped: dict[Any, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        grouped[row[name]].append(row)
    return grouped


def _stretches(rows: Sequence[Mapping[str, Any]]) -> dict[Any, list[Stretch]]:
    found: dict[Any, list[Stretch]] = defaultdict(list)
    for row in rows:
        found[row["of"]].append(Stretch(_aware(row["begin"]), _aware(row["end"]), row["what"]))
    return found


def _minute(row: Mapping[str, Any]) -> Minute:
    return Minute(
        _aware(row["begin"]),
        row["mid"],
        row["last"],
        row["spread"],
        row["bid_depth"],
        row["ask_depth"],
    )


def _arrivals(row: Mapping[str, Any] | None) -> Arrivals | None:
    if row is None:
        return None
    buckets, counts = row["counts"]
    return Arrivals(
        dict(zip(buckets, counts, strict=True)), row["median"], row["p99"], row["longest"]
    )


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
