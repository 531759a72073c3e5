"""The span that a researcher means: trade dates or instants -> nanoseconds. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from ib_platform.errors import SelectionError
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.warehouse.spans import SECOND, Span, to_ns
from ib_platform.warehouse.times import date_span, edge_of, require_year

When = date | datetime | str
"""A trade date, an aware instant, or text of either: ``2026-11-23``, ``2026-11-23T14:30:00Z``."""


@dataclass(frozen=True)
class ReadSpan:
    """[begin, end) in nanoseconds since the UTC epoch, not empty."""

    begin: int
    end: int

    @property
    def first_date(self) -> date:
        """The first trade date that it touches."""
        return trade_date_at(self.begin)

    @property
    def last_date(self) -> date:
        """The last trade date that it touches."""
        return trade_date_at(self.end - 1)

    @property
    def dates(self) -> dict[str, date]:
        """Parameters ``first_date`` and ``last_date``."""
        return {"first_date": self.first_date, "last_date": self.last_date}

    @property
    def bound(self) -> dict[str, str]:
        """Parameters ``begin`` and ``end`` of type DateTime64(9, 'UTC')."""
        return {"begin": as_text(self.begin), "end": as_text(self.end)}

    def __str__(self) -> str:
        return f"{_words(self.begin)} to {_words(self.end)}"


def span_between(begin: When, end: When | None = None) -> ReadSpan:
    """The half-open span from ``begin`` to ``end``.

    A trade date as ``begin`` means its start, as ``end`` its end; alone it means that date.

    Raises:
        SelectionError: an instant without time zone or without an end, a weekend, the wrong way
            round, or no instant at all.
    """
    if end is None:
        _require_when(begin)
        day = _day(begin)
        if day is None:
            raise SelectionError(
                f"from {begin} until when? Name an end, or a trade date alone, like 2026-11-23"
            )
        return ReadSpan(*date_span(day))
    first, last = to_instant(begin, is_end=False), to_instant(end, is_end=True)
    if first >= last:
        raise SelectionError(f"{begin} is not before {end}: the span is empty")
    return ReadSpan(first, last)


def to_instant(when: When, *, is_end: bool = False) -> int:
    """Nanoseconds since the UTC epoch; a trade date means its start, or its end."""
    _require_when(when)
    if isinstance(when, str):
        return edge_of(when, is_end=is_end)
    if not isinstance(when, datetime):
        span: Span = date_span(when)
        return span.end if is_end else span.begin
    if when.tzinfo is None:
        raise SelectionError(
            f"{when.isoformat()} has no time zone. Say which, like "
            "datetime(2026, 11, 23, 14, 30, tzinfo=UTC)"
        )
    require_year(when)
    # A pandas.Timestamp holds nanoseconds beside what a datetime holds.
    return to_ns(when.astimezone(UTC)) + int(getattr(when, "nanosecond", 0))


def _require_when(when: object) -> None:
    if not isinstance(when, date | str):
        raise SelectionError(
            f"{when!r} is a {type(when).__name__}: name a trade date or an instant, as date, "
            "datetime, pandas.Timestamp or text"
        )


def as_text(instant: int) -> str:
    """An instant in nanoseconds as ClickHouse reads it, all nine digits, UTC."""
    return f"{_instant(instant):%Y-%m-%d %H:%M:%S}.{instant % SECOND:09d}"


def to_datetime(instant: int) -> datetime:
    """An instant in nanoseconds as a datetime in UTC, cut to the microsecond."""
    whole = datetime.fromtimestamp(instant // SECOND, UTC)
    return whole.replace(microsecond=instant % SECOND // 1000)


def trade_date_at(instant: int) -> date:
    """Trade date of an instant in nanoseconds."""
    return trade_date_of(_instant(instant))


def _day(when: When) -> date | None:
    if isinstance(when, datetime):
        return None
    if not isinstance(when, str):
        return when
    try:
        return datetime.strptime(when, "%Y-%m-%d").date()
    except ValueError:
        return None


def _instant(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds // SECOND, UTC)


def _words(instant: int) -> str:
    return f"{_instant(instant):%Y-%m-%dT%H:%M:%S}Z"
