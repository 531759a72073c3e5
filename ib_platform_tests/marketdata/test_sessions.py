"""Hours of CME's products on days that are known from elsewhere than our files."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest

from ib_platform.marketdata.calendar import open_spans
from ib_platform.marketdata.sessions import (
    WEEKLY,
    CalendarName,
    hours_of,
    parse_hours,
    read_calendar_file,
    weekly_hours,
)

EQUITY, ENERGY = CalendarName.CME_EQUITY, CalendarName.CME_ENERGY_METALS
HEADER = "calendar,day,hours,reason,source\n"


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_christmas_of_2023_is_that_of_a_recorded_file() -> None:
    """``quality_and_bars.md`` 4.4: ES trades 23:00 to 22:00 UTC, not for 25 December, and opens for
    the 26th on the 25th at 23:00."""
    assert open_spans(EQUITY, date(2023, 12, 22)) == [
        (utc("2023-12-21T23:00"), utc("2023-12-22T22:00"))
    ]
    assert open_spans(EQUITY, date(2023, 12, 25)) == []
    assert open_spans(EQUITY, date(2023, 12, 26)) == [
        (utc("2023-12-25T23:00"), utc("2023-12-26T22:00"))
    ]


@pytest.mark.parametrize(
    ("day", "closes"),
    [
        ("2026-06-19", time(12, 0)),
        ("2026-07-03", time(12, 0)),
        ("2026-09-07", time(13, 30)),
        ("2026-11-27", time(13, 45)),
    ],
)
def test_closes_that_cme_has_published_for_energy_and_metals(day: str, closes: time) -> None:
    """As quoted in rsheftel/pandas_market_calendars issue 464, there in New York's time."""
    ((_, end),) = hours_of(ENERGY, date.fromisoformat(day))
    assert end == closes


@pytest.mark.parametrize(
    ("calendar", "day", "hours"),
    [
        (EQUITY, "2026-11-26", "17:00-12:00"),  # Thanksgiving: open again in the evening
        (EQUITY, "2026-11-27", "17:00-12:15"),
        (EQUITY, "2026-04-03", "17:00-08:15"),  # Good Friday with figures of the labour market
        (ENERGY, "2026-04-03", ""),
        (EQUITY, "2026-12-25", ""),
        (EQUITY, "2027-01-01", ""),
        (EQUITY, "2026-01-19", "17:00-12:00"),
        (ENERGY, "2026-01-19", "17:00-13:30"),
        (CalendarName.CME_GRAINS, "2026-11-27", "08:30-12:05"),  # no night before it
        (CalendarName.CME_GRAINS, "2026-12-24", "19:00-07:45 08:30-12:05"),
        (CalendarName.CME_GRAINS, "2026-12-28", "19:00-07:45 08:30-13:20"),  # after a Friday
        (CalendarName.CME_GRAINS, "2025-12-26", "08:30-13:20"),  # after a Thursday
        (CalendarName.CME_GRAINS, "2026-09-08", "19:00-07:45 08:30-13:20"),  # after a Monday
        (CalendarName.CME_GRAINS, "2026-06-19", ""),
        (CalendarName.CME_LIVESTOCK, "2026-06-19", ""),
        (EQUITY, "2023-04-07", "17:00-08:15"),
        (EQUITY, "2025-04-18", ""),  # no figures on that Good Friday
        (CalendarName.CME_RATES, "2027-03-26", ""),
        (CalendarName.CME_GLOBEX, "2026-12-25", "17:00-16:00"),  # knows no holidays
    ],
)
def test_known_days(calendar: CalendarName, day: str, hours: str) -> None:
    assert hours_of(calendar, date.fromisoformat(day)) == parse_hours(hours)


def test_a_session_keeps_its_hours_in_chicago_when_the_clocks_change() -> None:
    before, after = (open_spans(EQUITY, date(2026, 3, day))[0] for day in (6, 9))
    assert before == (utc("2026-03-05T23:00"), utc("2026-03-06T22:00"))
    assert after == (utc("2026-03-08T22:00"), utc("2026-03-09T21:00"))
    november = open_spans(EQUITY, date(2026, 11, 2))[0]
    assert november == (utc("2026-11-01T23:00"), utc("2026-11-02T22:00"))


def test_two_sessions_a_day() -> None:
    assert open_spans(CalendarName.CME_GRAINS, date(2026, 11, 23)) == [
        (utc("2026-11-23T01:00"), utc("2026-11-23T13:45")),
        (utc("2026-11-23T14:30"), utc("2026-11-23T19:20")),
    ]


def test_every_calendar_has_a_pattern() -> None:
    assert {*WEEKLY} == {*CalendarName} - {CalendarName.ALWAYS_OPEN}
    assert all(weekly_hours(calendar) for calendar in WEEKLY)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("17:00", "not like"),
        ("17:00-25:00", "not like"),
        ("x-y", "not like"),
        ("12:00-12:00", "no"),
    ],
)
def test_hours_that_cannot_be_read(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_hours(text)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("cme_eqity,2026-12-25,,holiday,me", "cme_eqity"),
        ("cme_equity,2026-13-25,,holiday,me", "month"),
        ("cme_equity,2026-12-26,,holiday,me", "Saturday"),
        ("cme_equity,2026-12-25,nine,holiday,me", "hours 'nine'"),
        ("cme_equity,2026-12-25", "NoneType"),
        ("cme_equity,2026-12-24,,a,me\ncme_equity,2026-12-24,,b,me", "twice"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(row: str, told: str) -> None:
    line = 2 + row.count("\n")
    with pytest.raises(ValueError, match=f"mine.csv, line {line}: .*{told}"):
        read_calendar_file(HEADER + row, "mine.csv")
