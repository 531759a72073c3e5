"""Compaction: one trade date of the record -> depth, bars, gaps and the quality report.

``build_open_date`` works straight from the one SQL definition of depth and leaves the table
``depth`` alone; ``finalize`` builds everything. Both may run any number of times: the same record
and the same ``inputs_version`` give the same rows, ``built_at`` aside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_of, trade_date_span, trade_dates_between
from ib_platform.warehouse.build import Build, staged
from ib_platform.warehouse.connect import warehouse_errors
from ib_platform.warehouse.dropped import (
    dropped_tables,
    input_dropped_for,
    refuse_without_inputs,
)
from ib_platform.warehouse.fill import fill
from ib_platform.warehouse.horizon import DateSpan
from ib_platform.warehouse.inputs import date_of
from ib_platform.warehouse.late_inputs import LATE, LOOK_BACK, late_inputs
from ib_platform.warehouse.quality import Product, Thresholds
from ib_platform.warehouse.spans import nanoseconds_text, to_ns
from ib_platform.warehouse.sql import inputs_version, query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_LOOK_AHEAD = timedelta(days=5)
_OPEN_TABLES = (
    "spells",
    "phases",
    "gaps",
    "suspect_windows",
    "bars",
    "quality_report",
    "quality_checks",
)
_FINAL_TABLES = ("depth", *_OPEN_TABLES, "builds")


@dataclass(frozen=True)
class BuildResult:
    """What a build published: rows by table."""

    trade_date: date
    inputs_version: str
    preliminary: bool
    rows: dict[str, int]


def thresholds_of(config: PlatformConfig) -> Thresholds:
    """The thresholds of a configuration. Products without any of their own are left out, so that a
    further contract changes no version."""
    products = (
        Product(
            f"{c.symbol}.{c.exchange}", c.quality or config.quality, c.roll.days_before_last_trade
        )
        for c in config.contracts
    )
    return Thresholds(
        silent_after=config.limits.silent_after,
        checks=config.quality,
        products=tuple(p for p in products if p.roll_days or p.checks != config.quality),
    )


def build_open_date(
    client: Client, config: PlatformConfig, trade_date: date, *, now: datetime | None = None
) -> BuildResult:
    """Bars, gaps, suspect windows and report of a date that is still open.

    Raises WarehouseError when a check fails: the old rows stay.
    """
    return _build(client, config, trade_date, _OPEN_TABLES, now or datetime.now(UTC))


def finalize(
    client: Client, config: PlatformConfig, trade_date: date, *, now: datetime | None = None
) -> BuildResult:
    """Depth and everything else. On a date that is still open the report says preliminary, and the
    date still counts as never finalized.

    Raises WarehouseError when a check fails, or retention has dropped what the build would read:
    the old rows stay.
    """
    return _build(client, config, trade_date, _FINAL_TABLES, now or datetime.now(UTC))


def dates_needing_revision(client: Client, now: datetime, look_back_days: int = 14) -> list[date]:
    """Closed trade dates, ascending, that were never finalized, or whose record has changed since.

    Changes are looked for in the last ``look_back_days``; a date without any build is found
    however old it is, and so is one of which a batch was refused or sent again since, or of whose
    runs a later one has told since. A date of whose record retention has dropped something that a
    build reads is never due: its rows would be replaced by what is left.
    """
    newest = trade_date_of(now)
    window = {"read_from": newest - timedelta(days=look_back_days), "read_to": newest}
    record: dict[date, set[tuple[Any, ...]]] = {}
    for day, *row in client.query(query("inputs"), window).result_rows:
        record.setdefault(date_of(day), set()).add(tuple(row))
    for day, *row in late_inputs(client):
        record.setdefault(day, set()).add(tuple(row))
    used: dict[date, set[tuple[Any, ...]]] = {}
    for day, *row in client.query(
        "SELECT trade_date, run_id, input, rows, highest_seq FROM builds "
        "WHERE run_id != '' "
        "AND (trade_date >= {read_from:Date} OR input IN {late:Array(String)})",
        {**window, "late": list(LATE)},
    ).result_rows:
        used.setdefault(date_of(day), set()).add(tuple(row))
    closed = _dates_to_have(client, now)
    changed = {day for day in closed if used.get(day) != record.get(day)}
    built = {
        date_of(row[0])
        for row in client.query("SELECT trade_date FROM builds WHERE run_id = ''").result_rows
    }
    dropped = dropped_tables(client)
    due = changed | (closed - built)
    return sorted(day for day in due if input_dropped_for(day, dropped) is None)


def _dates_to_have(client: Client, now: datetime) -> set[date]:
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


def _build(
    client: Client,
    config: PlatformConfig,
    trade_date: date,
    tables: Sequence[str],
    now: datetime,
) -> BuildResult:
    begin, end = trade_date_span(trade_date)
    span = DateSpan(trade_date, to_ns(begin), to_ns(end), is_open=now < end)
    thresholds = thresholds_of(config)
    version = inputs_version(thresholds)
    doing = f"build of trade date {trade_date}"
    with warehouse_errors(config.clickhouse, doing):
        refuse_without_inputs(client, trade_date)
    with (
        warehouse_errors(config.clickhouse, doing),
        staged(client, trade_date, tables, _parameters(span, version, now)) as build,
    ):
        if "builds" in tables:
            # Before anything is read: what arrives from now on makes the date due again.
            _note_inputs(build, span)
        fill(build, span, thresholds)
        build.check()
        rows = build.publish()
    return BuildResult(trade_date, version, span.is_open, rows)


def _note_inputs(build: Build, span: DateSpan) -> None:
    if span.is_open:
        return
    window: dict[str, Any] = {"read_from": span.trade_date, "read_to": span.trade_date}
    keys = ("run_id", "input", "rows", "highest_seq")
    used = [{key: row[key] for key in keys} for row in build.rows("inputs", **window)]
    late = [
        dict(zip(keys, row, strict=True))
        for day, *row in late_inputs(build.client)
        if day == span.trade_date
    ]
    total = sum(row["rows"] for row in used)
    whole = {"run_id": "", "input": "", "rows": total, "highest_seq": None}
    build.insert_rows("builds", [whole, *used, *late])


def _parameters(span: DateSpan, version: str, now: datetime) -> dict[str, Any]:
    built_at_ms = to_ns(now) // 1_000_000
    return {
        "trade_date": span.trade_date,
        "read_from": span.trade_date - LOOK_BACK,
        "read_to": span.trade_date + _LOOK_AHEAD,
        "own_rows": True,
        "date_begin": nanoseconds_text(span.begin),
        "date_end": nanoseconds_text(span.end),
        "inputs_version": version,
        "built_at": nanoseconds_text(built_at_ms * 1_000_000)[:23],
        "built_at_ms": built_at_ms,
    }
