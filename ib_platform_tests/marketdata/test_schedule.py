"""Trading hours as IBKR tells them, compared with our calendar."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.schedule import TradingDay, contradictions, decode_schedule
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.simulator.hours import HoursParameters, MarketHours
from ib_platform.simulator.shapes_schedule import trading_schedule

CME = CalendarName.CME_GLOBEX
TUESDAY = datetime(2026, 11, 24, 10, tzinfo=CHICAGO)
THANKSGIVING, FRIDAY = date(2026, 11, 26), date(2026, 11, 27)


def schedule(at: datetime = TUESDAY, **parameters: Any) -> tuple[TradingDay, ...]:
    """What the simulator answers at ``at`` for six trade dates."""
    hours = MarketHours(HoursParameters(**{"calendar": CME, **parameters}))
    return decode_schedule(json.dumps(trading_schedule(hours.trading_days(at, 6))).encode())


def test_spans_in_order_of_their_opening() -> None:
    hours = {"opening": 1795471200, "closing": 1795474800}
    answer = {
        "schedules": {
            "20261124": {"liquid_hours": [hours]},
            "20261123": {
                "liquid_hours": [{"opening": 1795445400, "closing": 1795467600}],
                "extended_hours": [
                    {"opening": 1795388400, "closing": 1795467600, "cancel_daily_orders": True}
                ],
            },
        }
    }
    assert decode_schedule(json.dumps(answer).encode()) == (
        TradingDay(
            date(2026, 11, 23),
            datetime(2026, 11, 22, 23, tzinfo=UTC),
            datetime(2026, 11, 23, 21, tzinfo=UTC),
        ),
        TradingDay(
            date(2026, 11, 24),
            datetime(2026, 11, 23, 22, tzinfo=UTC),
            datetime(2026, 11, 23, 23, tzinfo=UTC),
        ),
    )


@pytest.mark.parametrize(
    "answer",
    [
        "",
        [],
        {},
        {"error": "x"},
        {"schedules": {"20261123": {}}},
        {"schedules": {"Monday": {"extended_hours": [{"opening": 1, "closing": 2}]}}},
        {"schedules": {"20261123": {"extended_hours": [{"opening": 2, "closing": 2}]}}},
        {"schedules": {"20261123": {"extended_hours": [{"opening": 1, "closing": 10**18}]}}},
        {"schedules": {"20261123": {"extended_hours": [{"opening": 1}]}}},
    ],
)
def test_one_day_that_cannot_be_read_spoils_the_answer(answer: object) -> None:
    with pytest.raises(ValueError, match="trading-schedule"):
        decode_schedule(json.dumps(answer).encode() if answer != "" else b"")


# The simulator leaves out the break of grains.
@pytest.mark.parametrize("calendar", sorted({*CalendarName} - {CalendarName.CME_GRAINS}))
@given(at=st.datetimes(datetime(2026, 2, 1), datetime(2026, 11, 20), timezones=st.just(UTC)))
def test_an_ordinary_week_contradicts_nothing(calendar: CalendarName, at: datetime) -> None:
    holidays = contradictions(schedule(at, calendar=calendar), calendar, at)
    assert set(holidays) <= {date(2026, 4, 3)}, "Good Friday is the only one"


def test_a_holiday_and_an_early_close_are_said_in_words() -> None:
    days = schedule(holidays=(THANKSGIVING,), early_closes={FRIDAY: time(12, 15)})
    assert contradictions(days, CME, TUESDAY) == {
        THANKSGIVING: "IBKR says closed (a holiday?) on 2026-11-26, the calendar cme_globex says "
        "open Wed 17:00 to Thu 16:00 (Chicago)",
        FRIDAY: "IBKR says open Thu 17:00 to Fri 12:15 (Chicago) on 2026-11-27, the calendar "
        "cme_globex says open Thu 17:00 to Fri 16:00 (Chicago)",
    }


def test_hours_beside_the_calendars_are_a_contradiction_too() -> None:
    found = contradictions(schedule(calendar=CalendarName.ALWAYS_OPEN), CME, TUESDAY)
    assert list(found) == [date(2026, 11, d) for d in (24, 25, 26, 27, 30)] + [date(2026, 12, 1)]


def test_the_day_itself_and_what_is_over() -> None:
    today = TUESDAY.date()
    days = schedule(holidays=(today,))
    assert list(contradictions(days, CME, TUESDAY)) == [today]
    assert contradictions(days, CME, TUESDAY.replace(hour=16, minute=5)) == {}


def test_no_schedule_says_nothing() -> None:
    assert contradictions((), CME, TUESDAY) == {}


def test_a_second_is_no_difference() -> None:
    days = tuple(TradingDay(day.day, day.opens, day.closes.replace(second=1)) for day in schedule())
    assert contradictions(days, CME, TUESDAY) == {}
