"""What a market is doing, around breaks, weekends, holidays, early closes and changes of clocks."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.calendar import open_spans, trade_date_span
from ib_platform.marketdata.phases import MarketPhase, phase_of, phase_spans, phases_from
from ib_platform.marketdata.sessions import CHICAGO, CalendarName

EQUITY = CalendarName.CME_EQUITY


def told(calendar: CalendarName, day: str) -> str:
    """Phases of a trade date with their beginnings in Chicago."""
    spans = phase_spans(calendar, date.fromisoformat(day))
    return ", ".join(f"{s.phase} {s.begin.astimezone(CHICAGO):%a %H:%M}" for s in spans)


@pytest.mark.parametrize(
    ("calendar", "day", "expected"),
    [
        (
            EQUITY,
            "2026-11-24",
            "maintenance Mon 16:30, pre_open Mon 16:45, open Mon 17:00, maintenance Tue 16:00",
        ),
        (  # a weekend
            EQUITY,
            "2026-11-23",
            "closed Fri 16:30, pre_open Sun 16:00, open Sun 17:00, maintenance Mon 16:00",
        ),
        (  # Thanksgiving
            EQUITY,
            "2026-11-26",
            "maintenance Wed 16:30, pre_open Wed 16:45, open Wed 17:00, early_close Thu 12:00, "
            "pre_open Thu 16:00",
        ),
        (
            EQUITY,
            "2026-11-27",
            "pre_open Thu 16:30, open Thu 17:00, early_close Fri 12:15, closed Fri 16:00",
        ),
        (  # Christmas on a Friday, then a weekend
            EQUITY,
            "2026-12-25",
            "maintenance Thu 16:30, holiday Thu 17:00, closed Fri 16:00",
        ),
        (  # New Year on a Friday: the Monday after it begins on Friday afternoon
            EQUITY,
            "2027-01-04",
            "closed Fri 16:30, pre_open Sun 16:00, open Sun 17:00, maintenance Mon 16:00",
        ),
        (  # the night in which clocks go forward
            EQUITY,
            "2026-03-09",
            "closed Fri 16:30, pre_open Sun 16:00, open Sun 17:00, maintenance Mon 16:00",
        ),
        (
            CalendarName.CME_GRAINS,
            "2026-11-24",
            "closed Mon 16:30, pre_open Mon 18:00, open Mon 19:00, maintenance Tue 07:45, "
            "pre_open Tue 08:15, open Tue 08:30, closed Tue 13:20",
        ),
        (
            CalendarName.CME_LIVESTOCK,
            "2026-11-26",
            "closed Wed 16:30, holiday Thu 08:30, closed Thu 13:05",
        ),
        (CalendarName.ALWAYS_OPEN, "2026-11-26", "open Wed 16:30"),
    ],
)
def test_phases_of_a_trade_date(calendar: CalendarName, day: str, expected: str) -> None:
    assert told(calendar, day) == expected


def test_only_the_open_and_the_pre_open_move() -> None:
    assert {phase for phase in MarketPhase if phase.moves} == {
        MarketPhase.OPEN,
        MarketPhase.PRE_OPEN,
    }


def test_a_naive_instant_and_a_weekend_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        phase_of(EQUITY, datetime(2026, 11, 24))
    with pytest.raises(ValueError, match="Saturday"):
        phase_spans(EQUITY, date(2026, 11, 28))


weekdays = st.dates(date(2019, 1, 1), date(2035, 12, 31)).filter(lambda day: day.weekday() <= 4)
calendars = st.sampled_from(CalendarName)


@given(calendars, weekdays)
def test_phases_cover_a_trade_date_and_are_open_in_its_sessions(
    calendar: CalendarName, day: date
) -> None:
    begin, end = trade_date_span(day)
    spans = phase_spans(calendar, day)
    assert (spans[0].begin, spans[-1].end) == (begin, end)
    for before, after in pairwise(spans):
        assert before.end == after.begin
        assert before.phase is not after.phase
    is_open = [(s.begin, s.end) for s in spans if s.phase is MarketPhase.OPEN]
    assert is_open == open_spans(calendar, day), "each session lies in its own trade date"
    assert MarketPhase.HALTED not in {span.phase for span in spans}


@given(calendars, weekdays, st.timedeltas(timedelta(), timedelta(days=1)))
def test_an_instant_has_the_phase_of_its_span(
    calendar: CalendarName, day: date, into: timedelta
) -> None:
    begin, end = trade_date_span(day)
    at = min(begin + into, end - timedelta(microseconds=1))
    (span,) = (s for s in phase_spans(calendar, day) if s.begin <= at < s.end)
    assert phase_of(calendar, at) is span.phase
    assert phase_of(calendar, at.astimezone(UTC)) is span.phase


@given(calendars, weekdays)
def test_two_dates_agree_at_their_border(calendar: CalendarName, day: date) -> None:
    """A phase may go over it, and what one date ends with is known to the next one."""
    _, end = trade_date_span(day)
    last = phase_spans(calendar, day)[-1].phase
    following = phase_of(calendar, end)
    assert (last is MarketPhase.OPEN) == (following is MarketPhase.OPEN)


@pytest.mark.parametrize(
    ("day", "first"),
    [
        # A Monday's first phase began with Friday's close, a Tuesday's with Monday's.
        (date(2026, 11, 23), datetime(2026, 11, 20, 22, tzinfo=UTC)),
        (date(2026, 11, 24), datetime(2026, 11, 23, 22, tzinfo=UTC)),
    ],
)
def test_the_first_phase_has_its_own_begin(day: date, first: datetime) -> None:
    whole, clipped = phases_from(EQUITY, day), phase_spans(EQUITY, day)
    assert whole[0].begin == first < trade_date_span(day)[0] == clipped[0].begin
    assert whole[0].end == clipped[0].end
    assert whole[1:] == clipped[1:]


def test_a_market_that_is_always_open_has_one_phase_without_end() -> None:
    day = date(2026, 11, 24)
    (span,) = phases_from(CalendarName.ALWAYS_OPEN, day)
    assert span.end == trade_date_span(day)[1]
    assert span.begin <= trade_date_span(day)[0] - timedelta(days=5)
