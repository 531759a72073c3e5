"""Time covered, shares of warm-up and suspect states, realised variance: worked out by hand."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from itertools import pairwise
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
MINUTE = 60 * SECOND


def built(client: Any, config: PlatformConfig, *recorders: Recorder) -> dict[Any, dict[str, Any]]:
    """Bars of the date by (size, start in seconds after NOON), once the twins agree."""
    for recorder in recorders:
        recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, list(recorders), DAY)
    return {
        (size, start - NOON // SECOND): row for (_, size, start), row in bars(client, DAY).items()
    }


def day_of(rows: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    (day,) = (row for (size, _), row in rows.items() if size == "1d")
    return day


def moving(minutes: dict[int, int]) -> Recorder:
    """A run that lays its window so many ticks higher, at 30 s of each minute after NOON."""
    recorder = Recorder("r")
    for minute, ticks in minutes.items():
        at = NOON + minute * MINUTE + 30 * SECOND
        recorder.ladder(at, 1, full(top=TOP + ticks * TICK))
    recorder.other(NOON + (max(minutes) + 1) * MINUTE)
    return recorder


def squares(*ticks: int) -> float:
    """Sum of squared log returns of mids that are so many ticks above 59.90."""
    mids = [59.9 + 0.01 * tick for tick in ticks]
    return sum(math.log(b / a) ** 2 for a, b in zip(mids, mids[1:], strict=False))


def test_two_runs_cover_a_time_once(client: Any, config: PlatformConfig) -> None:
    first, second = Recorder("a"), Recorder("b", paper_user="beta")
    first.ladder(NOON, 1, full())
    first.other(NOON + 30 * SECOND)
    second.ladder(NOON + 20 * SECOND, 1, full())
    second.other(NOON + 50 * SECOND)
    rows = built(client, config, first, second)
    assert rows[("1m", 0)]["covered_seconds"] == 50
    assert rows[("1m", 0)]["two_sided_seconds"] == 60, "counts each run"


def test_a_bar_of_one_frame_covers_what_was_followed(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON - SECOND, 1, full())
    recorder.ladder(NOON + 30 * SECOND, 1, rows_of(TOP, {11: 6}))
    recorder.other(NOON + 3 * MINUTE)
    rows = built(client, config, recorder)
    assert rows[("1m", 0)]["covered_seconds"] == 60
    assert rows[("1s", 30)]["covered_seconds"] == 1
    assert day_of(rows)["covered_seconds"] == 181


def test_a_silent_gap_is_not_covered(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    for second in range(5, 600, 5):
        recorder.other(NOON + second * SECOND)
    recorder.ladder(NOON + 600 * SECOND, 1, rows_of(TOP, {11: 6}))
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 3600 * SECOND)
    day = day_of(built(client, config, recorder))
    inside = client.query(
        "SELECT sum(toFloat64(end - begin)) FROM gaps WHERE cause = 'silent_ladder'"
    ).result_rows[0][0]
    assert inside > 0
    assert day["covered_seconds"] == pytest.approx(600 - inside)
    # The first state holds until the gap begins, and the second came last of all.
    assert day["two_sided_seconds"] == 0
    assert day["spread_time_weighted"] is None


def test_a_state_holds_no_longer_than_until_a_gap_begins(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    recorder.ladder(NOON + 10 * SECOND, 1, rows_of(TOP, {11: 6}))
    recorder.ladder(NOON + 55 * SECOND, 1, rows_of(TOP, {11: 5}))
    recorder.other(NOON + 60 * SECOND)
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 3600 * SECOND)
    rows = built(client, config, recorder)
    (gap,) = client.query(
        "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end) FROM gaps "
        "WHERE cause = 'silent_ladder'"
    ).result_rows
    assert gap == (NOON + 10 * SECOND, NOON + 55 * SECOND)
    assert rows[("1m", 0)]["two_sided_seconds"] == 10 + 5
    assert rows[("1m", 0)]["covered_seconds"] == 10 + 5


def test_shares_of_states(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())  # warm-up
    recorder.ladder(NOON + SECOND, 1, rows_of(TOP, {12: 4}))
    recorder.ladder(NOON + 2 * SECOND, 1, rows_of(TOP, {8: 5}))  # crossed
    recorder.ladder(NOON + 3 * SECOND, 1, rows_of(TOP, {8: 0}))
    recorder.broken(NOON + 4 * SECOND, 1)
    recorder.ladder(NOON + 5 * SECOND, 1, rows_of(TOP, {12: 5}))  # suspect
    recorder.ladder(NOON + 6 * SECOND, 1, full(r8=-1, r9=-7, r11=5))
    recorder.other(NOON + 7 * SECOND)
    day = day_of(built(client, config, recorder))
    assert day["frames"] == 6
    assert (day["warm_up_share"], day["suspect_states"]) == (1 / 6, 2)
    assert day["suspect_share"] == 2 / 6


def test_realised_variance_of_minutes(client: Any, config: PlatformConfig) -> None:
    # Nothing happens in minute 3; minute 61 lies in the next hour.
    rows = built(client, config, moving({0: 0, 1: 3, 2: -2, 4: 1, 59: 1, 61: 8}))
    hour, later, day = rows[("1h", 0)], rows[("1h", 3600)], day_of(rows)
    assert hour["realised_variance"] == pytest.approx(squares(0, 3, -2, 1, 1), rel=1e-9)
    assert later["realised_variance"] == pytest.approx(squares(1, 8), rel=1e-9)
    assert day["realised_variance"] == pytest.approx(squares(0, 3, -2, 1, 1, 8), rel=1e-9)
    counts = [row["realised_variance_returns"] for row in (hour, later, day)]
    assert counts == [4, 1, 5]
    assert {
        (row["realised_variance"], row["realised_variance_returns"])
        for (size, _), row in rows.items()
        if size not in ("1h", "1d")
    } == {(None, None)}


def test_no_return_over_time_that_was_not_covered(client: Any, config: PlatformConfig) -> None:
    recorder = moving({0: 0, 1: 3})
    recorder.event(NOON + 125 * SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    recorder.ladder(NOON + 130 * SECOND, 1, full(top=TOP + 20 * TICK))
    recorder.ladder(NOON + 190 * SECOND, 1, full(top=TOP + 21 * TICK))
    recorder.other(NOON + 200 * SECOND)
    day = day_of(built(client, config, recorder))
    assert day["realised_variance"] == pytest.approx(squares(0, 3) + squares(20, 21), rel=1e-9)
    assert day["realised_variance_returns"] == 2


@pytest.mark.parametrize("trouble", ["broken", "crossed", "negative"])
def test_a_mid_that_cannot_be_trusted_has_no_return(
    client: Any, config: PlatformConfig, trouble: str
) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    if trouble == "broken":
        recorder.broken(NOON + MINUTE, 1)
    elif trouble == "crossed":
        recorder.ladder(NOON + MINUTE, 1, rows_of(TOP, {8: 5}))
    else:
        recorder.ladder(NOON + MINUTE, 1, full(top=-37 * SECOND))
    if trouble != "negative":
        recorder.ladder(NOON + MINUTE + SECOND, 1, rows_of(TOP, {12: 1}))
    recorder.other(NOON + 2 * MINUTE)
    day = day_of(built(client, config, recorder))
    assert (day["realised_variance"], day["realised_variance_returns"]) == (None, 0)


def test_no_return_across_a_suspect_window(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(NOON, 1, full())
    recorder.broken(NOON + MINUTE, 1)
    recorder.ladder(NOON + 2 * MINUTE, 1, full(top=TOP + 4 * TICK))
    recorder.ladder(NOON + 3 * MINUTE, 1, full(top=TOP + 5 * TICK))
    recorder.other(NOON + 4 * MINUTE)
    day = day_of(built(client, config, recorder))
    assert day["covered_seconds"] == 240, "one spell"
    assert day["realised_variance"] == pytest.approx(squares(4, 5), rel=1e-9)
    assert day["realised_variance_returns"] == 1


CLOSE = to_ns(datetime(2026, 11, 18, 22, tzinfo=UTC))
"""Of Globex: 16:00 in Chicago."""


def test_a_state_holds_no_longer_than_its_market_phase(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    recorder.ladder(CLOSE - 40 * SECOND, 1, full())
    recorder.ladder(CLOSE + 20 * SECOND, 1, rows_of(TOP, {11: 6}))
    recorder.other(CLOSE + 30 * SECOND)
    rows = built(client, config, recorder)
    hours = {start: row["two_sided_seconds"] for (size, start), row in rows.items() if size == "1h"}
    assert hours == {3 * 3600: 40, 4 * 3600: 10}
    assert day_of(rows)["two_sided_seconds"] == 50
    phases = client.query("SELECT phase, begin, end FROM phases ORDER BY begin").result_rows
    assert [phase for phase, _, _ in phases] == ["maintenance", "pre_open", "open", "maintenance"]
    assert phases[0][1].hour == 22, "the first one has its own begin, before the trade date"
    assert all(before[2] == after[1] for before, after in pairwise(phases))


def test_a_state_of_the_session_before_is_not_carried_over_the_border(
    client: Any, config: PlatformConfig
) -> None:
    """The last state of Tuesday's session is not in force in the break after it."""
    recorder = Recorder("r")
    recorder.ladder(CLOSE - 86400 * SECOND - SECOND, 1, full())
    in_the_break = CLOSE - 86400 * SECOND + 1860 * SECOND
    recorder.ladder(in_the_break, 1, rows_of(TOP, {11: 6}))
    recorder.other(in_the_break + SECOND)
    assert day_of(built(client, config, recorder))["two_sided_seconds"] == 1
