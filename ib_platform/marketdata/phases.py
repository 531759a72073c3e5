"""What a market is doing at an instant, and why it is not open, by the calendar alone. PURE.

A ladder that is crossed in the pre-open is no error, silence on a holiday is no gap. Times of the
pre-open are CME's rule for Globex: orders gather from 16:45 Chicago before the evening's open, from
16:00 on Sundays and after holidays (``quality_and_bars.md`` 4.4: no calendar library models it).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import pairwise

from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.marketdata.sessions import (
    CalendarName,
    as_spans,
    hours_of,
    weekly_hours,
)

Span = tuple[datetime, datetime]
_BREAK = timedelta(hours=2)
"""A shorter rest between two sessions is a break of one trading day."""
_GATHERING = timedelta(minutes=15)
_GATHERING_AFTER_CLOSURE = timedelta(hours=1)


class MarketPhase(StrEnum):
    """``pre_open``: orders gather, nothing trades. ``maintenance``: the daily break. ``closed``:
    weekend, or the night of a product that trades by day. ``early_close``: shut sooner than on
    other days. ``holiday``: no session where other days have one. ``halted``: trading is suspended
    inside a session; no calendar says so, only a fault of the simulator."""

    PRE_OPEN = "pre_open"
    OPEN = "open"
    MAINTENANCE = "maintenance"
    EARLY_CLOSE = "early_close"
    CLOSED = "closed"
    HOLIDAY = "holiday"
    HALTED = "halted"

    @property
    def moves(self) -> bool:
        """Whether quotes and ladders change in this phase."""
        return self in (MarketPhase.OPEN, MarketPhase.PRE_OPEN)


@dataclass(frozen=True, slots=True)
class PhaseSpan:
    """A stretch of time in one phase, UTC, end exclusive."""

    phase: MarketPhase
    begin: datetime
    end: datetime


def phase_of(calendar: CalendarName, instant: datetime) -> MarketPhase:
    """Phase at ``instant``. Raises ValueError for a naive one."""
    day = trade_date_of(instant)
    return next(s.phase for s in phase_spans(calendar, day) if s.begin <= instant < s.end)


def phase_spans(calendar: CalendarName, trade_date: date) -> list[PhaseSpan]:
    """Phases of the whole trade date, in order, without holes, neighbours in different phases.

    Raises ValueError for a Saturday or Sunday.
    """
    begin, end = trade_date_span(trade_date)
    if calendar is CalendarName.ALWAYS_OPEN:
        return [PhaseSpan(MarketPhase.OPEN, begin, end)]
    around = _Around(calendar, trade_date)
    edges = sorted({begin, end, *(edge for edge in around.edges() if begin < edge < end)})
    spans: list[PhaseSpan] = []
    for first, last in pairwise(edges):
        phase = around.phase(first)
        if spans and spans[-1].phase is phase:
            spans[-1] = PhaseSpan(phase, spans[-1].begin, last)
        else:
            spans.append(PhaseSpan(phase, first, last))
    return spans


def phases_from(calendar: CalendarName, trade_date: date) -> list[PhaseSpan]:
    """As ``phase_spans``, but the first one with its own begin, at most a week before."""
    spans = phase_spans(calendar, trade_date)
    begin, day = spans[0].begin, trade_date
    while begin == trade_date_span(day)[0] and trade_date - day < timedelta(days=7):
        day = _trade_date_before(day)
        before = phase_spans(calendar, day)[-1]
        if before.phase is not spans[0].phase:
            break
        begin = before.begin
    return [PhaseSpan(spans[0].phase, begin, spans[0].end), *spans[1:]]


def _trade_date_before(day: date) -> date:
    return trade_date_of(trade_date_span(day)[0] - timedelta(seconds=1))


class _Around:
    """Sessions of a trade date and of its neighbours, as they are and as they would be on any other
    day."""

    def __init__(self, calendar: CalendarName, trade_date: date) -> None:
        days = _weekdays_around(trade_date)
        self._sessions = [s for day in days for s in as_spans(hours_of(calendar, day), day)]
        self._ordinary = [(day, as_spans(weekly_hours(calendar), day)) for day in days]
        self._gathers = [
            (begin - _lead(begin - before), begin)
            for (_, before), (begin, _) in pairwise(self._sessions)
        ]

    def edges(self) -> list[datetime]:
        ordinary = [session for _, sessions in self._ordinary for session in sessions]
        spans = [*self._sessions, *ordinary, *self._gathers]
        return [edge for span in spans for edge in span]

    def phase(self, at: datetime) -> MarketPhase:
        if _covers(self._sessions, at):
            return MarketPhase.OPEN
        if _covers(self._gathers, at):
            return MarketPhase.PRE_OPEN
        for day, sessions in self._ordinary:
            if _covers(sessions, at):
                held = [s for s in self._sessions if trade_date_of(s[0]) == day]
                early = any(end <= at for _, end in held)
                return MarketPhase.EARLY_CLOSE if early else MarketPhase.HOLIDAY
        ordinary = [session for _, sessions in self._ordinary for session in sessions]
        daily = any(
            before <= at < after and after - before <= _BREAK
            for (_, before), (after, _) in pairwise(ordinary)
        )
        return MarketPhase.MAINTENANCE if daily else MarketPhase.CLOSED


def _weekdays_around(trade_date: date) -> list[date]:
    """A week on either side: no closure is longer."""
    days = (trade_date + timedelta(days=offset) for offset in range(-7, 8))
    return [day for day in days if day.weekday() <= 4]


def _lead(rest: timedelta) -> timedelta:
    return min(rest, _GATHERING if rest <= _BREAK else _GATHERING_AFTER_CLOSURE)


def _covers(spans: Sequence[Span], at: datetime) -> bool:
    return any(begin <= at < end for begin, end in spans)
