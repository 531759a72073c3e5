"""When the simulated market is open: phases and trading days, as pure functions of an instant.

Built on ``marketdata.calendar``: product groups have their own holidays and early closes,
``always_open`` never rests. Full closures of ``cme_globex`` (New Year, Good Friday, Christmas) come
from a rule; further holidays, early closes and late openings are parameters. All instants are
timezone-aware.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from pydantic import Field

from ib_platform.marketdata.calendar import open_spans, trade_date_of, trade_date_span
from ib_platform.marketdata.phases import MarketPhase
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.simulator.parameters import Seconds, parameters

_DAILY_BREAK = timedelta(hours=1)
_LIQUID_FROM = time(8, 30)
"""Chicago; the liquid hours of index futures begin with the stock market in New York."""
_FAR = timedelta(days=3650)


@parameters
class HoursParameters:
    """``holidays``: trade dates without a session, beside the built-in ones of ``cme_globex``.
    ``early_closes``: trade date -> Chicago time at which its session ends. ``late_openings``:
    trade date -> Chicago time of the evening before at which its session begins. ``pre_open``:
    seconds of pre-opening after the daily break, ``pre_open_after_closure``: after longer rests.
    """

    calendar: CalendarName = CalendarName.ALWAYS_OPEN
    holidays: tuple[date, ...] = ()
    early_closes: dict[date, time] = Field(default_factory=dict)
    late_openings: dict[date, time] = Field(default_factory=dict)
    pre_open: Seconds = 900.0
    pre_open_after_closure: Seconds = 3600.0


@dataclass(frozen=True, slots=True)
class TradingDay:
    """One trade date. ``extended``: the whole session; ``liquid``: its busy part. Both are
    (begin, end) in UTC, or None on a day without a session."""

    date: date
    extended: tuple[datetime, datetime] | None
    liquid: tuple[datetime, datetime] | None


@dataclass(frozen=True, slots=True)
class Spell:
    """A stretch of time in one phase, end exclusive."""

    phase: MarketPhase
    begin: datetime
    end: datetime


class MarketHours:
    """The calendar of all simulated products. Remembers the last spell that was asked for."""

    def __init__(self, parameters: HoursParameters | None = None) -> None:
        self.parameters = parameters or HoursParameters()
        self._spell: Spell | None = None

    def phase(self, at: datetime) -> MarketPhase:
        """Phase at ``at``. Raises ValueError for a naive instant."""
        return self.spell(at).phase

    def is_open(self, at: datetime) -> bool:
        """Whether trades happen at ``at``."""
        return self.phase(at) is MarketPhase.OPEN

    def spell(self, at: datetime) -> Spell:
        """The phase at ``at``, and from when to when it lasts."""
        known = self._spell
        if known is None or not known.begin <= at < known.end:
            known = self._spell = self._spell_at(at)
        return known

    def phase_until(self, now: float, offset: float) -> tuple[MarketPhase, float]:
        """Phase at the monotonic instant ``now`` and when it ends; ``offset`` makes it unix."""
        # A millisecond late: no rounding may ask again for the spell that ends now.
        spell = self.spell(datetime.fromtimestamp(now + offset + 0.001, UTC))
        return spell.phase, spell.end.timestamp() - offset

    def trading_days(self, around: datetime, count: int) -> tuple[TradingDay, ...]:
        """``count`` trade dates from the one of ``around`` on, days without a session included."""
        days: list[TradingDay] = []
        day = trade_date_of(around)
        while len(days) < count:
            days.append(self._trading_day(day))
            day = _next_weekday(day, 1)
        return tuple(days)

    def is_holiday(self, day: date) -> bool:
        """Whether the trade date ``day`` has no session."""
        if day in self.parameters.holidays or not open_spans(self.parameters.calendar, day):
            return True
        has_rule = self.parameters.calendar is CalendarName.CME_GLOBEX
        return has_rule and day in full_closures(day.year)

    def _session(self, day: date) -> tuple[datetime, datetime] | None:
        """Begin and end of the session of a weekday, in UTC; breaks are left out."""
        if self.is_holiday(day):
            return None
        spans = open_spans(self.parameters.calendar, day)
        begin, end = spans[0][0], spans[-1][1]
        if (late := self.parameters.late_openings.get(day)) is not None:
            begin = datetime.combine(day - timedelta(days=1), late, CHICAGO).astimezone(UTC)
        if (early := self.parameters.early_closes.get(day)) is not None:
            end = datetime.combine(day, early, CHICAGO).astimezone(UTC)
        return begin, end

    def _trading_day(self, day: date) -> TradingDay:
        session = self._session(day)
        if session is None:
            return TradingDay(day, None, None)
        begin, end = session
        liquid_begin = datetime.combine(day, _LIQUID_FROM, CHICAGO).astimezone(UTC)
        if self.parameters.calendar is CalendarName.ALWAYS_OPEN:
            liquid_begin = begin
        liquid = (liquid_begin, end) if liquid_begin < end else None
        return TradingDay(day, session, liquid)

    def _spell_at(self, at: datetime) -> Spell:
        closed_at, opens_at = self._around(at)
        if opens_at <= at:
            return Spell(MarketPhase.OPEN, opens_at, closed_at)
        rest = opens_at - closed_at
        daily = rest <= _DAILY_BREAK
        lead = self.parameters.pre_open if daily else self.parameters.pre_open_after_closure
        gathers_at = max(closed_at, opens_at - timedelta(seconds=lead))
        if at >= gathers_at:
            return Spell(MarketPhase.PRE_OPEN, gathers_at, opens_at)
        if daily:
            return Spell(MarketPhase.MAINTENANCE, closed_at, gathers_at)
        return self._long_rest(at, closed_at, gathers_at)

    def _long_rest(self, at: datetime, begin: datetime, end: datetime) -> Spell:
        """Closed or holiday; the border between them is that of the trade date."""
        day = trade_date_of(at)
        phase = MarketPhase.HOLIDAY if self.is_holiday(day) else MarketPhase.CLOSED
        day_begin, day_end = trade_date_span(day)
        return Spell(phase, max(begin, day_begin), min(end, day_end))

    def _around(self, at: datetime) -> tuple[datetime, datetime]:
        """End and begin of a session: (end, begin) of the one that runs, else of the last one
        before ``at`` and of the next one after it."""
        day = _next_weekday(trade_date_of(at), -1)
        closed_at = at - _FAR
        while True:
            if (session := self._session(day)) is not None:
                begin, end = session
                if begin <= at < end:
                    return end, begin
                if begin > at:
                    return closed_at, begin
                closed_at = end
            day = _next_weekday(day, 1)


def full_closures(year: int) -> frozenset[date]:
    """Trade dates of ``year`` on which CME's futures have no session at all: New Year, Good Friday,
    Christmas. A Sunday's holiday is kept on Monday; Christmas on a Saturday on Friday."""
    closures = {easter(year) - timedelta(days=2)}
    new_year, christmas = date(year, 1, 1), date(year, 12, 25)
    if new_year.weekday() != 5:
        closures.add(_next_weekday(new_year - timedelta(days=1), 1))
    shift = {5: -1, 6: 1}.get(christmas.weekday(), 0)
    closures.add(christmas + timedelta(days=shift))
    return frozenset(closures)


def easter(year: int) -> date:
    """Easter Sunday, by the anonymous Gregorian rule."""
    golden, (century, _) = year % 19, divmod(year, 100)
    leaps, skipped = divmod(century, 4)
    moon = (century - leaps - (8 * century + 13) // 25 + 19 * golden + 15) % 30
    moon -= (moon // 28) * (1 - (29 // (moon + 1)) * ((21 - golden) // 11))
    weekday = (year + year // 4 + moon + 2 - century + leaps) % 7
    offset = moon - weekday
    month = 3 + (offset + 40) // 44
    return date(year, month, offset + 28 - 31 * (month // 4))


def _next_weekday(day: date, step: int) -> date:
    day += timedelta(days=step)
    while day.weekday() > 4:
        day += timedelta(days=step)
    return day
