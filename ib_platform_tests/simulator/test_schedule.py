"""The two schedule endpoints: instants around now, and a week of clock times."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest

from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.hours import HoursParameters
from ib_platform_tests.simulator.client import QUICK, Client, SteppedClock, simulated

HOURS = HoursParameters(
    calendar=CalendarName.CME_GLOBEX,
    early_closes={date(2026, 11, 27): time(12, 15), date(2026, 11, 30): time(8)},
    holidays=(date(2026, 11, 26),),
)
NOW = datetime(2026, 11, 24, 10, tzinfo=CHICAGO)
WEEKLY = "/trsrv/secdef/schedule?assetClass=FUT&symbol=ES"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[Client, GatewayFace]]:
    """In the week of Thanksgiving."""
    clock = SteppedClock(wall=NOW.timestamp())
    behaviour = replace(QUICK, hours=HOURS)
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as pair:
        yield pair


async def schedule(gateway: tuple[Client, GatewayFace], symbol: str = "ES") -> dict[str, Any]:
    client, face = gateway
    conid = face.world.catalogue.months_of(symbol)[0].conid
    path = f"/contract/trading-schedule?conid={conid}&exchange=CME"
    body = await client.json("GET", path)
    assert body["exchange_time_zone"] == "US/Central"
    schedules = body["schedules"]
    assert isinstance(schedules, dict)
    return schedules


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=CHICAGO).timestamp())  # type: ignore[misc, arg-type]


async def test_six_trading_days_without_holidays(gateway: tuple[Client, GatewayFace]) -> None:
    days = await schedule(gateway)
    assert list(days) == ["20261124", "20261125", "20261127", "20261130", "20261201", "20261202"]


async def test_instants_are_epoch_seconds(gateway: tuple[Client, GatewayFace]) -> None:
    days = await schedule(gateway)
    opening, closing = at(2026, 11, 23, 17), at(2026, 11, 24, 16)
    extended = {"opening": opening, "closing": closing, "cancel_daily_orders": True}
    liquid = {"opening": at(2026, 11, 24, 8, 30), "closing": closing}
    assert days["20261124"] == {"liquid_hours": [liquid], "extended_hours": [extended]}
    assert days["20261130"]["extended_hours"][0]["opening"] == at(2026, 11, 29, 17), "Sunday"


async def test_early_closes(gateway: tuple[Client, GatewayFace]) -> None:
    days = await schedule(gateway)
    assert days["20261127"]["liquid_hours"][0]["closing"] == at(2026, 11, 27, 12, 15)
    assert "liquid_hours" not in days["20261130"], "closed before the liquid hours begin"
    assert days["20261130"]["extended_hours"][0]["closing"] == at(2026, 11, 30, 8)


async def test_it_needs_no_brokerage_session(gateway: tuple[Client, GatewayFace]) -> None:
    client, _ = gateway
    assert (await client.json("GET", "/iserver/auth/status"))["authenticated"] is False
    assert await schedule(gateway)


async def test_a_holiday_by_fault(gateway: tuple[Client, GatewayFace]) -> None:
    _, face = gateway
    number = face.world.faults.begin(FaultKind.HOLIDAY, face.world.clock.now(), symbol="ES").number
    assert next(iter(await schedule(gateway))) == "20261125"
    assert next(iter(await schedule(gateway, "CL"))) == "20261124", "of another symbol"
    face.world.faults.stop(number)
    assert next(iter(await schedule(gateway))) == "20261124"


async def test_it_tells_when_the_market_is_open(gateway: tuple[Client, GatewayFace]) -> None:
    _, face = gateway
    for day in (await schedule(gateway)).values():
        for span in day["extended_hours"]:
            opening, closing = (
                datetime.fromtimestamp(span[key], UTC) for key in ("opening", "closing")
            )
            assert face.world.hours.is_open(opening)
            assert face.world.hours.spell(opening).end == closing


@pytest.mark.parametrize(
    ("query", "status"), [("", 400), ("?conid=", 400), ("?conid=ES", 400), ("?conid=17", 404)]
)
async def test_schedules_of_nothing(
    gateway: tuple[Client, GatewayFace], query: str, status: int
) -> None:
    assert (await gateway[0].call("GET", "/contract/trading-schedule" + query))[0] == status


async def test_the_usual_week(gateway: tuple[Client, GatewayFace]) -> None:
    (body,) = await gateway[0].json("GET", WEEKLY)
    assert body["timezone"] == "America/Chicago"
    days = {entry["tradingScheduleDate"]: entry for entry in body["schedules"]}
    usual = ["20000103", "20000104", "20000105", "20000106", "20000107"]
    assert list(days)[:5] == usual, "Monday to Friday of the first week of 2000"
    for name in usual:
        assert days[name] == {
            "clearingCycleEndTime": "1600",
            "tradingScheduleDate": name,
            "sessions": [{"openingTime": "0830", "closingTime": "1600", "prop": "LIQUID"}],
            "tradingtimes": [
                {"openingTime": "1700", "closingTime": "1600", "cancelDayOrders": "Y"}
            ],
        }


async def test_unusual_days_by_their_date(gateway: tuple[Client, GatewayFace]) -> None:
    (body,) = await gateway[0].json("GET", WEEKLY)
    days = {entry["tradingScheduleDate"]: entry for entry in body["schedules"][5:]}
    assert set(days) == {"20261126", "20261127", "20261130", "20261225", "20270101"}
    assert days["20261126"]["tradingtimes"] == days["20261126"]["sessions"] == []
    assert days["20261127"]["tradingtimes"][0]["closingTime"] == "1215"
    assert days["20261130"]["sessions"] == []


@pytest.mark.parametrize("query", ["assetClass=STK&symbol=ES", "assetClass=FUT&symbol=NOPE"])
async def test_weeks_of_nothing(gateway: tuple[Client, GatewayFace], query: str) -> None:
    assert await gateway[0].json("GET", f"/trsrv/secdef/schedule?{query}") == []


@pytest.mark.parametrize("query", ["", "?assetClass=FUT", "?symbol=ES"])
async def test_both_are_required(gateway: tuple[Client, GatewayFace], query: str) -> None:
    status, body = await gateway[0].call("GET", "/trsrv/secdef/schedule" + query)
    assert status == 400
    assert b"required" in body
