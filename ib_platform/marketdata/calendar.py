"""Trade dates and trading sessions, as pure functions of an instant.

The **trade date** is the partition key of every table: Chicago wall-clock time plus 7 h 30 min, its
date, Saturday and Sunday rolled to Monday. Its border, 16:30 Chicago, lies in CME's daily break. It
knows no holidays and never changes for a stored row. Each session of a product lies in one.

All instants are timezone-aware; naive ones are refused with ValueError.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

from ib_platform.marketdata.sessions import CHICAGO, CalendarName, as_spans, hours_of

BORDER = time(16, 30)
_BORDER_SHIFT = timedelta(hours=7, minutes=30)


def _require_aware(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError(f"an instant needs a time zone, got the naive {instant!r}")
    return instant


def trade_date_of(instant: datetime) -> date:
    """Trade date that ``instant`` belongs to.

    >>> trade_date_of(datetime(2026, 11, 20, 18, 0, tzinfo=CHICAGO))  # Friday evening
    datetime.date(2026, 11, 23)
    """
    local = _require_aware(instant).astimezone(CHICAGO).replace(tzinfo=None)
    day = (local + _BORDER_SHIFT).date()
    return day + timedelta(days={5: 2, 6: 1}.get(day.weekday(), 0))


def trade_date_span(trade_date: date) -> tuple[datetime, datetime]:
    """First instant and end (exclusive) of ``trade_date``, in UTC.

    Raises ValueError for a Saturday or Sunday, which no instant maps to.
    """
    if trade_date.weekday() > 4:
        raise ValueError(f"{trade_date} is a {trade_date:%A}: no trade date")
    days_back = 3 if trade_date.weekday() == 0 else 1
    begin = datetime.combine(trade_date - timedelta(days=days_back), BORDER, CHICAGO)
    end = datetime.combine(trade_date, BORDER, CHICAGO)
    return begin.astimezone(UTC), end.astimezone(UTC)


def open_spans(calendar: CalendarName, trade_date: date) -> list[tuple[datetime, datetime]]:
    """Spans of ``trade_date`` in which the market is open, in UTC, ordered, end exclusive.

    None on a holiday. Raises ValueError for a Saturday or Sunday.
    """
    begin, end = trade_date_span(trade_date)
    if calendar is CalendarName.ALWAYS_OPEN:
        return [(begin, end)]
    return as_spans(hours_of(calendar, trade_date), trade_date)


def is_open(calendar: CalendarName, instant: datetime) -> bool:
    """Whether the market of ``calendar`` is open at ``instant``."""
    spans = open_spans(calendar, trade_date_of(instant))
    return any(begin <= instant < end for begin, end in spans)


def trade_dates_between(begin: datetime, end: datetime) -> Iterator[date]:
    """Trade dates that [begin, end] touches, ascending, without Saturdays and Sundays."""
    day, last = trade_date_of(begin), trade_date_of(end)
    while day <= last:
        if day.weekday() <= 4:
            yield day
        day += timedelta(days=1)
