"""Which span a person means, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.marketdata.sessions import CHICAGO
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform.warehouse.times import span_of
from ib_platform_tests.support import PATIENT

NOW = datetime(2026, 11, 25, 18, 30, tzinfo=UTC)  # a Wednesday


def at(*parts: int) -> int:
    return to_ns(datetime(*parts, tzinfo=UTC))  # type: ignore[misc, arg-type]


def test_the_default_is_todays_trade_date() -> None:
    expected = Span(at(2026, 11, 24, 22, 30), at(2026, 11, 25, 22, 30))
    assert span_of(NOW, None, None, None) == expected
    assert span_of(NOW, "2026-11-25", None, None) == expected


@pytest.mark.parametrize(
    ("begin", "end", "span"),
    [
        ("2026-11-25T10:00:00Z", None, Span(at(2026, 11, 25, 10), to_ns(NOW))),
        ("2026-11-25T10:00:00Z", "2026-11-25T11:00:00Z",
         Span(at(2026, 11, 25, 10), at(2026, 11, 25, 11))),
        ("2026-11-25T04:00:00-06:00", "2026-11-25T11:00Z",
         Span(at(2026, 11, 25, 10), at(2026, 11, 25, 11))),
        ("2026-11-23", "2026-11-24", Span(at(2026, 11, 20, 22, 30), at(2026, 11, 24, 22, 30))),
        (None, "2026-11-25T11:00:00Z", Span(at(2026, 11, 24, 22, 30), at(2026, 11, 25, 11))),
        (None, "2026-11-24T22:30:00Z", Span(at(2026, 11, 23, 22, 30), at(2026, 11, 24, 22, 30))),
        (None, "2026-11-23", Span(at(2026, 11, 20, 22, 30), at(2026, 11, 23, 22, 30))),
    ],
)  # fmt: skip
def test_spans(begin: str | None, end: str | None, span: Span) -> None:
    assert span_of(NOW, None, begin, end) == span


@pytest.mark.parametrize(
    ("trade_date", "begin", "end", "words"),
    [
        (None, "2026-11-25T10:00:00", None, "no time zone. Say UTC, like 2026-11-25T10:00:00Z"),
        (None, None, "2026-11-25 10:00", "or an offset, like 2026-11-25T10:00:00-06:00"),
        (None, "yesterday", None, "'yesterday' is neither a trade date like"),
        ("2026-13-01", None, None, "'2026-13-01' is neither"),
        ("2026-11-25T10:00:00Z", None, None, "is neither a trade date"),
        ("2026-11-21", None, None, "is a Saturday: no trade date. Friday evening"),
        (None, "2026-11-22", None, "is a Sunday"),
        ("0001-01-01", None, None, "0001-01-01 is not between the years 1970 and 2100"),
        (None, "1969-12-31T00:00:00Z", "2026-11-25", "is not between the years"),
        (None, None, "2101-01-03", "is not between the years"),
        ("2026-11-25", "2026-11-25", None, "leave out --from and --to"),
        (None, "2026-11-26T10:00:00Z", None, "is not before now (2026-11-25T18:30:00Z)"),
        (None, "2026-11-25", "2026-11-23", "is not before --to 2026-11-23: the span is empty"),
        (None, "2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z", "the span is empty"),
    ],
)
def test_what_is_refused(
    trade_date: str | None, begin: str | None, end: str | None, words: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        span_of(NOW, trade_date, begin, end)
    assert words in str(refused.value)


@PATIENT
@given(st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)))
def test_a_date_and_its_instants_mean_the_same(moment: datetime) -> None:
    day = trade_date_of(moment.replace(tzinfo=CHICAGO))
    begin, end = trade_date_span(day)
    later = end + timedelta(days=1)
    by_date = span_of(later, f"{day}", None, None)
    assert by_date == span_of(later, None, begin.isoformat(), end.isoformat())
    assert by_date == span_of(later, None, f"{day}", f"{day}")
    assert by_date == span_of(later, None, None, end.isoformat())
