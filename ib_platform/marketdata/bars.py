"""Bars: names and lengths that SQL, readers and tests share.

A bar is left-closed and labelled by its start, in UTC: [start, start + length). Sizes up to an hour
lie on the grid of the UTC epoch; ``1d`` is the span of the trade date. Every bar is cut at the
border of the trade date (16:30 Chicago), which lies in the daily break of CME.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from enum import StrEnum

from ib_platform.marketdata.calendar import trade_date_of, trade_date_span

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class BarSize(StrEnum):
    """The sizes that are built, shortest first; the values of column ``bars.bar_size``."""

    SECOND = "1s"
    FIVE_SECONDS = "5s"
    MINUTE = "1m"
    FIVE_MINUTES = "5m"
    FIFTEEN_MINUTES = "15m"
    HOUR = "1h"
    DAY = "1d"

    @property
    def seconds(self) -> int:
        """Nominal length. A trade date itself may be longer: Monday's begins on Friday."""
        return _SECONDS[self]


_SECONDS = {
    BarSize.SECOND: 1,
    BarSize.FIVE_SECONDS: 5,
    BarSize.MINUTE: 60,
    BarSize.FIVE_MINUTES: 300,
    BarSize.FIFTEEN_MINUTES: 900,
    BarSize.HOUR: 3600,
    BarSize.DAY: 86_400,
}


def bar_span(size: BarSize, instant: datetime) -> tuple[datetime, datetime]:
    """Start and end (exclusive) in UTC of the bar that ``instant`` (timezone-aware) lies in.

    >>> bar_span(BarSize.MINUTE, datetime(2026, 11, 18, 15, 0, 59, tzinfo=UTC))[0]
    datetime.datetime(2026, 11, 18, 15, 0, tzinfo=datetime.timezone.utc)
    """
    begin, end = trade_date_span(trade_date_of(instant))
    if size is BarSize.DAY:
        return begin, end
    length = timedelta(seconds=size.seconds)
    start = _EPOCH + (instant - _EPOCH) // length * length
    return max(begin, start), min(end, start + length)


def is_cut(size: BarSize, instant: datetime) -> bool:
    """Whether the border of the trade date cuts the bar that ``instant`` lies in."""
    start, end = bar_span(size, instant)
    return size is not BarSize.DAY and end - start < timedelta(seconds=size.seconds)


def trade_date_bars(size: BarSize, trade_date: date) -> int:
    """How many bars of ``size`` a trade date can have at most."""
    begin, end = trade_date_span(trade_date)
    if size is BarSize.DAY:
        return 1
    first, last = bar_span(size, begin)[0], bar_span(size, end - timedelta(microseconds=1))[0]
    return 1 + -(-(last - first) // timedelta(seconds=size.seconds))
