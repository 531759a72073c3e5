"""The span that a person means: trade dates or instants as text -> a span. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ib_platform.errors import SelectionError
from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.warehouse.spans import Span, to_ns


def span_of(now: datetime, trade_date: str | None, begin: str | None, end: str | None) -> Span:
    """Half-open span in ns since 1970.

    A date stands for its trade date: as ``begin`` for its start, as ``end`` for its end. Without
    anything: the trade date of ``now`` (aware). ``begin`` alone: until ``now``. ``end`` alone: from
    the start of the trade date that it lies in.

    Raises:
        SelectionError: no date and no instant, no time zone, a weekend, or the wrong way round.
    """
    if trade_date is not None:
        if begin is not None or end is not None:
            raise SelectionError("--date names the whole span: leave out --from and --to")
        return date_span(_date(trade_date) or _refuse(trade_date))
    if begin is None and end is None:
        return date_span(trade_date_of(now))
    last = to_ns(now) if end is None else edge_of(end, is_end=True)
    first = _start_of(last) if begin is None else edge_of(begin, is_end=False)
    if first >= last:
        until = f"--to {end}" if end is not None else f"now ({now.astimezone(UTC):%FT%TZ})"
        raise SelectionError(f"--from {begin} is not before {until}: the span is empty")
    return Span(first, last)


def edge_of(text: str, *, is_end: bool) -> int:
    """Nanoseconds since 1970 of an instant, or of the start or end of a trade date.

    Raises:
        SelectionError: no date and no instant, no time zone, or a weekend.
    """
    day = _date(text)
    if day is not None:
        span = date_span(day)
        return span.end if is_end else span.begin
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _refuse(text)
    if instant.tzinfo is None:
        raise SelectionError(
            f"{text!r} has no time zone. Say UTC, like {instant.isoformat()}Z, or an offset, like "
            f"{instant.isoformat()}-06:00"
        )
    require_year(instant)
    return to_ns(instant)


def require_year(when: date) -> None:
    """Raises SelectionError outside of 1970 to 2100: nothing was recorded there, and ClickHouse
    would read another instant."""
    if not 1970 <= when.year <= 2100:
        raise SelectionError(f"{when.isoformat()} is not between the years 1970 and 2100")


def _date(text: str) -> date | None:
    """A plain date; None for everything else, also for what ``date.fromisoformat`` would guess."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None
    return day


def date_span(day: date) -> Span:
    """The span of a trade date. Raises SelectionError for a Saturday, Sunday or absurd year."""
    require_year(day)
    try:
        begin, end = trade_date_span(day)
    except ValueError as error:
        raise SelectionError(f"{error}. Friday evening belongs to Monday") from error
    return Span(to_ns(begin), to_ns(end))


def _start_of(end: int) -> int:
    """Start of the trade date in which the last instant before ``end`` lies."""
    last = datetime.fromtimestamp((end - 1) // 1_000_000_000, UTC)
    return date_span(trade_date_of(last)).begin


def _refuse(text: str) -> date:
    raise SelectionError(
        f"{text!r} is neither a trade date like 2026-11-23 nor an instant like 2026-11-23T14:30:00Z"
    )
