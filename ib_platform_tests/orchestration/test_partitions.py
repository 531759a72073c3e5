"""The open date's key, on the days and hours when a naive answer is wrong."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ib_platform.orchestration.partitions import (
    open_partition_key,
    trade_date_of_key,
    trade_dates,
)

CHICAGO = ZoneInfo("America/Chicago")


@pytest.mark.parametrize(
    ("local", "key"),
    [
        ("2026-11-17T10:00", "2026-11-17"),  # Tuesday in the day
        ("2026-11-17T16:29", "2026-11-17"),
        ("2026-11-17T16:30", "2026-11-18"),
        ("2026-11-17T18:00", "2026-11-18"),  # Tuesday evening
        ("2026-11-20T18:00", "2026-11-23"),  # Friday evening
        ("2026-11-21T12:00", "2026-11-23"),  # Saturday
        ("2026-11-22T18:00", "2026-11-23"),  # Sunday evening
        ("2026-11-23T00:30", "2026-11-23"),
        # Clocks go forward on Sunday 8 March 2026, and back on Sunday 1 November 2026.
        ("2026-03-06T18:00", "2026-03-09"),
        ("2026-03-07T23:30", "2026-03-09"),
        ("2026-03-08T01:30", "2026-03-09"),
        ("2026-03-08T03:30", "2026-03-09"),
        ("2026-03-08T18:00", "2026-03-09"),
        ("2026-03-09T18:00", "2026-03-10"),
        ("2026-10-30T18:00", "2026-11-02"),
        ("2026-11-01T00:30", "2026-11-02"),
        ("2026-11-01T01:30", "2026-11-02"),
        ("2026-11-01T18:00", "2026-11-02"),
        ("2026-11-03T10:00", "2026-11-03"),
    ],
)
def test_the_open_date_is_a_valid_partition(local: str, key: str) -> None:
    now = datetime.fromisoformat(local).replace(tzinfo=CHICAGO)
    assert open_partition_key(now) == key
    assert key in trade_dates.get_partition_keys(current_time=now)
    assert trade_date_of_key(key).isoformat() == key


def test_the_open_date_is_a_valid_partition_all_over_two_years() -> None:
    for day in range(0, 730, 9):
        for hour in (1, 17, 23):
            at = datetime(2026, 1, 1, hour, tzinfo=CHICAGO) + timedelta(days=day)
            assert open_partition_key(at) in trade_dates.get_partition_keys(current_time=at), at


def test_no_weekend_is_a_partition() -> None:
    keys = trade_dates.get_partition_keys(current_time=datetime(2026, 12, 31, tzinfo=CHICAGO))
    assert {trade_date_of_key(key).weekday() for key in keys} == {0, 1, 2, 3, 4}


def test_the_capture_lies_in_the_partitions() -> None:
    assert trade_dates.has_partition_key("2025-11-13")
