"""Spread in ticks and basis points, depth and imbalance: figures worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.ladder import LadderRows
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import SECOND, TICK, Recorder, full, rows_of
from ib_platform_tests.warehouse.test_bars import assert_twins_agree, bars

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
ASKS = {f"r{row}": -10 - row for row in range(10)}
BIDS = {f"r{row}": 100 + row for row in range(11, 21)}


def minute_of(
    client: Any, config: PlatformConfig, frames: list[tuple[int, LadderRows]], until: int = 60
) -> dict[str, Any]:
    """The 1m bar from NOON of ladder frames at seconds after it, the run alive ``until`` then."""
    recorder = Recorder("r")
    for second, rows in frames:
        recorder.ladder(NOON + second * SECOND, 1, rows)
    recorder.other(NOON + until * SECOND)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, [recorder], DAY)
    return bars(client, DAY)[(1, "1m", NOON // SECOND)]


def test_spread_in_ticks_and_basis_points(client: Any, config: PlatformConfig) -> None:
    # Bid 59.89, ask 59.91 for 15 s; then 59.88 and 59.91.
    second = rows_of(60 * SECOND, {11: 0, 12: 5})
    bar = minute_of(client, config, [(0, full()), (15, second)])
    assert bar["spread_mean_ticks"] == 2.5
    assert bar["spread_time_weighted_ticks"] == (15 * 2 + 45 * 3) / 60
    narrow, wide = 1e4 * 0.02 / 59.9, 1e4 * 0.03 / 59.895
    assert bar["spread_mean_basis_points"] == pytest.approx((narrow + wide) / 2, abs=1e-8)
    expected = (15 * narrow + 45 * wide) / 60
    assert bar["spread_time_weighted_basis_points"] == pytest.approx(expected, abs=1e-8)


@pytest.mark.parametrize("top", [-37 * SECOND, 11 * TICK, 10 * TICK])
def test_no_basis_points_of_a_price_that_is_not_positive(
    client: Any, config: PlatformConfig, top: int
) -> None:
    bar = minute_of(client, config, [(0, full(top=top))])
    assert (bar["spread_mean_ticks"], bar["spread_time_weighted_ticks"]) == (2, 2)
    assert bar["spread_mean_basis_points"] is None
    assert bar["spread_time_weighted_basis_points"] is None


def test_depth_over_prices(client: Any, config: PlatformConfig) -> None:
    bar = minute_of(client, config, [(0, full(**ASKS, **BIDS))])
    asks = {1: 19, 5: 19 + 18 + 17 + 16 + 15, 10: sum(range(10, 20))}
    bids = {1: 111, 5: 111 + 112 + 113 + 114 + 115, 10: sum(range(111, 121))}
    for count in (1, 5, 10):
        assert bar[f"ask_depth_{count}_time_weighted"] == asks[count]
        assert bar[f"bid_depth_{count}_time_weighted"] == bids[count]
        imbalance = (bids[count] - asks[count]) / (bids[count] + asks[count])
        assert bar[f"imbalance_{count}_time_weighted"] == pytest.approx(imbalance, abs=1e-9)
    for count in (5, 10):
        assert bar[f"ask_depth_{count}_close"] == asks[count]
        assert bar[f"bid_depth_{count}_close"] == bids[count]
        assert bar[f"depth_{count}_seconds"] == 60


def test_an_empty_price_counts_as_a_price(client: Any, config: PlatformConfig) -> None:
    levels = {"r9": -1, "r11": 5, "r13": 7, "r16": 9}
    bar = minute_of(client, config, [(0, full(**levels))])
    assert bar["bid_depth_5_close"] == 5 + 7


def test_a_window_that_has_moved_shows_less_than_ten_prices(
    client: Any, config: PlatformConfig
) -> None:
    frames = [
        (0, full(**ASKS, **BIDS)),
        (20, rows_of(60 * SECOND, {11: 0})),  # nine bid prices are left
        (40, rows_of(60 * SECOND, {9: 0})),  # and nine ask prices
    ]
    bar = minute_of(client, config, frames)
    assert bar["bid_depth_5_close"] == 112 + 113 + 114 + 115 + 116
    assert bar["ask_depth_5_close"] == 18 + 17 + 16 + 15 + 14
    unknown = ["bid_depth_10_close", "ask_depth_10_close", "imbalance_10_close"]
    assert {name: bar[name] for name in unknown} == dict.fromkeys(unknown)
    assert (bar["depth_5_seconds"], bar["depth_10_seconds"]) == (60, 20)
    assert bar["bid_depth_10_time_weighted"] == sum(range(111, 121)), "over the time it is known"
    assert bar["ask_depth_10_time_weighted"] == sum(range(10, 20))


def test_in_warm_up_only_the_touch_is_known(client: Any, config: PlatformConfig) -> None:
    bar = minute_of(client, config, [(0, full())])
    assert (bar["bid_depth_1_time_weighted"], bar["ask_depth_1_time_weighted"]) == (5, 7)
    unknown = [
        f"{name}_{count}_{how}"
        for name in ("bid_depth", "ask_depth", "imbalance")
        for count in (5, 10)
        for how in ("close", "time_weighted")
    ]
    assert {name: bar[name] for name in unknown} == dict.fromkeys(unknown)
    assert (bar["depth_5_seconds"], bar["depth_10_seconds"]) == (0, 0)


def test_one_side_alone_has_a_depth_and_no_imbalance(client: Any, config: PlatformConfig) -> None:
    bar = minute_of(client, config, [(0, full(r11=5, r12=6))])
    assert bar["bid_depth_5_close"] == bar["bid_depth_5_time_weighted"] == 11
    assert (bar["ask_depth_1_time_weighted"], bar["ask_depth_5_close"]) == (None, None)
    assert (bar["imbalance_1_time_weighted"], bar["imbalance_5_close"]) == (None, None)
