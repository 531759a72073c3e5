"""One-minute bars of the mid by polars and by pandas, from the states that our bars are made of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pandas
import polars
import pytest

from ib_platform.config import PlatformConfig
from ib_platform.warehouse.compact import finalize
from ib_platform_tests.warehouse.month import store, stretches
from ib_platform_tests.warehouse.recording import record_capture, trade_date

MONDAY = date(2027, 3, 15)
AFTER = datetime(2027, 4, 12, tzinfo=UTC)
_STATES = """
SELECT conid, received_at AS at,
    toInt64(toDecimal128(best_bid + best_ask, 9) * 1000000000) AS twice
FROM depth WHERE trade_date = {day:Date} AND two_sided ORDER BY conid, received_at, run_id, seq
"""
_BARS = """
SELECT conid, toInt64(toUnixTimestamp(bar_start)) AS minute,
    toInt64(toDecimal128(mid_open, 9) * 2000000000) AS open,
    toInt64(toDecimal128(mid_high, 9) * 2000000000) AS high,
    toInt64(toDecimal128(mid_low, 9) * 2000000000) AS low,
    toInt64(toDecimal128(mid_close, 9) * 2000000000) AS close,
    states
FROM bars WHERE trade_date = {day:Date} AND bar_size = '1m' AND states > 0
ORDER BY conid, bar_start
"""
"""Prices are twice the mid in nanos: whole numbers, compared exactly."""
Bar = tuple[int, int, int, int, int, int, int]


def by_polars(states: Any) -> list[Bar]:
    frame = polars.DataFrame(polars.from_arrow(states))
    bars = frame.group_by_dynamic(
        "at", every="1m", closed="left", label="left", group_by="conid"
    ).agg(
        polars.col("twice").first().alias("open"),
        polars.col("twice").max().alias("high"),
        polars.col("twice").min().alias("low"),
        polars.col("twice").last().alias("close"),
        polars.len().alias("states"),
    )
    minute = polars.col("at").dt.epoch("s").alias("minute")
    columns = ("open", "high", "low", "close", "states")
    return bars.sort("conid", "at").select("conid", minute, *columns).rows()


def by_pandas(states: Any) -> list[Bar]:
    frame = states.to_pandas().set_index("at")
    bars = frame.groupby("conid")["twice"].resample("1min", closed="left", label="left")
    found = bars.agg(["first", "max", "min", "last", "count"]).reset_index()
    found = found[found["count"] > 0].astype(
        {name: "int64" for name in ("first", "max", "min", "last")}
    )
    found["at"] = (found["at"] - pandas.Timestamp(0, tz="UTC")) // pandas.Timedelta(seconds=1)
    return [tuple(int(value) for value in row) for row in found.itertuples(index=False)]


@pytest.fixture(params=["capture", "simulated"])
def built(request: pytest.FixtureRequest, client: Any, config: PlatformConfig) -> date:
    """A finalized trade date, recorded or simulated."""
    if request.param == "capture":
        recorder = record_capture()
        recorder.insert(client)
        day: date = trade_date(recorder.states[0].at)
    else:
        day = MONDAY
        for number, stretch in enumerate(stretches([day]), 1):
            store(client, number, stretch)
    finalize(client, config, day, now=AFTER)
    return day


def test_every_minute(client: Any, built: date) -> None:
    states = client.query_arrow(_STATES, {"day": built})
    ours = client.query(_BARS, {"day": built}).result_rows
    expected = [tuple(int(value) for value in row) for row in ours]
    assert len(expected) > 10
    others: tuple[Callable[[Any], list[Bar]], ...] = (by_polars, by_pandas)
    for other in others:
        assert other(states) == expected, other.__name__
