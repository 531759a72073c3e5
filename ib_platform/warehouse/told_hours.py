"""What IBKR told of a trade date's hours, held against the calendar by which it is judged.

The calendar decides what is a gap, so that a day on which IBKR says otherwise is a day of which the
coverage may be wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from ib_platform.marketdata.calendar import trade_date_of, trade_date_span
from ib_platform.marketdata.schedule import TradingDay, contradictions
from ib_platform.marketdata.sessions import CalendarName

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build

_TOLD = """
SELECT contract, toUnixTimestamp64Milli(assumeNotNull(schedule_known_at)), schedule_dates,
       arrayMap(opens -> toUInt32(opens), schedule_opens),
       arrayMap(closes -> toUInt32(closes), schedule_closes)
FROM contracts FINAL
WHERE schedule_known_at IS NOT NULL AND trade_date BETWEEN {first:Date} AND {last:Date}
ORDER BY contract, schedule_known_at, conid
"""
_TOLD_AHEAD = timedelta(days=14)
"""IBKR tells some six trading days ahead: what is older says nothing of a date."""


@dataclass(frozen=True)
class ToldHours:
    """The trading hours of one contract as IBKR told them at one instant."""

    contract: str
    known_at: datetime
    days: tuple[TradingDay, ...]


def read_told_hours(build: Build) -> list[ToldHours]:
    """What was told up to the end of the build's trade date, oldest first for each contract."""
    last = build.trade_date
    rows = build.client.query(_TOLD, {"first": last - _TOLD_AHEAD, "last": last}).result_rows
    return [
        ToldHours(contract, _instant(known_ms / 1000), _trading_days(*arrays))
        for contract, known_ms, *arrays in rows
    ]


def calendar_difference(
    contract: str, calendar: CalendarName, trade_date: date, told: Sequence[ToldHours]
) -> str | None:
    """Where IBKR's hours of ``trade_date`` differ from the calendar's, for people. Empty: nowhere.
    None: IBKR told nothing of that date. Pure.

    What was told last before the date began counts, since it speaks of the whole date; else what
    was told first on it, which speaks of the rest.
    """
    begin, end = trade_date_span(trade_date)
    own = [
        hours
        for hours in told
        if hours.contract == contract and hours.known_at < end and _reaches(hours, trade_date)
    ]
    before = [hours for hours in own if hours.known_at <= begin]
    if not own:
        return None
    chosen = before[-1] if before else own[0]
    at = max(begin, chosen.known_at)
    return contradictions(chosen.days, calendar, at).get(trade_date, "")


def _reaches(hours: ToldHours, trade_date: date) -> bool:
    """Whether the list goes as far as the date: only then a day that it leaves out has none."""
    if not hours.days:
        return False
    last = max(day.closes for day in hours.days) - timedelta(seconds=1)
    return trade_date <= trade_date_of(last)


def _trading_days(
    dates: Sequence[date], opens: Sequence[int], closes: Sequence[int]
) -> tuple[TradingDay, ...]:
    return tuple(
        TradingDay(day, _instant(first), _instant(last))
        for day, first, last in zip(dates, opens, closes, strict=True)
    )


def _instant(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
