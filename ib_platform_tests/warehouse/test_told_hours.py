"""The trading hours that IBKR told, in the quality report of the dates that they speak of."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.marketdata.schedule import TradingDay, decode_schedule
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.simulator.hours import HoursParameters, MarketHours
from ib_platform.simulator.shapes_schedule import trading_schedule
from ib_platform.streamer.contract_facts import ContractRow
from ib_platform.streamer.housekeeping import contracts_table
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform.warehouse.told_hours import ToldHours, calendar_difference
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

EQUITY, GLOBEX = CalendarName.CME_EQUITY, CalendarName.CME_GLOBEX
ES = "ES.CME.front"
TUESDAY = datetime(2026, 11, 24, 10, tzinfo=CHICAGO)
WEDNESDAY, THANKSGIVING = date(2026, 11, 25), date(2026, 11, 26)
AFTER = datetime(2026, 12, 1, tzinfo=UTC)


def schedule(calendar: CalendarName, at: datetime = TUESDAY) -> tuple[TradingDay, ...]:
    """What the simulator answers at ``at`` for six trade dates of a market with that calendar."""
    hours = MarketHours(HoursParameters(calendar=calendar))
    return decode_schedule(json.dumps(trading_schedule(hours.trading_days(at, 6))).encode())


def told(calendar: CalendarName, at: datetime = TUESDAY, contract: str = ES) -> ToldHours:
    return ToldHours(contract, at.astimezone(UTC), schedule(calendar, at))


def test_the_same_hours_differ_nowhere() -> None:
    assert calendar_difference(ES, EQUITY, THANKSGIVING, [told(EQUITY)]) == ""


def test_a_holiday_that_the_calendar_does_not_know() -> None:
    found = calendar_difference(ES, GLOBEX, THANKSGIVING, [told(EQUITY)])
    assert found is not None
    assert "IBKR says open Wed 17:00 to Thu 12:00 (Chicago) on 2026-11-26" in found
    assert calendar_difference(ES, GLOBEX, WEDNESDAY, [told(EQUITY)]) == "", "of that date only"


@pytest.mark.parametrize(
    "hours",
    [
        [],
        [told(EQUITY, contract="NQ.CME.front")],
        [ToldHours(ES, TUESDAY.astimezone(UTC), ())],
        [told(EQUITY, TUESDAY - timedelta(days=30))],
        [told(EQUITY, TUESDAY + timedelta(days=7))],
    ],
    ids=["nothing", "of another contract", "an empty list", "long before", "afterwards"],
)
def test_what_was_not_told_is_unknown(hours: list[ToldHours]) -> None:
    assert calendar_difference(ES, GLOBEX, THANKSGIVING, hours) is None


def test_what_was_told_last_before_the_date_counts() -> None:
    day = timedelta(days=1)
    wrong, right = told(GLOBEX, TUESDAY - day), told(EQUITY)
    later = told(GLOBEX, TUESDAY + 2 * day)
    assert calendar_difference(ES, EQUITY, THANKSGIVING, [wrong, right, later]) == ""
    assert calendar_difference(ES, EQUITY, THANKSGIVING, [right, wrong, later]) != ""


def test_what_was_told_on_the_date_speaks_of_its_rest() -> None:
    _, end = trade_date_span(THANKSGIVING)
    morning = told(EQUITY, end.astimezone(CHICAGO) - timedelta(hours=8))
    evening = told(EQUITY, end.astimezone(CHICAGO) - timedelta(seconds=1))
    assert calendar_difference(ES, GLOBEX, THANKSGIVING, [morning]) != ""
    assert calendar_difference(ES, GLOBEX, THANKSGIVING, [evening]) == "", "closed by both"


def store(client: Any, calendar: CalendarName, conid: int = 1) -> None:
    """As a streamer stores what IBKR told on Tuesday."""
    at = TUESDAY.astimezone(UTC)
    row = ContractRow(
        contract=ES, conid=conid, symbol="ES", exchange="CME", calendar="cme_equity",
        expiry=date(2026, 12, 18), last_trade_date=None, multiplier=None, resolved_at=at,
        trade_date=TUESDAY.date(), schedule_known_at=at, schedule=schedule(calendar),
    )  # fmt: skip
    client.insert_arrow("contracts", contracts_table([row]))


def row_of(client: Any, table: str, where: str = "1") -> dict[str, Any]:
    (row,) = client.query(f"SELECT * FROM {table} WHERE {where}").named_results()
    return dict(row)


def test_a_whole_date_whose_hours_are_disputed(client: Any, config: PlatformConfig) -> None:
    """The calendar says that the day before Thanksgiving is an ordinary one; a ladder was recorded
    in all of it; IBKR said, by the hours of grains, that it trades less."""
    begin, end = (to_ns(instant) for instant in trade_date_span(WEDNESDAY))
    assign(client, [(ES, "alpha", 1)], begin - 8 * 3600 * SECOND, calendar="cme_equity")
    store(client, CalendarName.CME_GRAINS)
    recorder = Recorder("r")
    for at in range(begin + 1700 * SECOND, end, 20 * SECOND):
        recorder.ladder(at, 1, full(r8=-1, r9=-7, r11=5))
    recorder.insert(client)
    finalize(client, config, WEDNESDAY, now=AFTER)
    report = row_of(client, "quality_report")
    assert report["verdict"] == "available", "nobody knows who is right"
    assert "IBKR says open Tue 19:00 to Wed 13:20" in report["calendar_difference"]
    check = row_of(client, "quality_checks", "code = 'Q01'")
    assert (check["verdict"], check["value"]) == ("warn", 1.0)
    assert "what is expected is disputed: IBKR says open Tue 19:00" in check["explanation"]


def test_a_holiday_on_which_ibkr_trades_is_missing(client: Any, config: PlatformConfig) -> None:
    christmas = date(2026, 12, 25)
    begin = to_ns(trade_date_span(WEDNESDAY)[0])
    assign(client, [(ES, "alpha", 1)], begin, calendar="cme_equity")
    assert row_of(client, "contracts")["schedule_known_at"] is None
    finalize(client, config, christmas, now=datetime(2026, 12, 30, tzinfo=UTC))
    report = row_of(client, "quality_report")
    assert (report["verdict"], report["calendar_difference"]) == ("available", None)

    at = datetime(2026, 12, 23, 10, tzinfo=CHICAGO)
    opens = datetime(2026, 12, 24, 17, tzinfo=CHICAGO)
    session = TradingDay(christmas, opens, opens + timedelta(hours=23))
    row = ContractRow(
        contract=ES, conid=1, symbol="ES", exchange="CME", calendar="cme_equity",
        expiry=date(2027, 3, 19), last_trade_date=None, multiplier=None, resolved_at=at,
        trade_date=at.date(), schedule_known_at=at, schedule=(session,),
    )  # fmt: skip
    client.insert_arrow("contracts", contracts_table([row]))
    finalize(client, config, christmas, now=datetime(2026, 12, 30, tzinfo=UTC))
    report = row_of(client, "quality_report")
    assert report["verdict"] == "missing"
    assert "no ladder frame, and IBKR says open Thu 17:00 to Fri 16:00" in report["reasons"][0]
    check = row_of(client, "quality_checks", "code = 'Q01'")
    assert (check["verdict"], check["value"]) == ("warn", None)
