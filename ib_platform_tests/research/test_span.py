"""Which span a researcher means: the same by dates, instants and text."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import SelectionError
from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.research.span import as_text, span_between, to_instant, trade_date_at
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import PATIENT

FRIDAY, MONDAY = date(2026, 11, 20), date(2026, 11, 23)
DATES = st.dates(date(1990, 1, 1), date(2090, 1, 1)).filter(lambda day: day.weekday() < 5)
INSTANTS = st.datetimes(
    datetime(1990, 1, 1),
    datetime(2090, 1, 1),
    timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
)


@PATIENT
@given(DATES, DATES)
def test_dates_mean_their_start_and_their_end(one: date, other: date) -> None:
    first, last = sorted((one, other))
    span = span_between(first, last)
    assert (span.begin, span.end) == (
        to_ns(trade_date_span(first)[0]),
        to_ns(trade_date_span(last)[1]),
    )
    assert span == span_between(first.isoformat(), last.isoformat())
    assert span == span_between(trade_date_span(first)[0], trade_date_span(last)[1])
    assert (span.first_date, span.last_date) == (first, last)
    assert span_between(first) == span_between(first.isoformat()) == span_between(first, first)


@PATIENT
@given(INSTANTS, INSTANTS)
def test_instants_in_any_zone(one: datetime, other: datetime) -> None:
    first, last = sorted((one, other))
    if first == last:
        with pytest.raises(SelectionError, match="the span is empty"):
            span_between(first, last)
        return
    span = span_between(first, last)
    assert (span.begin, span.end) == (to_ns(first), to_ns(last))
    assert span == span_between(first.isoformat(), last.isoformat())
    assert span.first_date == trade_date_of(first)
    assert span.last_date == trade_date_of(last - timedelta(microseconds=1))


@PATIENT
@given(st.integers(0, 2**62))
def test_all_nine_digits_are_bound(instant: int) -> None:
    whole, digits = as_text(instant).split(".")
    seconds = to_ns(datetime.fromisoformat(whole).replace(tzinfo=UTC))
    assert seconds + int(digits) == instant
    assert len(digits) == 9


def test_nanoseconds_of_pandas_count() -> None:
    stamp = pandas.Timestamp("2026-11-23T14:30:00.123456789Z")
    assert to_instant(stamp) == stamp.value
    assert to_instant(stamp.tz_convert("America/Chicago")) == stamp.value


def test_the_border_belongs_to_the_next_date() -> None:
    border = trade_date_span(FRIDAY)[1]
    assert trade_date_at(to_ns(border)) == MONDAY
    assert trade_date_at(to_ns(border) - 1) == FRIDAY
    assert span_between(border - timedelta(hours=1), border).last_date == FRIDAY


def test_in_words() -> None:
    assert str(span_between(MONDAY)) == "2026-11-20T22:30:00Z to 2026-11-23T22:30:00Z"
