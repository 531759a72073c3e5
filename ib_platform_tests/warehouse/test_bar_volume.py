"""Traded volume of bars: differences of the cumulative volume that quotes stream, against the twin
and worked out by hand."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.config import PlatformConfig
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full
from ib_platform_tests.warehouse.test_bars import assert_twins_agree, bars
from ib_platform_tests.warehouse.test_depth import RANDOM, clear

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
MILLISECOND = 1_000_000
CL = "CL.NYMEX.front"


def beside_a_ladder(*seconds: int, run_id: str = "r") -> Recorder:
    """A run with a ladder frame at these seconds after noon: bars need one."""
    recorder = Recorder(run_id)
    for second in seconds:
        recorder.ladder(NOON + second * SECOND, 1, full())
    return recorder


def volume(at: float, total: int | None, recorder: Recorder, **other: Any) -> None:
    """A quote ``at`` seconds after noon; None: it does not carry the volume."""
    recorder.quote(NOON + round(at * SECOND), 1, updated=None, volume=total, **other)


def built(
    client: Any, config: PlatformConfig, *recorders: Recorder
) -> dict[tuple[str, int], tuple[int | None, float]]:
    """(bar size, seconds after noon) -> volume and its seconds; the twins agree on all bars."""
    for recorder in recorders:
        recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, list(recorders), DAY)
    return {
        (size, start - NOON // SECOND): (row["volume"], row["volume_seconds"])
        for (_, size, start), row in bars(client, DAY).items()
    }


def test_without_quotes_the_volume_is_unknown(client: Any, config: PlatformConfig) -> None:
    found = built(client, config, beside_a_ladder(0, 70))
    assert set(found.values()) == {(None, 0.0)}


def test_a_difference_belongs_to_the_bar_of_its_later_reading(
    client: Any, config: PlatformConfig
) -> None:
    recorder = beside_a_ladder(0, 1, 2, 3)
    volume(0.5, 1000, recorder)
    volume(0.75, 1007, recorder)
    volume(1.25, 1010, recorder)
    volume(3.5, 1010, recorder)
    found = built(client, config, recorder)
    assert found[("1s", 0)] == (7, 0.5), "not the 1000 before the first reading"
    assert found[("1s", 1)] == (3, 1.0)
    assert found[("1s", 2)] == (0, 1.0), "nothing traded, and that is known"
    assert found[("1s", 3)] == (0, 0.5)
    assert found[("1m", 0)] == (10, 3.0)


def test_a_frame_without_a_volume_says_that_it_is_unchanged(
    client: Any, config: PlatformConfig
) -> None:
    recorder = beside_a_ladder(0, 60, 120)
    volume(0, None, recorder, bid=59 * SECOND)
    volume(10, 50, recorder)
    for second in range(30, 151, 20):
        volume(second, None, recorder, bid=(59 + second % 2) * SECOND)
    volume(155, 54, recorder)
    found = built(client, config, recorder)
    assert [found[("1m", start)] for start in (0, 60, 120)] == [(0, 50), (0, 60), (4, 35)]


def test_where_the_volume_falls_it_begins_again(client: Any, config: PlatformConfig) -> None:
    recorder = beside_a_ladder(0, 1, 2)
    for at, total in ((0.0, 900), (0.5, 905), (1.5, 12), (2.5, 15)):
        volume(at, total, recorder)
    found = built(client, config, recorder)
    assert found[("1s", 1)] == (0, 0.5), "of the time after the fall"
    assert found[("1m", 0)] == (5 + 3, 1.5)
    assert all(known is None or known >= 0 for known, _ in found.values())


def test_a_difference_over_a_gap_belongs_to_a_bar_with_both_readings(
    client: Any, config: PlatformConfig
) -> None:
    recorder = beside_a_ladder(*range(0, 50, 10))
    volume(10, 100, recorder)
    volume(20, 110, recorder)
    recorder.event(NOON + 50 * SECOND, StreamEventKind.DISCONNECTED, "session_lost")
    for second in range(70, 130, 10):
        recorder.ladder(NOON + second * SECOND, 1, full())
    volume(75, 160, recorder)
    volume(95, 161, recorder)
    assign(client, [(CL, "alpha", 1)], NOON - 3600 * SECOND)
    found = built(client, config, recorder)
    causes = client.query("SELECT cause FROM gaps WHERE begin > {noon:DateTime64(9)}", {
        "noon": "2026-11-18 18:00:00",
    }).result_columns  # fmt: skip
    assert "session_lost" in causes[0]
    assert [found[("1m", start)] for start in (0, 60)] == [(10, 10), (1, 20)]
    assert found[("5m", 0)] == (61, 85), "it traded in this bar, whenever"


@pytest.mark.parametrize(("apart", "minutes"), [(30, [0, 5]), (31, [None, 0])])
def test_a_long_silence_is_not_followed(
    client: Any, config: PlatformConfig, apart: int, minutes: list[int | None]
) -> None:
    recorder = beside_a_ladder(50, 60)
    volume(59, 100, recorder)
    volume(59 + apart, 105, recorder)
    volume(59 + apart + 1, 105, recorder)
    found = built(client, config, recorder)
    assert [found[("1m", start)][0] for start in (0, 60)] == minutes
    assert found[("5m", 0)] == (5, apart + 1)


def test_two_runs_are_not_counted_twice(client: Any, config: PlatformConfig) -> None:
    """The one that began first is read until it ends; the other goes on from there."""
    first, second = beside_a_ladder(0, 60), Recorder("second", paper_user="beta")
    for at in range(0, 60, 5):
        volume(at, 1000 + at, first)
        volume(at + 8, 1000 + at + 7, second)
    found = built(client, config, first, second)
    # 55 s of the first, 3 s from it to the second, both in the bar; then the second.
    assert found[("1m", 0)] == (1057 - 1000, 60)
    assert found[("1m", 60)] == (1062 - 1057, 3)
    assert found[("5m", 0)] == (1062 - 1000, 63)


def test_delayed_quotes_do_not_count(client: Any, config: PlatformConfig) -> None:
    recorder = beside_a_ladder(0, 60)
    volume(1, 100, recorder, availability="DPB")
    volume(2, 200, recorder)
    volume(3, 300, recorder, availability="RPB")
    volume(4, 310, recorder)
    assert built(client, config, recorder)[("1m", 0)] == (10, 1)


def test_a_volume_of_the_date_before_says_nothing(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("r")
    border = to_ns(datetime(2026, 11, 17, 22, 30, tzinfo=UTC))
    recorder.quote(border - SECOND, 1, updated=None, volume=5000)
    recorder.ladder(border + SECOND, 1, full())
    recorder.quote(border + 2 * SECOND, 1, updated=None, volume=20)
    recorder.quote(border + 3 * SECOND, 1, updated=None, volume=21)
    recorder.insert(client)
    finalize(client, config, DAY, now=AFTER)
    assert_twins_agree(client, [recorder], DAY)
    assert {row["volume"] for row in bars(client, DAY).values() if row["bar_size"] == "1d"} == {1}


QUOTES = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 300, 400, 1_000, 7_000, 31_000]),
        st.none() | st.integers(-1, 3),
        st.sampled_from([None, None, None, "R", "D"]),
        st.sampled_from(["quote", "quote", "quote", "ladder", "lost", "back"]),
    ),
    max_size=30,
)


def play_quotes(steps: Any, run_id: str, begin: int) -> Recorder:
    """A run of (milliseconds since the last, change of the volume, availability, what comes)."""
    recorder, at, total = Recorder(run_id), begin, 1_000
    recorder.ladder(at, 1, full())
    for after, change, availability, what in steps:
        at += after * MILLISECOND
        if what == "ladder":
            recorder.ladder(at, 1, full())
        elif what == "lost":
            recorder.event(at, StreamEventKind.DISCONNECTED, "session_lost")
        else:
            stamp = at - (2 * SECOND if what == "back" else 0)
            total = total if change is None else 3 if change < 0 else total + change
            shown = None if change is None else total
            recorder.quote(stamp, 1, updated=None, volume=shown, availability=availability)
    recorder.ladder(at, 1, full())
    recorder.other(at)
    return recorder


@settings(RANDOM, max_examples=10)
@given(first=QUOTES, second=QUOTES, offset=st.integers(-90, 5))
def test_random_quotes(
    client: Any, config: PlatformConfig, first: Any, second: Any, offset: int
) -> None:
    clear(client)
    for table in ("quote_frames", "assignments", "contracts"):
        client.command(f"TRUNCATE TABLE {table}")
    recorders = [
        play_quotes(first, "run-a", NOON),
        play_quotes(second, "run-b", NOON + offset * SECOND),
    ]
    for recorder in recorders:
        recorder.insert(client)
    assign(client, [(CL, "alpha", 1)], NOON - 3600 * SECOND)
    build_open_date(client, config, DAY, now=AFTER)
    assert_twins_agree(client, recorders, DAY)
