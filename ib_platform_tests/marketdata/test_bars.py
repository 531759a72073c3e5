"""Where bars begin and end."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.bars import BarSize, bar_span, is_cut, trade_date_bars
from ib_platform.marketdata.calendar import trade_date_of, trade_date_span

INSTANTS = st.datetimes(datetime(2025, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC))
SIZES = st.sampled_from(BarSize)


@given(size=SIZES, instant=INSTANTS)
def test_a_bar_holds_its_instant_and_stays_in_its_trade_date(
    size: BarSize, instant: datetime
) -> None:
    start, end = bar_span(size, instant)
    begin, stop = trade_date_span(trade_date_of(instant))
    assert begin <= start <= instant < end <= stop
    assert bar_span(size, start) == (start, end)
    assert bar_span(size, end - timedelta(microseconds=1)) == (start, end)


@given(size=SIZES, instant=INSTANTS)
def test_the_next_bar_begins_where_one_ends(size: BarSize, instant: datetime) -> None:
    _, end = bar_span(size, instant)
    assert bar_span(size, end)[0] == end


@given(instant=INSTANTS)
def test_only_an_hour_is_ever_cut(instant: datetime) -> None:
    for size in BarSize:
        assert not is_cut(size, instant) or size is BarSize.HOUR


@pytest.mark.parametrize(
    ("instant", "start", "end", "cut"),
    [
        ("2026-11-18T22:10", "2026-11-18T22:00", "2026-11-18T22:30", True),  # winter time
        ("2026-11-18T22:40", "2026-11-18T22:30", "2026-11-18T23:00", True),
        ("2026-07-15T21:40", "2026-07-15T21:30", "2026-07-15T22:00", True),  # summer time
        ("2026-11-18T15:59", "2026-11-18T15:00", "2026-11-18T16:00", False),
    ],
)
def test_an_hour_is_cut_at_the_border(instant: str, start: str, end: str, cut: bool) -> None:
    at, *span = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (instant, start, end))
    assert list(bar_span(BarSize.HOUR, at)) == span
    assert is_cut(BarSize.HOUR, at) is cut


def test_a_day_is_the_trade_date() -> None:
    friday_evening = datetime(2026, 11, 20, 23, tzinfo=UTC)
    start, end = bar_span(BarSize.DAY, friday_evening)
    assert (start.isoformat(), end.isoformat()) == (
        "2026-11-20T22:30:00+00:00",
        "2026-11-23T22:30:00+00:00",
    )


@pytest.mark.parametrize(
    ("size", "count"),
    [("1d", 1), ("1h", 25), ("15m", 96), ("5m", 288), ("1m", 1440), ("5s", 17_280), ("1s", 86_400)],
)
def test_how_many_bars_a_date_can_have(size: str, count: int) -> None:
    assert trade_date_bars(BarSize(size), date(2026, 11, 18)) == count


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        bar_span(BarSize.MINUTE, datetime(2026, 11, 18))


def test_names_are_those_of_the_column() -> None:
    assert [size.value for size in BarSize] == ["1s", "5s", "1m", "5m", "15m", "1h", "1d"]
    assert [size.seconds for size in BarSize] == [1, 5, 60, 300, 900, 3600, 86_400]
