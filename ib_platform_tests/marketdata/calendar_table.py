"""Makes ``ib_platform/marketdata/calendars/cme.csv`` from pandas-market-calendars.

``python -m ib_platform_tests.marketdata.calendar_table`` writes it; ``test_calendar_table.py``
holds the file against the installed version of the library.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path

import pandas as pd
import pandas_market_calendars

from ib_platform.marketdata import sessions
from ib_platform.marketdata.sessions import CHICAGO, CalendarName, Hours, weekly_hours

FILE = Path(sessions.__file__).parent / sessions.CALENDAR_FILES[0]
FIRST, LAST = date(2020, 1, 1), date(2031, 12, 31)
NAMES = {
    CalendarName.CME_EQUITY: "CME Globex Equity",
    CalendarName.CME_ENERGY_METALS: "CMEGlobex_EnergyAndMetals",
    CalendarName.CME_FX: "CMEGlobex_FX",
    CalendarName.CME_RATES: "CME Globex Interest Rate Products",
    CalendarName.CME_GRAINS: "CMEGlobex_Grains",
    CalendarName.CME_LIVESTOCK: "CMEGlobex_Livestock",
}
"""The library's names of our calendars."""


def table() -> str:
    """The text of the file: every Monday to Friday whose hours are not the weekly ones."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["calendar", "day", "hours", "reason", "source"])
    for calendar, name in NAMES.items():
        for day, hours in _differing(calendar, name):
            reason = "early close" if hours else "holiday"
            source = f"pandas-market-calendars {name}"
            rows.writerow([calendar.value, day, _as_text(hours), reason, source])
    return text.getvalue()


def _differing(calendar: CalendarName, name: str) -> Iterator[tuple[date, Hours]]:
    found = pandas_market_calendars.get_calendar(name).schedule(FIRST, LAST, tz=CHICAGO)
    known = {
        pd.Timestamp(day).date(): _hours(row)
        for day, row in zip(found.index, found.to_dict("records"), strict=True)
    }
    for stamp in pd.bdate_range(FIRST, LAST):
        day = stamp.date()
        hours = known.get(day, ())
        if hours != weekly_hours(calendar):
            yield day, hours


def _hours(row: dict[str, pd.Timestamp]) -> Hours:
    begin, end = _clock(row["market_open"]), _clock(row["market_close"])
    if "break_start" not in row:
        return ((begin, end),)
    return ((begin, _clock(row["break_start"])), (_clock(row["break_end"]), end))


def _clock(moment: pd.Timestamp) -> time:
    return moment.time()


def _as_text(hours: Hours) -> str:
    return re.sub(r"(\d\d:\d\d):00", r"\1", " ".join(f"{begin}-{end}" for begin, end in hours))


if __name__ == "__main__":
    FILE.write_text(table())
    print(f"{FILE}: {len(table().splitlines()) - 1} days")
