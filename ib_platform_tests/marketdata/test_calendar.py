"""Trade dates and sessions."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.calendar import (
    is_open,
    open_spans,
    trade_date_of,
    trade_date_span,
    trade_dates_between,
)
from ib_platform.marketdata.sessions import CHICAGO, CalendarName


def chicago(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-11-17T10:00", "2026-11-17"),  # Tuesday morning
        ("2026-11-17T16:29:59", "2026-11-17"),
        ("2026-11-17T16:30", "2026-11-18"),  # the border belongs to the next
        ("2026-11-17T18:00", "2026-11-18"),
        ("2026-11-20T18:00", "2026-11-23"),  # Friday evening is Monday
        ("2026-11-21T12:00", "2026-11-23"),
        ("2026-11-22T18:00", "2026-11-23"),
        ("2026-03-08T01:30", "2026-03-09"),  # the night clocks go forward
        ("2026-11-01T01:30", "2026-11-02"),  # the night they go back
    ],
)
def test_trade_date(local: str, expected: str) -> None:
    assert trade_date_of(chicago(local)) == date.fromisoformat(expected)


def test_naive_instants_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        trade_date_of(datetime(2026, 11, 17, 10, 0))


@given(st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)))
def test_every_instant_lies_in_the_span_of_its_trade_date(naive: datetime) -> None:
    instant = naive.replace(tzinfo=UTC)
    day = trade_date_of(instant)
    begin, end = trade_date_span(day)
    assert begin <= instant < end
    assert day.weekday() < 5
    assert trade_date_of(begin - timedelta(microseconds=1)) < day
    assert trade_date_of(end) > day


def test_a_weekend_has_no_span() -> None:
    with pytest.raises(ValueError, match="Saturday"):
        trade_date_span(date(2026, 11, 21))


def test_a_monday_begins_on_friday_and_a_dst_week_keeps_its_local_border() -> None:
    begin, end = trade_date_span(date(2026, 3, 9))
    assert begin == chicago("2026-03-06T16:30").astimezone(UTC)
    assert end == chicago("2026-03-09T16:30").astimezone(UTC)
    assert end - begin == timedelta(days=3, hours=-1)


def test_always_open_covers_the_whole_trade_date() -> None:
    day = date(2026, 11, 23)
    assert open_spans(CalendarName.ALWAYS_OPEN, day) == [trade_date_span(day)]
    assert is_open(CalendarName.ALWAYS_OPEN, chicago("2026-11-21T12:00"))


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-11-22T16:59", False),
        ("2026-11-22T17:00", True),  # Sunday evening
        ("2026-11-23T15:59", True),
        ("2026-11-23T16:00", False),
        ("2026-11-23T16:45", False),  # after the border, before the open
        ("2026-11-23T17:00", True),
        ("2026-11-20T16:00", False),  # Friday close
        ("2026-11-21T12:00", False),
    ],
)
def test_cme_hours(local: str, expected: bool) -> None:
    assert is_open(CalendarName.CME_GLOBEX, chicago(local)) is expected


def test_a_cme_day_is_23_hours() -> None:
    (span,) = open_spans(CalendarName.CME_GLOBEX, date(2026, 11, 24))
    assert span[1] - span[0] == timedelta(hours=23)


def test_trade_dates_between_skips_the_weekend() -> None:
    dates = trade_dates_between(chicago("2026-11-20T10:00"), chicago("2026-11-23T18:00"))
    assert [day.isoformat() for day in dates] == ["2026-11-20", "2026-11-23", "2026-11-24"]
