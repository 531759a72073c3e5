"""Last trading days of futures, by the exchanges' own rules. Pure.

Business days are weekdays without the exchange's full closures; bank holidays beside those are not
known here, so a date may be a day later than the real one around them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta

from ib_platform.simulator.hours import full_closures

Rule = Callable[[date], date]
"""First day of the contract month -> last trading day."""


def third_friday(month: date) -> date:
    """Index futures: the third Friday of the contract month."""
    return month + timedelta(days=(4 - month.weekday()) % 7 + 14)


def crude_oil(month: date) -> date:
    """The third business day before the 25th of the month before the contract month, or before the
    business day that precedes the 25th if that is none."""
    anchor = _month_before(month).replace(day=25)
    if not is_business_day(anchor):
        anchor = business_days_before(anchor, 1)
    return business_days_before(anchor, 3)


def natural_gas(month: date) -> date:
    """The third business day before the first day of the contract month."""
    return business_days_before(month, 3)


def gold(month: date) -> date:
    """The third last business day of the contract month."""
    return business_days_before(_month_after(month), 3)


def treasury_note(month: date) -> date:
    """The seventh business day before the last business day of the contract month."""
    return business_days_before(_month_after(month), 8)


EXPIRY_RULES: Mapping[str, Rule] = {
    "CL": crude_oil,
    "ES": third_friday,
    "NQ": third_friday,
    "GC": gold,
    "ZN": treasury_note,
    "NG": natural_gas,
    "YM": third_friday,
    "RTY": third_friday,
}
"""By product symbol."""


def is_business_day(day: date) -> bool:
    return day.weekday() <= 4 and day not in full_closures(day.year)


def business_days_before(day: date, count: int) -> date:
    """The ``count``-th business day before ``day``, which itself does not count."""
    while count:
        day -= timedelta(days=1)
        count -= is_business_day(day)
    return day


def _month_before(month: date) -> date:
    return (month - timedelta(days=1)).replace(day=1)


def _month_after(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
