"""Partitions: one Dagster partition = one trade date = one ClickHouse partition."""

from __future__ import annotations

from datetime import date, datetime

import dagster as dg

from ib_platform.marketdata.calendar import trade_date_of

START = "2025-01-01"
KEY_FORMAT = "%Y-%m-%d"
PARTITION_TAG = "dagster/partition"

# end_offset: from 16:30 Chicago on the open date is the next one, on Fridays Monday's; Dagster by
# itself knows only dates whose midnight has passed. Which date is open is never asked of Dagster.
trade_dates = dg.DailyPartitionsDefinition(
    start_date=START,
    timezone="America/Chicago",
    end_offset=2,
    exclusions=["0 0 * * 6", "0 0 * * 0"],
)


def open_partition_key(now: datetime) -> str:
    """Key of the trade date that is open at ``now`` (timezone-aware)."""
    return trade_date_of(now).strftime(KEY_FORMAT)


def trade_date_of_key(key: str) -> date:
    """Trade date of a partition key."""
    return date.fromisoformat(key)
