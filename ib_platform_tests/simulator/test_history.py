"""History: bars as a function of time, their grid, and the endpoint's limits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.marketdata.sessions import CalendarName
from ib_platform.simulator.catalogue import Catalogue, SimulatedContract
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.history import (
    BadRangeError,
    Bar,
    History,
    HistoryParameters,
    bar_seconds,
    period_seconds,
    start_time,
)
from ib_platform.simulator.hours import HoursParameters, MarketHours
from ib_platform_tests.simulator.client import QUICK, Client, SteppedClock, simulated

MONDAY = datetime(2026, 11, 23, 15, 30, tzinfo=UTC)
CATALOGUE = Catalogue.on(MONDAY.date())
CL, ES = (CATALOGUE.months_of(symbol)[0] for symbol in ("CL", "ES"))
GLOBEX = HoursParameters(calendar=CalendarName.CME_GLOBEX)
INTRADAY = ["1min", "2min", "3min", "5min", "10min", "15min", "30min", "1h", "2h", "4h"]


def history(hours: HoursParameters | None = None, seed: int = 7, **parameters: Any) -> History:
    return History(MarketHours(hours or GLOBEX), seed, HistoryParameters(**parameters))


def bars(until: datetime = MONDAY, period: str = "1d", bar: str = "1min", **more: Any) -> list[Bar]:
    return history().bars(CL, until=until, period=period, bar=bar, **more)


def test_the_past_does_not_change() -> None:
    first = {bar.begin: bar for bar in bars(period="6h")[:-1]}
    later = {bar.begin: bar for bar in bars(MONDAY + timedelta(minutes=90), period="6h")}
    common = first.keys() & later.keys()
    assert len(common) > 200
    assert all(first[begin] == later[begin] for begin in common)


def test_seed_and_contract_make_the_path() -> None:
    assert bars() == bars()
    assert bars() != history(seed=8).bars(CL, until=MONDAY, period="1d", bar="1min")
    other = CATALOGUE.months_of("CL")[1]
    assert bars() != history().bars(other, until=MONDAY, period="1d", bar="1min")


@given(
    st.sampled_from(INTRADAY),
    st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)),
)
@settings(max_examples=60, deadline=None)
def test_bars_are_sound_wherever_one_looks(length: str, until: datetime) -> None:
    found = bars(until, period="2d", bar=length)
    seconds, hours = bar_seconds(length), MarketHours(GLOBEX)
    tick = float(CL.product.tick)
    assert found
    for bar in found:
        assert bar.low <= min(bar.open, bar.close) <= max(bar.open, bar.close) <= bar.high
        assert bar.low > 0
        assert bar.volume > 0
        assert abs(bar.high / tick - round(bar.high / tick)) < 1e-6, "prices are on the tick"
        opened = hours.spell(datetime.fromtimestamp(bar.begin, UTC)).begin.timestamp()
        assert bar.begin % seconds == 0 or bar.begin == opened
        assert bar.begin < until.timestamp()
        assert hours.is_open(datetime.fromtimestamp(bar.begin, UTC))
    for before, after in pairwise(found):
        assert before.begin < after.begin
        if after.begin == before.begin + seconds:
            assert after.open == before.close


@pytest.mark.parametrize("length", ["5min", "15min", "1h"])
def test_lengths_agree_with_each_other(length: str) -> None:
    until = MONDAY.replace(minute=0)
    minutes = {bar.begin: bar for bar in bars(until, period="8h", bar="1min")}
    long = bars(until, period="8h", bar=length)
    assert long
    for bar in long:
        assert bar.open == minutes[bar.begin].open
        assert bar.close == minutes[bar.begin + bar_seconds(length) - 60].close


def test_the_running_bar_ends_now() -> None:
    until = MONDAY.replace(minute=2, second=20)
    running, whole = bars(until, bar="5min")[-1], bars(MONDAY, bar="5min")
    same = next(bar for bar in whole if bar.begin == running.begin)
    assert running.open == same.open
    assert running.volume < same.volume


def test_a_closed_market_shows_its_last_session() -> None:
    saturday = datetime(2026, 11, 21, 12, tzinfo=UTC)
    close = datetime(2026, 11, 20, 22, tzinfo=UTC).timestamp()
    found = bars(saturday, period="1h", bar="1min")
    assert len(found) == 60
    assert found[-1].begin == close - 60
    assert bars(saturday, period="1h") == bars(saturday + timedelta(hours=20), period="1h")


def test_no_bars_in_the_break_nor_at_weekends() -> None:
    found = bars(MONDAY, period="4d", bar="10min")
    gaps = [after.begin - before.begin for before, after in pairwise(found)]
    assert set(gaps) == {600, 4_200, 600 + 49 * 3_600}, "one break of an hour, one weekend"


def test_liquid_hours_only() -> None:
    within = bars(MONDAY, period="3d", bar="1h", outside_rth=False)
    hours = {datetime.fromtimestamp(bar.begin, UTC).hour for bar in within}
    assert hours == set(range(15, 22)), "8:30 to 16:00 Chicago, on the grid of hours"
    assert len(bars(MONDAY, period="3d", bar="1h")) > 2 * len(within)


def test_days_are_trading_days() -> None:
    found = bars(MONDAY, period="11d", bar="1d")
    begins = [datetime.fromtimestamp(bar.begin, UTC) for bar in found]
    assert len(found) == 7, "from Friday the 13th on"
    assert {begin.hour for begin in begins} == {23}, "17:00 Chicago on the evening before"
    assert begins[-1].date() == date(2026, 11, 22)


def test_a_holiday_has_no_day() -> None:
    hours = HoursParameters(calendar=CalendarName.CME_GLOBEX, holidays=(date(2026, 11, 18),))
    with_it = history(hours).bars(CL, until=MONDAY, period="11d", bar="1d")
    assert len(with_it) == len(bars(MONDAY, period="11d", bar="1d")) - 1


def test_days_weeks_and_months_agree() -> None:
    days, weeks, months = (bars(MONDAY, period="1y", bar=bar) for bar in ("1d", "1w", "1m"))
    assert len(days) > len(weeks) > len(months) >= 12
    assert days[-1].close == weeks[-1].close == months[-1].close
    closes, opens = {bar.close for bar in days}, {bar.begin: bar.open for bar in days}
    for bar in weeks[1:] + months[1:]:
        assert bar.close in closes
        assert opens[bar.begin] == bar.open


def test_at_most_the_newest_thousand_points() -> None:
    found = bars(MONDAY, period="1w", bar="1min")
    assert len(found) == 1_000
    assert found[-1].begin == MONDAY.timestamp() - 60
    few = history(most_points=5).bars(CL, until=MONDAY, period="1w", bar="1min")
    assert few == found[-5:]


def test_history_begins_with_the_listing() -> None:
    short = history(listed_days=100)
    listed = datetime.combine(CL.expiry, time(), UTC) - timedelta(days=100)
    found = short.bars(CL, until=MONDAY, period="15y", bar="1d")
    assert datetime.fromtimestamp(found[0].begin, UTC) >= listed - timedelta(days=2)
    assert short.bars(CL, until=listed, period="1d", bar="1h") == []
    assert short.bars(CL, until=datetime(1, 1, 2, tzinfo=UTC), period="15y", bar="1m") == []


@pytest.mark.parametrize("contract", [CL, ES])
def test_history_leads_to_where_the_live_market_begins(contract: SimulatedContract) -> None:
    anchored = History(MarketHours(GLOBEX), 7, HistoryParameters(), MONDAY.timestamp())
    last = anchored.bars(contract, until=MONDAY, period="1h", bar="1min")[-1]
    assert last.close == float(contract.product.start_price)


def test_prices_stay_near_the_live_market() -> None:
    for contract in (CL, ES):
        found = history().bars(contract, until=MONDAY, period="2y", bar="1d")
        start = float(contract.product.start_price)
        assert all(0.8 * start < bar.low <= bar.high < 1.2 * start for bar in found)
        assert len({bar.close for bar in found}) > 100, "and it moves"


@pytest.mark.parametrize(
    "text", ["", "d", "1", "0d", "31min", "9h", "1001d", "16y", "1x", "-1d", "1 d", "١d", "9" * 99]
)
def test_unknown_periods(text: str) -> None:
    with pytest.raises(BadRangeError, match="period"):
        period_seconds(text)


@pytest.mark.parametrize("text", ["", "7min", "1D", "2d", "5", "1s", "min", "1minn"])
def test_unknown_bars(text: str) -> None:
    with pytest.raises(BadRangeError, match="bar"):
        bar_seconds(text)


@pytest.mark.parametrize("text", ["x", "20261123", "20261323-00:00:00", "2026-11-23 00:00:00"])
def test_unknown_starts(text: str) -> None:
    with pytest.raises(BadRangeError, match="startTime"):
        start_time(text)


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[Client, GatewayFace]]:
    clock = SteppedClock(wall=MONDAY.timestamp())
    quick = replace(QUICK, history=HistoryParameters(answer_delay=(0.0, 0.0)))
    async with simulated(tmp_path, behaviour=quick, clock=clock) as (client, face):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        clock.advance(1.0)
        yield client, face


def path_of(face: GatewayFace, **query: str) -> str:
    conid = str(face.world.catalogue.months_of("ES")[0].conid)
    asked = {"conid": conid, "period": "1h", "bar": "5min", "outsideRth": "true"} | query
    pairs = "&".join(f"{key}={value}" for key, value in asked.items())
    return "/iserver/marketdata/history?" + pairs


async def test_the_answer(gateway: tuple[Client, GatewayFace]) -> None:
    client, face = gateway
    body = await client.json("GET", path_of(face))
    assert body["symbol"] == "ES"
    assert body["priceFactor"] == 100
    assert body["barLength"] == 300
    assert body["timePeriod"] == "1h"
    assert body["mdAvailability"] == "S"
    assert body["outsideRth"] is True
    assert body["mktDataDelay"] == 0
    assert type(body["travelTime"]) is int
    data = body["data"]
    assert body["points"] == len(data) - 1, "the last index"
    assert all(set(bar) == {"o", "c", "h", "l", "v", "t"} for bar in data)
    assert data[-1]["t"] == (face.world.wall_ms() // 300_000) * 300_000, "milliseconds"
    assert (
        body["startTime"] == f"{datetime.fromtimestamp(data[0]['t'] / 1000, UTC):%Y%m%d-%H:%M:%S}"
    )
    high, volume, minutes = body["high"].split("/")
    assert int(high) == round(max(bar["h"] for bar in data) * 100)
    assert int(volume) > 0
    assert 0 <= int(minutes) <= 60
    assert int(body["low"].split("/")[0]) == round(min(bar["l"] for bar in data) * 100)


async def test_a_start_time_ends_the_period(gateway: tuple[Client, GatewayFace]) -> None:
    client, face = gateway
    body = await client.json("GET", path_of(face, startTime="20261120-12:00:00"))
    end = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp() * 1000
    assert body["data"][-1]["t"] == end - 300_000
    future = await client.json("GET", path_of(face, startTime="20301120-12:00:00"))
    assert future["data"][-1]["t"] <= face.world.wall_ms(), "nothing of the future"


async def test_without_a_period_it_is_a_week(gateway: tuple[Client, GatewayFace]) -> None:
    client, face = gateway
    body = await client.json("GET", path_of(face, period="", bar="1h"))
    assert body["timePeriod"] == "1w"
    assert len(body["data"]) == 7 * 24


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        ({"bar": "7min"}, 500, "bar"),
        ({"bar": ""}, 400, "bar"),
        ({"period": "99min"}, 500, "period"),
        ({"startTime": "yesterday"}, 500, "startTime"),
        ({"startTime": "00010101-00:00:00"}, 500, "Chart data unavailable"),
        ({"conid": ""}, 400, "conid"),
        ({"conid": "ES"}, 400, "conid"),
        ({"conid": "1"}, 500, "conid"),
        ({"conid": "9" * 300}, 400, "conid"),
    ],
)
async def test_bad_questions(
    gateway: tuple[Client, GatewayFace], query: dict[str, str], status: int, text: str
) -> None:
    client, face = gateway
    answer, body = await client.call("GET", path_of(face, **query))
    assert answer == status
    assert text in json.loads(body)["error"]


async def test_the_sixth_at_a_time_is_too_many(tmp_path: Path) -> None:
    slow = replace(QUICK, history=HistoryParameters(answer_delay=(1.0, 1.0)))

    class Gate(SteppedClock):
        """Histories wait until all are there."""

        waiting = 0
        opened = asyncio.Event()

        async def sleep(self, seconds: float) -> None:
            if seconds != 1.0:
                return await super().sleep(seconds)
            self.waiting += 1
            await self.opened.wait()
            return None

    clock = Gate()
    async with simulated(tmp_path, behaviour=slow, clock=clock) as (client, face):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        clock.advance(1.0)
        five = [asyncio.create_task(client.call("GET", path_of(face))) for _ in range(5)]
        async with asyncio.timeout(30):
            while clock.waiting < 5:
                await client.json("GET", "/tickle")
        sixth = await client.call("GET", path_of(face))
        assert sixth == (429, b'{"error":"Too many requests","statusCode":429}')
        clock.opened.set()
        assert [status for status, _ in await asyncio.gather(*five)] == [200] * 5
        assert (await client.call("GET", path_of(face)))[0] == 200, "no penalty for it"
