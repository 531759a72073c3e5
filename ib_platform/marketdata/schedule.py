"""Trading hours as IBKR tells them, and where they contradict our calendar. PURE.

Source: ``GET /contract/trading-schedule`` (``ibkr_web_api.md`` section 2.2): some six trading days
around now, instants in epoch seconds, days without a session omitted.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import msgspec

from ib_platform.marketdata.calendar import open_spans, trade_date_span, trade_dates_between
from ib_platform.marketdata.sessions import CHICAGO, CalendarName

Span = tuple[datetime, datetime]
_TOLERANCE = timedelta(minutes=1)
"""A second more or less is no other opening time."""


@dataclass(frozen=True, slots=True)
class TradingDay:
    """A day that IBKR lists and one span (UTC, end exclusive) in which it trades."""

    day: date
    opens: datetime
    closes: datetime


class _Hours(msgspec.Struct):
    opening: int
    closing: int


class _Day(msgspec.Struct):
    extended_hours: list[_Hours] = []
    liquid_hours: list[_Hours] = []


class _Answer(msgspec.Struct):
    schedules: dict[str, _Day]


def decode_schedule(payload: bytes) -> tuple[TradingDay, ...]:
    """Spans of the listed days, in order of their opening: the whole session where it is said, else
    its liquid part.

    Raises:
        ValueError: the answer has another shape, or one day cannot be read. A day that is left out
            would look like a holiday.
    """
    try:
        answer = msgspec.json.decode(payload, type=_Answer)
        days = [
            _trading_day(name, hours)
            for name, day in answer.schedules.items()
            for hours in _hours_of(name, day)
        ]
    except (msgspec.DecodeError, ValueError, OverflowError, OSError) as error:
        raise ValueError(f"not an answer of trading-schedule: {error}") from error
    return tuple(sorted(days, key=lambda day: day.opens))


def _hours_of(name: str, day: _Day) -> list[_Hours]:
    hours = day.extended_hours or day.liquid_hours
    if not hours:
        raise ValueError(f"day {name} has no hours")
    return hours


def _trading_day(name: str, hours: _Hours) -> TradingDay:
    if hours.opening >= hours.closing:
        raise ValueError(f"day {name} opens at {hours.opening} and closes at {hours.closing}")
    return TradingDay(
        datetime.strptime(name, "%Y%m%d").date(),
        datetime.fromtimestamp(hours.opening, UTC),
        datetime.fromtimestamp(hours.closing, UTC),
    )


def contradictions(
    days: Sequence[TradingDay], calendar: CalendarName, at: datetime
) -> dict[date, str]:
    """Trade dates from ``at`` to the last listed day whose hours differ from ``calendar``, each
    with what both say, for people. Hours before ``at`` are not compared: IBKR may leave out a
    session that is over. An empty schedule contradicts nothing."""
    if not days:
        return {}
    found = {}
    said = _merged((day.opens, day.closes) for day in days)
    last = max(day.closes for day in days) - timedelta(seconds=1)
    for trade_date in trade_dates_between(at, last):
        begin, end = trade_date_span(trade_date)
        theirs = _clipped(said, begin, end)
        ours = _clipped(open_spans(calendar, trade_date), begin, end)
        begin = max(begin, at)
        if _difference(_clipped(theirs, begin, end), _clipped(ours, begin, end)) > _TOLERANCE:
            found[trade_date] = (
                f"IBKR says {_in_words(theirs)} on {trade_date}, the calendar "
                f"{calendar} says {_in_words(ours)}"
            )
    return found


def _merged(spans: Iterable[Span]) -> list[Span]:
    merged: list[Span] = []
    for begin, end in sorted(spans):
        if merged and begin <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _clipped(spans: Iterable[Span], begin: datetime, end: datetime) -> list[Span]:
    clipped = ((max(b, begin), min(e, end)) for b, e in spans)
    return [(b, e) for b, e in clipped if b < e]


def _difference(one: Sequence[Span], other: Sequence[Span]) -> timedelta:
    """Time that lies in one of them only."""
    common = sum((_length(_clipped(other, *span)) for span in one), timedelta())
    return _length(one) + _length(other) - 2 * common


def _length(spans: Iterable[Span]) -> timedelta:
    return sum((end - begin for begin, end in spans), timedelta())


def _in_words(spans: Sequence[Span]) -> str:
    """``open Wed 17:00 to Thu 12:00 (Chicago)``."""
    if not spans:
        return "closed (a holiday?)"
    texts = (
        f"{begin.astimezone(CHICAGO):%a %H:%M} to {end.astimezone(CHICAGO):%a %H:%M}"
        for begin, end in spans
    )
    return f"open {', '.join(texts)} (Chicago)"
