"""Trading hours as IBKR's two schedule endpoints tell them. Pure.

``/contract/trading-schedule`` has instants in epoch seconds for the days around now;
``/trsrv/secdef/schedule`` has a week of clock times, in which 1 January 2000 stands for any
Saturday and 7 January for any Friday, and real dates where the hours differ (Web API page, 2.2).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from ib_platform.marketdata.sessions import CHICAGO
from ib_platform.simulator.catalogue import Product
from ib_platform.simulator.hours import HoursParameters, MarketHours, TradingDay
from ib_platform.simulator.shapes import Json

TIME_ZONE = "US/Central"
_ANY_MONDAY = datetime(2000, 1, 3, 12, tzinfo=CHICAGO)


def trading_schedule(days: Iterable[TradingDay]) -> Json:
    """By date; days without a session are left out, ``liquid_hours`` only where there are any."""
    schedules: Json = {}
    for day in days:
        if day.extended is None:
            continue
        hours: Json = {}
        if day.liquid is not None:
            hours["liquid_hours"] = [_epoch(day.liquid)]
        hours["extended_hours"] = [_epoch(day.extended) | {"cancel_daily_orders": True}]
        schedules[f"{day.date:%Y%m%d}"] = hours
    return {"exchange_time_zone": TIME_ZONE, "schedules": schedules}


def weekly_schedule(
    product: Product, parameters: HoursParameters, days: Iterable[TradingDay]
) -> Json:
    """The usual week of the calendar, and those of ``days`` that are not as usual."""
    usual = MarketHours(HoursParameters(calendar=parameters.calendar))
    week = usual.trading_days(_ANY_MONDAY, 5)
    clocks = {day.date.weekday(): _clock_times(day) for day in week}
    entries = [_week_entry(f"{day.date:%Y%m%d}", day) for day in week]
    entries += [
        _week_entry(f"{day.date:%Y%m%d}", day)
        for day in days
        if _clock_times(day) != clocks[day.date.weekday()]
    ]
    return {
        "id": f"p{product.underlying_conid}",
        "tradeVenueId": f"v{product.underlying_conid}",
        "exchange": product.exchange,
        "description": product.name,
        "timezone": str(CHICAGO),
        "schedules": entries,
    }


def _week_entry(name: str, day: TradingDay) -> Json:
    extended, liquid = _clock_times(day)
    times = [] if extended is None else [_from_to(extended) | {"cancelDayOrders": "Y"}]
    return {
        "clearingCycleEndTime": "0000" if extended is None else extended[1],
        "tradingScheduleDate": name,
        "sessions": [] if liquid is None else [_from_to(liquid) | {"prop": "LIQUID"}],
        "tradingtimes": times,
    }


def _from_to(clock: tuple[str, str]) -> Json:
    return {"openingTime": clock[0], "closingTime": clock[1]}


def _clock_times(
    day: TradingDay,
) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """Extended and liquid hours as the exchange's clock shows them."""
    return _clock(day.extended), _clock(day.liquid)


def _clock(span: tuple[datetime, datetime] | None) -> tuple[str, str] | None:
    if span is None:
        return None
    begin, end = (instant.astimezone(CHICAGO) for instant in span)
    return f"{begin:%H%M}", f"{end:%H%M}"


def _epoch(span: tuple[datetime, datetime]) -> Json:
    begin, end = span
    return {"opening": int(begin.timestamp()), "closing": int(end.timestamp())}
