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
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.warehouse.build import staged
from ib_platform.warehouse.connect import warehouse_errors
from ib_platform.warehouse.date_lock import date_lock
from ib_platform.warehouse.dropped import refuse_without_inputs
from ib_platform.warehouse.fill import fill
from ib_platform.warehouse.horizon import DateSpan
from ib_platform.warehouse.late_inputs import LOOK_BACK
from ib_platform.warehouse.quality import Product, Thresholds
from ib_platform.warehouse.revision import Revision, read_revision
from ib_platform.warehouse.spans import nanoseconds_text, to_ns
from ib_platform.warehouse.sql import inputs_version

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
    """What a build published: rows by table. ``revised_at``: when a final build was last replaced
    by one of another record, UTC; None: never, or the date is open."""

    trade_date: date
    inputs_version: str
    preliminary: bool
    rows: dict[str, int]
    revised_at: datetime | None = None


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
    """Bars, gaps, suspect windows and report of a date that is still open. Waits for another build
    of the date.

    Raises WarehouseError when a check fails: the old rows stay. PlatformInUseError: the other build
    does not end.
    """
    return _build(client, config, trade_date, _OPEN_TABLES, now)


def finalize(
    client: Client, config: PlatformConfig, trade_date: date, *, now: datetime | None = None
) -> BuildResult:
    """Depth and everything else. On a date that is still open the report says preliminary, and the
    date still counts as never finalized. Where a final build used another record, the report says
    when it was revised. Waits for another build of the date.

    Raises WarehouseError when a check fails, or retention has dropped what the build would read:
    the old rows stay. PlatformInUseError: the other build does not end.
    """
    return _build(client, config, trade_date, _FINAL_TABLES, now)


def _build(
    client: Client,
    config: PlatformConfig,
    trade_date: date,
    tables: Sequence[str],
    now: datetime | None,
) -> BuildResult:
    thresholds = thresholds_of(config)
    version = inputs_version(thresholds)
    begin, end = trade_date_span(trade_date)
    with (
        date_lock(config, trade_date),
        warehouse_errors(config.clickhouse, f"build of trade date {trade_date}"),
    ):
        # Not before the lock is held: the date may have closed meanwhile.
        instant = now or datetime.now(UTC)
        span = DateSpan(trade_date, to_ns(begin), to_ns(end), is_open=instant < end)
        refuse_without_inputs(client, trade_date)
        revision = None if span.is_open else read_revision(client, trade_date, _ms(instant))
        parameters = _parameters(span, version, _ms(instant), revision)
        with staged(client, trade_date, tables, parameters) as build:
            if "builds" in tables and revision is not None:
                build.insert_rows("builds", list(revision.rows()))
            fill(build, span, thresholds)
            build.check()
            rows = build.publish()
    revised = None if revision is None else revision.instant
    return BuildResult(trade_date, version, span.is_open, rows, revised)


def _ms(instant: datetime) -> int:
    return to_ns(instant) // 1_000_000


def _parameters(
    span: DateSpan, version: str, built_at_ms: int, revision: Revision | None
) -> dict[str, Any]:
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
        "revised_at_ms": None if revision is None else revision.revised_at,
    }
