"""Bars against their twin in plain Python, and the flags that need gaps and coverage."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import CAPTURE_CONID
from ib_platform_tests.warehouse.recording import (
    SECOND,
    TICK,
    Recorder,
    assign,
    full,
    record_capture,
    rows_of,
    trade_date,
)
from ib_platform_tests.warehouse.test_depth import RANDOM, STEPS, clear, play
from ib_platform_tests.warehouse.twin import TwinPhase, bars_of
from ib_platform_tests.warehouse.twin_steps import Break

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
BORDER = to_ns(trade_date_span(DAY)[1])
AFTER = datetime(2026, 11, 30, tzinfo=UTC)


def bars(client: Any, day: date) -> dict[tuple[int, str, int], dict[str, Any]]:
    rows = client.query(
        "SELECT *, toUnixTimestamp(bar_start) AS start FROM bars WHERE trade_date = {day:Date}",
        {"day": day},
    ).named_results()
    return {(row["conid"], row["bar_size"], row["start"]): row for row in rows}


def breaks_of(client: Any, day: date) -> list[Break]:
    """Gaps and suspect windows of the build; crossed states are told by their own flag."""
    rows = client.query(
        "SELECT assumeNotNull(conid), NULL, toUnixTimestamp64Nano(begin), "
        "toUnixTimestamp64Nano(end) FROM gaps "
        "WHERE trade_date = {day:Date} AND conid IS NOT NULL "
        "UNION ALL SELECT conid, run_id, toUnixTimestamp64Nano(begin), "
        "toUnixTimestamp64Nano(end) FROM suspect_windows "
        "WHERE trade_date = {day:Date} AND cause != 'crossed_book'",
        {"day": day},
    ).result_rows
    return [Break(*row) for row in rows]


def phases_of(client: Any, day: date) -> list[TwinPhase]:
    rows = client.query(
        "SELECT conid, phase, toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end) "
        "FROM phases WHERE trade_date = {day:Date} AND conid IS NOT NULL",
        {"day": day},
    ).result_rows
    return [TwinPhase(*row) for row in rows]


def assert_twins_agree(client: Any, recorders: list[Recorder], day: date) -> int:
    found = bars(client, day)
    wanted = bars_of(recorders, day, breaks_of(client, day), phases_of(client, day))
    assert found.keys() == wanted.keys()
    for key, columns in wanted.items():
        for name, value in columns.items():
            answer = found[key][name]
            if isinstance(value, float):
                near = {"rel": 1e-12, "abs": 1e-12}
                if name == "realised_variance":
                    # Squares are rounded to 1e-18 in the table.
                    near = {"rel": 1e-9, "abs": 1e-16}
                assert answer == pytest.approx(value, **near), (key, name)
            else:
                assert answer == value, (key, name)
    return len(found)


def test_every_bar_of_the_capture(client: Any, config: PlatformConfig) -> None:
    recorder = record_capture()
    recorder.insert(client)
    counts = {}
    for day in sorted({trade_date(state.at) for state in recorder.states}):
        finalize(client, config, day, now=AFTER)
        counts[day] = assert_twins_agree(client, [recorder], day)
        daily = [row for key, row in bars(client, day).items() if key[1] == "1d"]
        assert [(r["conid"], r["crossed_states"]) for r in daily] == [(CAPTURE_CONID, 0)]
    assert sum(counts.values()) > 700


# Two builds and two twins for each.
@settings(RANDOM, max_examples=8)
@given(first=STEPS, second=STEPS, offset=st.integers(-20, 5))
def test_random_streams(
    client: Any, config: PlatformConfig, first: Any, second: Any, offset: int
) -> None:
    clear(client)
    begin = BORDER + offset * SECOND
    recorders = [play(first, "run-a", begin), play(second, "run-b", begin)]
    for recorder in recorders:
        recorder.insert(client)
    for day in (DAY, date(2026, 11, 19)):
        build_open_date(client, config, day, now=AFTER)
        assert_twins_agree(client, recorders, day)


def test_a_steady_minute_is_complete(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    for second in range(-10, 190, 10):
        recorder.ladder(NOON + second * SECOND, 1, full(r8=-3, r9=-7, r11=5))
    recorder.insert(client)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 18, 4, tzinfo=UTC))
    found = bars(client, DAY)
    minutes = [found[(1, "1m", NOON // SECOND + m * 60)] for m in range(4)]
    assert [m["complete"] for m in minutes] == [True, True, True, False]
    assert [m["closed"] for m in minutes] == [True, True, True, False]
    assert minutes[0]["spread_time_weighted"] == pytest.approx(0.02)
    assert minutes[0]["two_sided_seconds"] == 60
    before = found[(1, "1m", NOON // SECOND - 60)]
    assert (before["closed"], before["complete"], before["two_sided_seconds"]) == (True, False, 10)


def test_time_weighting_holds_the_state_that_was_carried_in(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON - SECOND, 1, full(r9=-7, r11=5))
    recorder.ladder(NOON + 45 * SECOND, 1, full(r9=-7, r13=5))
    recorder.other(NOON + 60 * SECOND)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    bar = bars(client, DAY)[(1, "1m", NOON // SECOND)]
    assert bar["spread_time_weighted"] == pytest.approx((45 * 0.02 + 15 * 0.04) / 60)
    assert bar["spread_mean"] == pytest.approx(0.04)


def test_a_disconnection_ends_the_carried_state(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON - SECOND, 1, full(r9=-7, r11=5))
    recorder.other(NOON + 20 * SECOND)
    recorder.event(NOON + 25 * SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    recorder.ladder(NOON + 50 * SECOND, 1, full(r9=-7, r11=5))
    recorder.other(NOON + 70 * SECOND)
    recorder.insert(client)
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 3600 * SECOND)
    finalize(client, config, DAY, now=AFTER)
    bar = bars(client, DAY)[(1, "1m", NOON // SECOND)]
    assert (bar["two_sided_seconds"], bar["gap"], bar["complete"]) == (30, True, False)


def test_a_crossed_state_that_was_carried_in_and_ended_makes_the_bar_suspect(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON - SECOND, 1, full(r9=5, r11=-7))
    recorder.other(NOON + 20 * SECOND)
    recorder.event(NOON + 25 * SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    recorder.ladder(NOON + 50 * SECOND, 1, full(r9=-7, r11=5))
    recorder.other(NOON + 70 * SECOND)
    recorder.insert(client)
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 3600 * SECOND)
    finalize(client, config, DAY, now=AFTER)
    found = bars(client, DAY)
    minute, second = (found[(1, size, NOON // SECOND + at)] for size, at in (("1m", 0), ("1s", 50)))
    assert (minute["crossed_states"], minute["crossed_seconds"], minute["suspect"]) == (0, 20, True)
    assert (second["crossed_seconds"], second["suspect"]) == (0, False)


def test_unknown_is_null(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full(r11=5))
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    bar = bars(client, DAY)[(1, "1s", NOON // SECOND)]
    assert (bar["frames"], bar["states"], bar["one_sided"]) == (1, 0, True)
    assert bar["bid_close"] is not None
    unknown = (
        "mid_open", "mid_high", "mid_low", "mid_close", "ask_close", "ask_size_close",
        "spread_mean", "spread_time_weighted", "spread_max", "microprice_close",
        "touch_depth_close", "imbalance_close",
    )  # fmt: skip
    assert {name: bar[name] for name in unknown} == dict.fromkeys(unknown)


def test_a_crossed_state_makes_bars_suspect(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full(r9=5, r11=-7))
    recorder.ladder(NOON + 2 * SECOND, 1, full(r9=-7, r11=5))
    recorder.ladder(NOON + 65 * SECOND, 1, full(r9=-7, r11=5))
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    found = bars(client, DAY)
    first, second = (found[(1, "1m", NOON // SECOND + m * 60)] for m in range(2))
    assert (first["suspect"], first["crossed_states"], first["crossed_seconds"]) == (True, 1, 2)
    assert second["suspect"] is False
    windows = client.query("SELECT cause, end - begin FROM suspect_windows").result_rows
    assert [(cause, float(length)) for cause, length in windows] == [("crossed_book", 2.0)]


def test_a_crossed_state_of_the_pre_open_is_no_fault(client: Any, config: PlatformConfig) -> None:
    day = date(2026, 11, 19)
    opens = to_ns(datetime(2026, 11, 18, 23, tzinfo=UTC))
    recorder = Recorder("r")
    for second in range(-200, -10, 10):
        recorder.ladder(opens + second * SECOND, 1, full(r9=5, r11=-7))
    for second in (2, 30, 61, 125):
        recorder.ladder(opens + second * SECOND, 1, full(r9=-7, r11=5))
    recorder.insert(client)
    assign(client, [("CL.NYMEX.front", "alpha", 1)], opens, calendar="cme_energy_metals")
    finalize(client, config, day, now=AFTER)
    assert_twins_agree(client, [recorder], day)
    minutes = [bars(client, day)[(1, "1m", opens // SECOND + m * 60)] for m in range(-2, 3)]
    assert [m["crossed_states"] for m in minutes] == [6, 5, 0, 0, 0]
    assert [m["suspect_states"] for m in minutes] == [0, 0, 0, 0, 0]
    # The last one still stood when the market opened: crossed for 2 s.
    assert [m["suspect"] for m in minutes] == [False, False, True, False, False]
    windows = client.query("SELECT begin, end - begin FROM suspect_windows").result_rows
    assert [float(length) for _, length in windows] == [2.0]
    assert minutes[0]["complete"], "a pre-open can be recorded completely"


def test_an_hour_is_cut_at_the_border(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    for second in range(-3700, 3700, 10):
        recorder.ladder(BORDER + second * SECOND, 1, full(r8=-3, r9=-7, r11=5))
    recorder.insert(client)
    for day in (DAY, date(2026, 11, 19)):
        finalize(client, config, day, now=AFTER)
    hours = {
        (row["trade_date"].day, row["bar_start"].strftime("%H:%M")): row
        for row in [*bars(client, DAY).values(), *bars(client, date(2026, 11, 19)).values()]
        if row["bar_size"] == "1h"
    }
    assert list(sorted(hours)) == [(18, "21:00"), (18, "22:00"), (19, "22:30"), (19, "23:00")]
    assert hours[(18, "22:00")]["bar_end"] == hours[(19, "22:30")]["bar_start"]
    assert [row["complete"] for _, row in sorted(hours.items())] == [False, False, False, False]
    minutes = [row for row in bars(client, date(2026, 11, 19)).values() if row["bar_size"] == "1m"]
    first = min(minutes, key=lambda row: row["bar_start"])
    assert first["two_sided_seconds"] == 60, "the state of the date before is carried in"


def test_ties_between_runs_are_broken_by_run_id(client: Any, config: PlatformConfig) -> None:
    recorders = [Recorder("b"), Recorder("a")]
    recorders[0].ladder(NOON, 1, full(top=61 * SECOND, r9=-7, r11=5))
    recorders[1].ladder(NOON, 1, full(top=60 * SECOND, r9=-7, r11=5))
    recorders[1].ladder(NOON, 1, full(top=60 * SECOND + TICK, r9=-7, r11=5))
    for recorder in recorders:
        recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, recorders, DAY)
    bar = bars(client, DAY)[(1, "1s", NOON // SECOND)]
    assert (float(bar["mid_open"]), float(bar["mid_close"])) == (59.9, 60.9)


def test_only_bars_with_a_frame_exist(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    recorder.ladder(NOON + 5 * SECOND, 1, rows_of(60 * SECOND, {11: 6}))
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    seconds = sorted(key[2] - NOON // SECOND for key in bars(client, DAY) if key[1] == "1s")
    assert seconds == [0, 5]
