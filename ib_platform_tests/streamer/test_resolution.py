"""Following an assignment: contract keys become conids, tracker and subscriptions stay in step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config_sections import Roll
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.simulator.hours import HoursParameters, MarketHours
from ib_platform.simulator.shapes_schedule import trading_schedule
from ib_platform.states import Cause, ContractState
from ib_platform.streamer.assignment import Assignment
from ib_platform.streamer.contract_facts import ContractRow
from ib_platform.streamer.resolution import ContractDesk
from ib_platform.streamer.rolls import RollMemory
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.ibkr.tiny_gateway import TinyGateway, tiny_gateway

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
NEXT_DAY = datetime(2026, 11, 25, 12, tzinfo=UTC)
SNAPSHOT = "/iserver/marketdata/snapshot"
HOURS = "/contract/trading-schedule"
VOLUME = Roll(rule="volume")
FUTURES: dict[str, Any] = {
    "CL": [
        {"conid": 1, "expirationDate": 20261124, "ltd": 20261124},
        {"conid": 2, "expirationDate": 20261220, "ltd": 20261219},
    ],
    "ES": [{"conid": 3, "expirationDate": 20261218}],
}


def hours(at: datetime, **parameters: Any) -> dict[str, Any]:
    """Six trade dates as the simulator tells them."""
    days = MarketHours(HoursParameters(**parameters)).trading_days(at, 6)
    return trading_schedule(days)


def volumes(**traded: int) -> tuple[int, list[dict[str, Any]]]:
    """A snapshot: ``c1=5`` is conid 1 with 5 contracts traded."""
    return 200, [{"conid": int(c[1:]), "7762": str(n)} for c, n in traded.items()]


class Desk:
    """A desk with its surroundings and a real gateway that answers as scripted."""

    def __init__(self, gateway: TinyGateway, client: GatewayClient) -> None:
        self.gateway = gateway
        self.client = client
        self.tracker = Tracker(30)
        self.subscriptions = Subscriptions("DU1", chance=lambda: 0.5)
        self.rows: list[ContractRow] = []
        self.start()

    def start(self, roll: Roll | None = None, memory: RollMemory | None = None) -> None:
        """A new life: another desk that knows nothing."""
        self.desk = ContractDesk(
            self.tracker,
            self.subscriptions,
            self.rows.append,
            roll_of=lambda _: roll or Roll(),
            rolls=memory,
        )

    async def follow(
        self,
        *keys: str,
        generation: int = 1,
        now: float = 0,
        at: datetime = AT,
        calendar: CalendarName = CalendarName.ALWAYS_OPEN,
    ) -> None:
        calendars = dict.fromkeys(keys, calendar)
        await self.desk.follow(Assignment(generation, calendars), self.client, now, at)

    def asked(self, now: float = 0) -> list[str]:
        """Ladders that would be asked for now."""
        texts = [request.text for request in self.subscriptions.plan(now, {})]
        return [text for text in texts if text is not None and text.startswith("sbd")]

    def calls(self, path: str) -> int:
        return sum(called.startswith(path) for _, called, _ in self.gateway.requests)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with tiny_gateway(tmp_path) as gateway:
        gateway.answers["/trsrv/futures"] = (200, FUTURES)
        for conid, exchange in ((1, "NYMEX"), (2, "NYMEX"), (3, "CME")):
            info = {"exchange": exchange, "multiplier": "1000", "rules": {"increment": 0.01}}
            gateway.answers[f"/iserver/contract/{conid}/info-and-rules"] = (200, info)
        gateway.answers[HOURS] = (200, hours(AT))
        tls = client_ssl_context(gateway.certificate)
        # For this pace, minutes lie between two calls, and no penalty lasts until the next one.
        pace = Pace(clock=count(0, 100).__next__, wall=count(0.0, 1000.0).__next__)
        async with GatewayClient(gateway.port, tls, pace=pace) as client:
            yield Desk(gateway, client)


async def test_contracts_are_resolved_once_and_reported(desk: Desk) -> None:
    await desk.follow("CL.NYMEX.front", "ES.CME.front")
    assert desk.asked() == ["sbd+DU1+1", "sbd+DU1+3"]
    early = desk.rows[0]
    assert (early.multiplier, early.tick, early.schedule_known_at) == (
        1000.0,
        Decimal("0.01"),
        None,
    )
    for now in range(1, 5):
        await desk.follow("CL.NYMEX.front", "ES.CME.front", now=now)
    assert desk.calls("/trsrv/futures") == 1
    assert desk.calls(HOURS) == 2
    assert [row.conid for row in desk.rows] == [1, 3, 1, 3]
    row, other = desk.rows[2:]
    assert (row.contract, row.symbol, row.exchange) == ("CL.NYMEX.front", "CL", "NYMEX")
    assert (row.expiry, row.last_trade_date) == (date(2026, 11, 24), date(2026, 11, 24))
    assert (row.multiplier, row.calendar) == (1000.0, "always_open")
    assert (row.tick, row.trade_date) == (Decimal("0.01"), AT.date())
    assert row.schedule_known_at is not None
    assert [day.day for day in row.schedule][:2] == [date(2026, 11, 24), date(2026, 11, 25)]
    assert other.last_trade_date is None


async def test_hours_are_asked_for_anew_on_each_trade_date_and_details_are_not(desk: Desk) -> None:
    for at in (AT, AT, NEXT_DAY, NEXT_DAY, NEXT_DAY):
        await desk.follow("ES.CME.front", at=at)
    assert [row.trade_date for row in desk.rows] == [AT.date()] * 2 + [NEXT_DAY.date()]
    assert desk.calls(HOURS) == 2
    assert desk.calls("/iserver/contract/3/info-and-rules") == 1


async def test_what_is_not_told_stays_unknown_and_is_asked_again_later(desk: Desk) -> None:
    details = desk.gateway.answers["/iserver/contract/1/info-and-rules"]
    desk.gateway.answers["/iserver/contract/1/info-and-rules"] = (503, "")
    desk.gateway.answers[HOURS] = (200, {"error": "unknown"})
    for now in (0, 1, 2, 600):
        await desk.follow("CL.NYMEX.front", now=now)
    assert desk.asked() == ["sbd+DU1+1"]
    assert {(row.multiplier, row.tick, row.schedule_known_at) for row in desk.rows} == {
        (None, None, None)
    }
    assert desk.calls(HOURS) == 1
    desk.gateway.answers["/iserver/contract/1/info-and-rules"] = details
    desk.gateway.answers[HOURS] = (200, hours(AT))
    await desk.follow("CL.NYMEX.front", now=601)
    assert desk.rows[-1].multiplier == 1000.0
    assert len(desk.rows[-1].schedule) == 6
    await desk.follow("CL.NYMEX.front", now=9999)
    assert desk.calls(HOURS) == 2


async def test_another_exchange_is_refused_and_stops_nobody_else(desk: Desk) -> None:
    await desk.follow("ES.NYMEX.front", "CL.NYMEX.front")
    problem = desk.tracker.contracts["ES.NYMEX.front"].problem
    assert problem is not None
    assert "on exchange CME, the configuration says NYMEX" in problem
    assert desk.asked() == ["sbd+DU1+1"]
    assert [row.contract for row in desk.rows] == ["CL.NYMEX.front"]
    assert desk.tracker.health(0, AT)["ES.NYMEX.front"].reason == problem


async def test_a_holiday_is_a_warning_and_the_reason_of_a_contract_that_is_not_live(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    globex = CalendarName.CME_GLOBEX
    desk.gateway.answers[HOURS] = (200, hours(AT, calendar=globex, holidays=(NEXT_DAY.date(),)))
    for now in (0, 1, 2):
        await desk.follow("ES.CME.front", now=now, calendar=globex)
    said = [r.message for r in caplog.records if "IBKR says" in r.message]
    assert said == [
        "contract ES.CME.front: IBKR says closed (a holiday?) on 2026-11-25, the calendar "
        "cme_globex says open Tue 17:00 to Wed 16:00 (Chicago); silence and gaps are judged by "
        "the calendar"
    ]
    assert desk.tracker.health(0, AT)["ES.CME.front"].reason is None
    on_the_day = desk.tracker.health(0, NEXT_DAY)["ES.CME.front"]
    assert on_the_day.state is ContractState.WARMING_UP
    assert on_the_day.reason == said[0].removeprefix("contract ES.CME.front: ").partition(";")[0]
    contract = desk.tracker.contracts["ES.CME.front"]
    contract.last_frame, contract.warm = 0, True
    live = desk.tracker.health(0, NEXT_DAY)["ES.CME.front"]
    assert (live.state, live.reason) == (ContractState.LIVE, None)


async def test_who_meant_the_delivery_month_is_told_once(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    status, info = desk.gateway.answers["/iserver/contract/2/info-and-rules"]
    info |= {"contract_month": "202701", "local_symbol": "CLF7"}
    desk.gateway.answers["/iserver/contract/2/info-and-rules"] = (status, info)
    await desk.follow("CL.NYMEX.2026-12")
    await desk.follow("CL.NYMEX.2026-12", at=NEXT_DAY)
    notes = [r.message for r in caplog.records if "means the month of expiration" in r.message]
    assert len(notes) == 1
    assert "the 2026-12 delivery expires 2026-11-24" in notes[0]
    assert desk.asked() == ["sbd+DU1+2"]


async def test_one_wrong_contract_does_not_stop_the_others(desk: Desk) -> None:
    keys = ("XX.CME.front", "CL.NYMEX.2031-01", "nonsense", "ES.CME.front")
    await desk.follow(*keys)
    assert desk.asked() == ["sbd+DU1+3"]
    states = desk.tracker.states(0, AT)
    assert [states[key] for key in keys[:3]] == [ContractState.NO_DATA] * 3
    assert "available" in str(desk.tracker.contracts["CL.NYMEX.2031-01"].problem)
    desk.gateway.answers["/trsrv/futures"] = (
        200,
        FUTURES | {"XX": [{"conid": 9, "expirationDate": 20261218}]},
    )
    await desk.follow(*keys, now=59)
    assert desk.calls("/trsrv/futures") == 1
    await desk.follow(*keys, now=60)
    assert desk.asked() == ["sbd+DU1+9"]
    assert desk.tracker.contracts["XX.CME.front"].problem is None


async def test_two_keys_of_one_contract_are_refused_by_name(desk: Desk) -> None:
    await desk.follow("CL.NYMEX.front", "CL.NYMEX.2026-11")
    assert desk.asked() == ["sbd+DU1+1"]
    problem = desk.tracker.contracts["CL.NYMEX.2026-11"].problem
    assert problem is not None
    assert "same contract as CL.NYMEX.front" in problem


async def test_a_new_trade_date_rolls_the_front_month(desk: Desk) -> None:
    await desk.follow("CL.NYMEX.front")
    assert desk.asked() == ["sbd+DU1+1"]
    await desk.follow("CL.NYMEX.front", at=datetime(2026, 11, 25, 12, tzinfo=UTC))
    assert desk.asked() == ["sbd+DU1+2"]
    assert [row.conid for row in desk.rows] == [1, 2]


async def test_a_roll_is_an_unsubscription_and_a_request_that_says_why(desk: Desk) -> None:
    await desk.follow("CL.NYMEX.front")
    desk.asked()
    await desk.follow("CL.NYMEX.front", at=NEXT_DAY)
    ladders = [r for r in desk.subscriptions.plan(1, {}) if r.contract is not None]
    assert [(r.kind.value, r.conid, r.cause) for r in ladders] == [
        ("unsubscribed", 1, Cause.NOT_ASSIGNED),
        ("subscribe_requested", 2, Cause.RESUBSCRIBED),
    ]


async def test_days_before_the_last_trade_and_the_month_after_it(desk: Desk) -> None:
    desk.start(Roll(days_before_last_trade=1))
    await desk.follow("CL.NYMEX.front", "ES.CME.front")
    assert desk.asked() == ["sbd+DU1+2", "sbd+DU1+3"]
    await desk.follow("CL.NYMEX.front", "CL.NYMEX.next", generation=2)
    problem = desk.tracker.contracts["CL.NYMEX.next"].problem
    assert "as the roll rule asks; available: 2026-11" in str(problem)


async def test_volumes_decide_and_the_others_stream_meanwhile(desk: Desk) -> None:
    desk.start(VOLUME)
    desk.gateway.answers[SNAPSHOT] = [
        (200, [{"conid": 1}, {"conid": 2}]),
        volumes(c1=10),
        volumes(c2=11),
    ]
    keys = ("CL.NYMEX.front", "ES.CME.front")
    await desk.follow(*keys)
    assert desk.asked() == ["sbd+DU1+3"]
    for now in (1, 1.5, 2, 3):
        await desk.follow(*keys, now=now)
    assert desk.calls(SNAPSHOT) == 3
    assert desk.asked(3) == ["sbd+DU1+2"]


@pytest.mark.parametrize(
    ("answer", "ladder"),
    [
        (volumes(c1=10, c2=10), "sbd+DU1+1"),
        (volumes(c2=10), "sbd+DU1+1"),
        ((503, ""), "sbd+DU1+1"),
        (volumes(c1=10, c2=11), "sbd+DU1+2"),
    ],
)
async def test_what_is_unknown_decides_nothing(
    desk: Desk, answer: tuple[int, Any], ladder: str
) -> None:
    desk.start(VOLUME)
    desk.gateway.answers[SNAPSHOT] = answer
    for now in range(12):
        await desk.follow("CL.NYMEX.front", now=now)
    assert desk.asked() == [ladder]


async def test_a_roll_is_never_taken_back_nor_made_inside_a_trade_date(
    desk: Desk, tmp_path: Path
) -> None:
    file = tmp_path / "spool" / "alpha.rolls.json"
    desk.gateway.answers["/trsrv/futures"] = (
        200,
        {"CL": [{"conid": n, "expirationDate": 20261201 + n} for n in (1, 2)]},
    )
    day = 1

    async def conid_after(traded: tuple[int, Any], at: datetime, *, new_life: bool) -> int | None:
        nonlocal day
        if new_life:
            desk.start(VOLUME, RollMemory(file))
        desk.gateway.answers[SNAPSHOT] = traded
        for now in range(day * 100, day * 100 + 3):
            await desk.follow("CL.NYMEX.front", now=now, at=at)
        day += 1
        return desk.tracker.contracts["CL.NYMEX.front"].conid

    more, less = volumes(c1=1, c2=2), volumes(c1=2, c2=1)
    assert await conid_after(less, AT, new_life=True) == 1
    assert await conid_after(more, AT, new_life=True) == 1, "decided for this trade date"
    assert await conid_after(more, NEXT_DAY, new_life=False) == 2
    later = datetime(2026, 11, 26, 12, tzinfo=UTC)
    assert await conid_after(less, later, new_life=False) == 2
    assert await conid_after(less, later, new_life=True) == 2
    file.write_text("{")
    assert await conid_after(less, later, new_life=True) == 1, "nothing is remembered"


@pytest.mark.parametrize("path", ["/iserver/contract/1/info-and-rules", HOURS, SNAPSHOT])
async def test_no_question_is_asked_for_a_minute_after_a_429(desk: Desk, path: str) -> None:
    desk.start(VOLUME)
    good = desk.gateway.answers.get(path, volumes(c1=1, c2=0))
    desk.gateway.answers[SNAPSHOT] = volumes(c1=1, c2=0)
    desk.gateway.answers[path] = (429, "")

    async def until_it_is_refused() -> None:
        for now in range(9):
            await desk.follow("CL.NYMEX.front", now=now)

    with pytest.raises(GatewayCallError):
        await until_it_is_refused()
    asked = len(desk.gateway.requests)
    await desk.follow("CL.NYMEX.front", now=59)
    assert len(desk.gateway.requests) == asked
    desk.gateway.answers[path] = good
    for now in range(70, 76):
        await desk.follow("CL.NYMEX.front", now=now)
    assert desk.asked() == ["sbd+DU1+1"]
    assert desk.rows[-1].schedule_known_at is not None


async def test_a_new_generation_takes_contracts_away(desk: Desk) -> None:
    await desk.follow("CL.NYMEX.front", "ES.CME.front")
    desk.asked()
    await desk.follow("ES.CME.front", generation=2)
    assert desk.tracker.states(0, AT)["CL.NYMEX.front"] is ContractState.NOT_ASSIGNED
    assert desk.asked() == ["sbd+DU1+3"]  # asked for again: ubd ended both
    await desk.desk.follow(None, desk.client, 0, AT)
    assert desk.asked() == []
    assert set(desk.tracker.states(0, AT).values()) == {ContractState.NOT_ASSIGNED}


@pytest.mark.parametrize(("status", "pause"), [(503, 2), (429, 60)])
async def test_a_gateway_that_refuses_is_left_alone_for_a_while(
    desk: Desk, status: int, pause: float
) -> None:
    desk.gateway.answers["/trsrv/futures"] = (status, "")
    with pytest.raises(GatewayCallError):
        await desk.follow("CL.NYMEX.front", now=10)
    await desk.follow("CL.NYMEX.front", now=10 + pause - 0.1)
    assert desk.calls("/trsrv/futures") == 1
    desk.gateway.answers["/trsrv/futures"] = (200, FUTURES)
    await desk.follow("CL.NYMEX.front", now=10 + pause)
    assert desk.asked() == ["sbd+DU1+1"]
