"""The span that a person means: trade dates or instants as text -> a span. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.warehouse.spans import Span, to_ns


def span_of(now: datetime, trade_date: str | None, begin: str | None, end: str | None) -> Span:
    """Half-open span in ns since 1970.

    A date stands for its trade date: as ``begin`` for its start, as ``end`` for its end. Without
    anything: the trade date of ``now`` (aware). ``begin`` alone: until ``now``. ``end`` alone: from
    the start of the trade date that it lies in.

    Raises:
        ConfigurationError: no date and no instant, no time zone, a weekend, or the wrong way round.
    """
    if trade_date is not None:
        if begin is not None or end is not None:
            raise ConfigurationError("--date names the whole span: leave out --from and --to")
        return _of_date(_date(trade_date) or _refuse(trade_date))
    if begin is None and end is None:
        return _of_date(trade_date_of(now))
    last = to_ns(now) if end is None else _edge(end, is_end=True)
    first = _start_of(last) if begin is None else _edge(begin, is_end=False)
    if first >= last:
        until = f"--to {end}" if end is not None else f"now ({now.astimezone(UTC):%FT%TZ})"
        raise ConfigurationError(f"--from {begin} is not before {until}: the span is empty")
    return Span(first, last)


def _edge(text: str, *, is_end: bool) -> int:
    day = _date(text)
    if day is not None:
        span = _of_date(day)
        return span.end if is_end else span.begin
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        _refuse(text)
    if instant.tzinfo is None:
        raise ConfigurationError(
            f"{text!r} has no time zone. Say UTC, like {instant.isoformat()}Z, or an offset, like "
            f"{instant.isoformat()}-06:00"
        )
    return to_ns(instant)


def _date(text: str) -> date | None:
    """A plain date; None for everything else, also for what ``date.fromisoformat`` would guess."""
    try:
        day = datetime.strptime(text, "%Y-%m-%d").date()
    except ValueError:
        return None
    return day


def _of_date(day: date) -> Span:
    try:
        begin, end = trade_date_span(day)
    except ValueError as error:
        raise ConfigurationError(f"{error}. Friday evening belongs to Monday") from error
    return Span(to_ns(begin), to_ns(end))


def _start_of(end: int) -> int:
    """Start of the trade date in which the last instant before ``end`` lies."""
    last = datetime.fromtimestamp((end - 1) // 1_000_000_000, UTC)
    return _of_date(trade_date_of(last)).begin


def _refuse(text: str) -> date:
    raise ConfigurationError(
        f"{text!r} is neither a trade date like 2026-11-23 nor an instant like 2026-11-23T14:30:00Z"
    )
