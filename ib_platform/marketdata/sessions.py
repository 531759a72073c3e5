"""When CME's products trade, day by day: a weekly pattern, and the days that differ from it. PURE.

The days that differ come from two files of this package, read once: ``calendars/cme.csv`` is made
from pandas-market-calendars by ``python -m ib_platform_tests.marketdata.calendar_table``,
``calendars/overrides.csv`` is ours and wins where that library is wrong or silent. A pod must not
carry pandas for a few dozen dates a year, so the library itself is not imported here. Days that the
user's configuration names (``use_own_days``) win over both.

Hours are Chicago wall-clock time of a day, as text: ``17:00-16:00``, ``19:00-07:45 08:30-13:20``. A
session that would end before it begins has begun on the evening before. No text: no session.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from zoneinfo import ZoneInfo

CHICAGO = ZoneInfo("America/Chicago")
CALENDAR_FILES = ("calendars/cme.csv", "calendars/overrides.csv")
"""Below this package; later ones win."""
Hours = tuple[tuple[time, time], ...]


class CalendarName(StrEnum):
    """Calendars a contract can follow.

    ``cme_globex`` is the weekly pattern that most of CME's futures share (Sunday to Friday, 17:00
    to 16:00 Chicago, with a break from 16:00 to 17:00), without holidays. The other ``cme_...`` are
    product groups with their own hours, holidays and early closes. ``always_open`` has no break,
    for the simulator.
    """

    ALWAYS_OPEN = "always_open"
    CME_GLOBEX = "cme_globex"
    CME_EQUITY = "cme_equity"
    CME_ENERGY_METALS = "cme_energy_metals"
    CME_FX = "cme_fx"
    CME_RATES = "cme_rates"
    CME_GRAINS = "cme_grains"
    CME_LIVESTOCK = "cme_livestock"


WEEKLY: Mapping[CalendarName, str] = {
    CalendarName.CME_GLOBEX: "17:00-16:00",
    CalendarName.CME_EQUITY: "17:00-16:00",
    CalendarName.CME_ENERGY_METALS: "17:00-16:00",
    CalendarName.CME_FX: "17:00-16:00",
    CalendarName.CME_RATES: "17:00-16:00",
    CalendarName.CME_GRAINS: "19:00-07:45 08:30-13:20",
    CalendarName.CME_LIVESTOCK: "08:30-13:05",
}
"""Hours of an ordinary Monday to Friday."""


@dataclass(frozen=True, slots=True)
class OtherHours:
    """What one day has instead of the weekly pattern; no hours: no session. ``source``: who says
    so."""

    hours: Hours
    reason: str
    source: str


def parse_hours(text: str) -> Hours:
    """The hours that ``text`` tells. Raises ValueError.

    >>> parse_hours("17:00-12:15")
    ((datetime.time(17, 0), datetime.time(12, 15)),)
    """
    return tuple(_parse_session(session) for session in text.split())


def weekly_hours(calendar: CalendarName) -> Hours:
    """Hours of an ordinary Monday to Friday. KeyError for ``always_open``."""
    return parse_hours(WEEKLY[calendar])


@lru_cache(maxsize=1)
def other_hours() -> Mapping[tuple[CalendarName, date], OtherHours]:
    """The days that differ, of all calendars.

    Raises:
        ValueError: a line of a file cannot be read; names file and line.
    """
    found: dict[tuple[CalendarName, date], OtherHours] = {}
    for name in CALENDAR_FILES:
        text = files("ib_platform.marketdata").joinpath(name).read_text()
        found |= read_calendar_file(text, name)
    return found


def read_calendar_file(text: str, name: str) -> dict[tuple[CalendarName, date], OtherHours]:
    """Rows ``calendar,day,hours,reason,source`` below a header; ``name`` is for errors.

    Raises:
        ValueError: names file and line.
    """
    found = {}
    reader = csv.DictReader(text.splitlines())
    for row in reader:
        try:
            key = CalendarName(row["calendar"]), date.fromisoformat(row["day"])
            require_trade_day(key[1])
            if key in found:
                raise ValueError(f"{key[1]} of {key[0]} is there twice")
            found[key] = OtherHours(parse_hours(row["hours"]), row["reason"], row["source"])
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise ValueError(f"{name}, line {reader.line_num}: {error}") from error
    return found


def require_trade_day(day: date) -> date:
    """``day`` itself. Raises ValueError for a Saturday or Sunday."""
    if day.weekday() > 4:
        raise ValueError(f"{day} is a {day:%A}: no trade date")
    return day


_own_days: dict[tuple[CalendarName, date], OtherHours] = {}


def use_own_days(days: Mapping[tuple[CalendarName, date], OtherHours]) -> None:
    """From now on these days of the user, and no others, win over the files, in this process.

    What hours a market keeps is a fact of the world and not of a call, so that it is told once,
    when the configuration is loaded, instead of to everybody who asks for a phase.
    """
    _own_days.clear()
    _own_days.update(days)


def own_days() -> Mapping[tuple[CalendarName, date], OtherHours]:
    """What ``use_own_days`` told last."""
    return dict(_own_days)


def hours_of(calendar: CalendarName, day: date) -> Hours:
    """Hours of a Monday to Friday, Chicago. KeyError for ``always_open``."""
    other = _own_days.get((calendar, day)) or other_hours().get((calendar, day))
    return weekly_hours(calendar) if other is None else other.hours


def as_spans(hours: Hours, day: date) -> list[tuple[datetime, datetime]]:
    """The hours of ``day`` in UTC, ordered, end exclusive."""
    return [(_instant(day, begin, before=end), _instant(day, end)) for begin, end in hours]


def _instant(day: date, at: time, *, before: time = time.max) -> datetime:
    if at >= before:
        day -= timedelta(days=1)
    return datetime.combine(day, at, CHICAGO).astimezone(UTC)


def _parse_session(text: str) -> tuple[time, time]:
    begin, _, end = text.partition("-")
    try:
        session = time.fromisoformat(begin), time.fromisoformat(end)
    except ValueError as error:
        raise ValueError(f"hours {text!r} are not like 17:00-16:00") from error
    if session[0] == session[1]:
        raise ValueError(f"hours {text!r} have no length")
    return session
