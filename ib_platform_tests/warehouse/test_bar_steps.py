"""Order flow at the touch and trades of the focus row: figures worked out by hand, and where a
step may not be taken."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import (
    SECOND,
    TICK,
    Recorder,
    assign,
    full,
    rows_of,
)
from ib_platform_tests.warehouse.test_bars import assert_twins_agree, bars

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
TOP = 60 * SECOND
EVERYTHING = dict.fromkeys(range(21), 0)


def day_of(client: Any, config: PlatformConfig, recorder: Recorder) -> dict[str, Any]:
    """The 1d bar of what was recorded, once the twins agree on all bars."""
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, [recorder], DAY)
    (day,) = (row for key, row in bars(client, DAY).items() if key[1] == "1d")
    return day


def test_order_flow_of_one_step(client: Any, config: PlatformConfig) -> None:
    steps: list[tuple[dict[int, int], int]] = [
        ({11: 8}, 8 - 5),  # 3 more at the bid
        ({9: -9}, 7 - 9),  # 2 more at the ask
        ({10: 4}, 4),  # a better bid
        ({11: 0, 12: 6}, -5),  # the bid is gone
        ({10: -4}, -4),  # a better ask
        ({9: 0, 8: -6}, 7),  # the ask is gone
        ({11: 0, 12: 6, 10: -1}, -5 - 1),
        ({20: 3}, 0),  # depth is not the touch
    ]
    recorder = Recorder("r")
    for conid, (change, _) in enumerate(steps):
        recorder.ladder(NOON, conid, full())
        recorder.ladder(NOON + SECOND, conid, rows_of(TOP, change))
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, [recorder], DAY)
    found = bars(client, DAY)
    for conid, (change, flow) in enumerate(steps):
        day = next(row for key, row in found.items() if key[:2] == (conid, "1d"))
        assert (day["order_flow_imbalance"], day["order_flow_steps"]) == (flow, 1), change
        first, second = (found[(conid, "1s", NOON // SECOND + n)] for n in range(2))
        assert (first["order_flow_imbalance"], first["order_flow_steps"]) == (None, 0), change
        # A step belongs to the bar of its later state.
        assert second["order_flow_imbalance"] == flow, change


def test_a_window_that_is_laid_anew_in_an_epoch_breaks_no_step(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    # Bid 59.90 of 5 instead of 59.89 of 5, ask 59.92 of 7 instead of 59.91 of 7.
    recorder.ladder(NOON + SECOND, 1, full(top=TOP + TICK))
    assert day_of(client, config, recorder)["order_flow_imbalance"] == 5 + 7


@pytest.mark.parametrize("between", ["request", "lost", "broken", "one_sided", "crossed"])
def test_no_step_is_taken_across(client: Any, config: PlatformConfig, between: str) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, rows_of(TOP, EVERYTHING | {9: -7, 11: 5}, (11, 3)))
    after = rows_of(TOP, EVERYTHING | {9: -7, 11: 50}, (9, 1))
    if between == "request":
        recorder.event(NOON + SECOND, StreamEventKind.SUBSCRIBE_REQUESTED, conid=1)
    elif between == "lost":
        recorder.event(NOON + SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    elif between == "broken":
        recorder.broken(NOON + SECOND, 1)
        after = rows_of(TOP, {9: -7, 11: 50}, (9, 1))
    elif between == "one_sided":
        recorder.ladder(NOON + SECOND, 1, rows_of(TOP, {11: 0}))
    else:
        recorder.ladder(NOON + SECOND, 1, rows_of(TOP, {8: 5}))
    recorder.ladder(NOON + 2 * SECOND, 1, after)
    recorder.other(NOON + 3 * SECOND)
    day = day_of(client, config, recorder)
    assert (day["order_flow_imbalance"], day["order_flow_steps"]) == (None, 0)
    if between != "one_sided":
        assert (day["last_trade_open"], day["last_trade_changes"]) == (None, None)


def test_no_step_is_taken_across_a_silent_gap(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    silent = int(config.limits.silent_after) * 3
    recorder.ladder(NOON, 1, full())
    for second in range(1, silent, 5):
        recorder.other(NOON + second * SECOND)
    recorder.ladder(NOON + silent * SECOND, 1, rows_of(TOP, {11: 50}))
    recorder.ladder(NOON + (silent + 1) * SECOND, 1, rows_of(TOP, {11: 52}))
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 3600 * SECOND)
    day = day_of(client, config, recorder)
    causes = client.query("SELECT DISTINCT cause FROM gaps").result_columns[0]
    assert "silent_ladder" in causes
    assert (day["order_flow_imbalance"], day["order_flow_steps"]) == (2, 1)


def test_trades_of_the_focus_row(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    frames = [
        rows_of(TOP, EVERYTHING | {9: -7, 11: 5}, (11, 3)),  # an old trade: when is unknown
        rows_of(TOP, {11: 6}, (11, 3)),  # sent again
        rows_of(TOP, {12: 4}),  # not sent at all
        rows_of(TOP, {11: 6}, (11, 2)),  # a trade of another size
        rows_of(TOP, {11: 6, 9: -7}, (9, 2)),  # at another price
        rows_of(TOP + 3 * TICK, EVERYTHING | {9: -7, 11: 5}, (11, 2)),  # in a new window
        rows_of(TOP + 3 * TICK, {12: 5}),
    ]
    for second, rows in enumerate(frames):
        recorder.ladder(NOON + second * SECOND, 1, rows)
    day = day_of(client, config, recorder)
    names = [f"last_trade_{name}" for name in ("open", "high", "low", "close")]
    assert [float(day[name]) for name in names] == [59.89, 59.92, 59.89, 59.92]
    assert day["last_trade_changes"] == 3
    seconds = [bars(client, DAY)[(1, "1s", NOON // SECOND + n)] for n in range(7)]
    assert [bar["last_trade_changes"] for bar in seconds] == [None, 0, 0, 1, 1, 1, 0]
    assert seconds[1]["last_trade_open"] is None


def test_a_ladder_without_a_focus_row_tells_nothing_of_trades(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    recorder.ladder(NOON + SECOND, 1, rows_of(TOP, {11: 6}))
    day = day_of(client, config, recorder)
    assert (day["last_trade_changes"], day["last_trade_close"]) == (None, None)
