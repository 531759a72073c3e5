"""Asset checks of a trade date: they carry the verdicts of the quality report into the UI."""

# No `from __future__ import annotations` here: Dagster reads the resource's class from the
# annotation and cannot resolve text.
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg

from ib_platform.errors import PlatformError
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.orchestration.partitions import PARTITION_TAG, trade_date_of_key
from ib_platform.orchestration.previews import markdown_table
from ib_platform.orchestration.refusals import refusals_result
from ib_platform.orchestration.resources import PLATFORM, Platform
from ib_platform.orchestration.verified import verification_result

_UNSOUND_BARS = """
SELECT conid, bar_size, bar_start, mid_open, mid_high, mid_low, mid_close, frames, states
FROM bars
WHERE trade_date = {day:Date}
  AND (mid_low > least(mid_open, mid_close) OR mid_high < greatest(mid_open, mid_close)
       OR frames = 0 OR states > frames OR spread_mean < 0 AND NOT suspect)
ORDER BY conid, bar_size, bar_start LIMIT 20
"""
_VERDICTS = """
SELECT contract, verdict, arrayStringConcat(reasons, '; ') AS reasons
FROM quality_report WHERE trade_date = {day:Date} AND verdict NOT IN ('available', 'pending')
ORDER BY contract
"""
_BALANCES = """
SELECT paper_user, max(frames_received) AS received, max(frames_stored) AS stored,
       max(frames_lost) AS lost, max(quality_report.duplicates) AS repeated
FROM quality_report
WHERE trade_date = {day:Date} AND frames_received IS NOT NULL
GROUP BY paper_user HAVING lost != 0 ORDER BY paper_user
"""


@dg.asset_check(
    asset="bars",
    description="Low <= open, close <= high; every bar has frames; no negative spread.",
    resource_defs={"platform": PLATFORM},
)
def bars_sound(context: dg.AssetCheckExecutionContext, platform: Platform) -> dg.AssetCheckResult:
    """ERROR: a bar that cannot be is a defect of ours."""
    return _none_of(context, platform, _UNSOUND_BARS, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset="quality_report",
    description="Every contract's verdict is available (or pending on the open date).",
    resource_defs={"platform": PLATFORM},
)
def quality_verdict(
    context: dg.AssetCheckExecutionContext, platform: Platform
) -> dg.AssetCheckResult:
    """WARN: the data are less than they should be, and the report says where."""
    return _none_of(context, platform, _VERDICTS, dg.AssetCheckSeverity.WARN)


@dg.asset_check(
    asset="quality_report",
    description="received = stored for every pod, over all topics.",
    resource_defs={"platform": PLATFORM},
)
def spool_balance(
    context: dg.AssetCheckExecutionContext, platform: Platform
) -> dg.AssetCheckResult:
    """ERROR: frames that a streamer stamped are not in the record."""
    return _none_of(context, platform, _BALANCES, dg.AssetCheckSeverity.ERROR)


@dg.asset_check(
    asset="frames",
    description=(
        "received = stored + lost with cause, for every run on the trade date. By frames and "
        "events of the warehouse alone: Dagster may run on another host than the spools, so "
        "payloads are not compared here; `ib-platform verify` on the pod's machine does that too."
    ),
    resource_defs={"platform": PLATFORM},
)
def frames_verified(
    context: dg.AssetCheckExecutionContext, platform: Platform
) -> dg.AssetCheckResult:
    """ERROR: a frame is missing, or stored in two shapes, and no recorded cause explains it."""
    from ib_platform.warehouse.connect import warehouse_errors
    from ib_platform.warehouse.spans import Span, to_ns
    from ib_platform.warehouse.verify.verify import verify_warehouse

    with failures(), platform.client("checks") as client:
        day = trade_date_of_check(context, client)
        begin, end = trade_date_span(day)
        with warehouse_errors(platform.config().clickhouse, f"verify {day}"):
            found = verify_warehouse(client, Span(to_ns(begin), to_ns(end)))
    return verification_result(found, day)


@dg.asset_check(
    asset="frames",
    description=(
        "No batch that touches the trade date was refused by ClickHouse for its content and waits "
        "in a pod's quarantine: what to do is in the metadata. By the events of the warehouse."
    ),
    resource_defs={"platform": PLATFORM},
)
def nothing_quarantined(
    context: dg.AssetCheckExecutionContext, platform: Platform
) -> dg.AssetCheckResult:
    """ERROR: frames are not in the record until a person has cured why."""
    from ib_platform.warehouse.connect import warehouse_errors
    from ib_platform.warehouse.refused import read_waiting

    with failures(), platform.client("checks") as client:
        day = trade_date_of_check(context, client)
        with warehouse_errors(platform.config().clickhouse, f"read the refused batches of {day}"):
            waiting = read_waiting(client)
    return refusals_result(waiting, day)


def _none_of(
    context: dg.AssetCheckExecutionContext,
    platform: Platform,
    sql: str,
    severity: dg.AssetCheckSeverity,
) -> dg.AssetCheckResult:
    """Passes when ``sql`` finds no row for the trade date of the run."""
    with failures(), platform.client("checks") as client:
        day = trade_date_of_check(context, client)
        names, rows = _found(client, sql, day)
    return dg.AssetCheckResult(
        passed=not rows,
        severity=severity,
        description=None if not rows else f"{len(rows)} found",
        metadata={
            "trade_date": str(day),
            "found": dg.MetadataValue.int(len(rows)),
            "rows": dg.MetadataValue.md(markdown_table(names, rows)),
        },
    )


def trade_date_of_check(context: dg.AssetCheckExecutionContext, client: Any) -> date:
    """The partition of the run; a check that is run alone looks at the newest report.

    Checks have no partitions of their own: in Dagster 1.13 that is a preview.
    """
    key = context.run.tags.get(PARTITION_TAG)
    if key is not None:
        return trade_date_of_key(key)
    newest: date = client.query("SELECT max(trade_date) FROM quality_report").result_rows[0][0]
    return newest


def _found(client: Any, sql: str, day: date) -> tuple[list[str], list[tuple[Any, ...]]]:
    answer = client.query(sql, {"day": day})
    return list(answer.column_names), list(answer.result_rows)


@contextmanager
def failures() -> Iterator[None]:
    """A PlatformError says all that a person needs: without the stack around it."""
    try:
        yield
    except PlatformError as error:
        raise dg.Failure(description=str(error)) from error
