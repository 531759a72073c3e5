"""Snapshots: pre-flight, fields that fill in, entitlement, and what ends them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.prices import price_nanos
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.hours import HoursParameters
from ib_platform.simulator.quote_fields import DESCRIPTIVE, FIELDS
from ib_platform.simulator.snapshots import SnapshotDesk, SnapshotParameters
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    Client,
    SteppedClock,
    receive,
    simulated,
)

DELAY = (1.0, 2.0)
VALUES = ("31", "84", "85", "86", "88", "7059", "87", "7762", "70", "71", "7697")
HEAD = {"conid", "conidEx", "server_id", "_updated", "6119", "6509"}
FILLING = replace(QUICK, snapshots=SnapshotParameters(fill_delay=DELAY))
MONDAY = datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()
SATURDAY = datetime(2026, 11, 21, 15, tzinfo=UTC).timestamp()


class Desk:
    """A client, the gateway, and the clock of both."""

    def __init__(self, client: Client, face: GatewayFace, clock: SteppedClock) -> None:
        self.client, self.face, self.clock = client, face, clock
        months = face.world.catalogue.months_of("ES")
        self.conids = [month.conid for month in months]

    @property
    def conid(self) -> int:
        return self.conids[0]

    async def snapshot(
        self, fields: tuple[str, ...] = VALUES, conids: str | None = None
    ) -> list[dict[str, Any]]:
        words = conids or str(self.conid)
        query = f"?conids={words}&fields={','.join(fields)}"
        entries = await self.client.json("GET", "/iserver/marketdata/snapshot" + query)
        assert isinstance(entries, list)
        return entries

    async def filled(self, fields: tuple[str, ...] = VALUES) -> dict[str, Any]:
        """The entry when all fields have come."""
        await self.snapshot(fields)
        self.clock.advance(DELAY[1])
        (entry,) = await self.snapshot(fields)
        return entry

    def begin(self, kind: FaultKind, **options: Any) -> int:
        return self.face.world.faults.begin(kind, self.clock.now(), **options).number


async def desk_of(
    folder: Path, behaviour: Behaviour = FILLING, wall: float = MONDAY
) -> AsyncIterator[Desk]:
    clock = SteppedClock(wall=wall)
    async with simulated(folder, behaviour=behaviour, clock=clock) as (client, face):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        clock.advance(1.0)
        await client.json("GET", "/iserver/accounts")
        yield Desk(client, face, clock)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async for made in desk_of(tmp_path):
        yield made


async def test_accounts_come_first(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        await client.authenticate()
        path = "/iserver/marketdata/snapshot?conids=700020001&fields=31"
        status, body = await client.call("GET", path)
        assert (status, body) == (500, b'{"error":"Please query /accounts first","statusCode":500}')
        await client.json("GET", "/iserver/accounts")
        assert (await client.call("GET", path))[0] == 200


async def test_the_first_call_is_a_preflight(desk: Desk) -> None:
    path = f"/iserver/marketdata/snapshot?conids={desk.conid}&fields=31,84"
    status, body = await desk.client.call("GET", path)
    assert status == 200
    assert body == f'[{{"conid":{desk.conid},"conidEx":"{desk.conid}"}}]'.encode()


async def test_fields_arrive_over_several_calls(desk: Desk) -> None:
    await desk.snapshot()
    (early,) = await desk.snapshot()
    assert set(early) == HEAD, "the second call knows the entitlement only"
    counts = []
    for _ in range(20):
        desk.clock.advance(DELAY[1] / 20)
        (entry,) = await desk.snapshot()
        counts.append(len(entry) - len(HEAD))
    assert counts == sorted(counts)
    assert counts[-1] == len(VALUES)
    assert any(0 < count < len(VALUES) for count in counts), "not all at once"
    assert entry["6509"] == "RB"
    assert entry["_updated"] == int(desk.clock.wall() * 1000)
    assert type(entry["server_id"]) is str


async def test_what_describes_the_contract_comes_with_the_second_call(desk: Desk) -> None:
    fields = ("55", "6004", "7219", "7220", "31")
    await desk.snapshot(fields)
    (entry,) = await desk.snapshot(fields)
    assert set(entry) - HEAD == {"55", "6004", "7219", "7220"}
    assert entry["55"] == "ES"
    assert entry["6004"] == "CME"


async def test_values_are_texts_of_the_market(desk: Desk) -> None:
    entry = await desk.filled()
    assert all(type(entry[field]) is str for field in VALUES)
    market = desk.face.world.market(desk.conid)
    assert market is not None
    assert price_nanos(entry["84"]) < price_nanos(entry["86"])
    assert "," in entry["31"]
    assert entry["7762"] == str(market.volume)
    assert entry["88"] == str(market.size_at(market.best_bid))


async def test_a_field_asked_for_later_begins_later(desk: Desk) -> None:
    await desk.filled(("31",))
    (entry,) = await desk.snapshot(("31", "84"))
    assert "31" in entry
    assert "84" not in entry
    desk.clock.advance(DELAY[1])
    (entry,) = await desk.snapshot(("31", "84"))
    assert "84" in entry


async def test_several_contracts_each_with_its_preflight(desk: Desk) -> None:
    await desk.filled(("31",))
    words = ",".join(map(str, desk.conids))
    entries = await desk.snapshot(("31",), words)
    assert [entry["conid"] for entry in entries] == desk.conids
    assert ["31" in entry for entry in entries] == [True, False, False, False]


async def test_the_form_with_an_exchange_is_given_back(desk: Desk) -> None:
    word = f"{desk.conid}@CME"
    assert await desk.snapshot(("31",), word) == [{"conid": desk.conid, "conidEx": word}]


async def test_an_unknown_contract_stays_at_its_preflight(desk: Desk) -> None:
    for _ in range(3):
        assert await desk.snapshot(("31",), "17") == [{"conid": 17, "conidEx": "17"}]
        desk.clock.advance(10)
    assert desk.face.login is not None
    assert len(desk.face.login.snapshots) == 0, "and takes no memory"


@pytest.mark.parametrize("availability", ["N", "O", "NpB"])
async def test_no_data_tells_why_and_sends_none(desk: Desk, availability: str) -> None:
    number = desk.begin(FaultKind.NO_DATA, parameters={"availability": availability})
    entry = await desk.filled((*VALUES, "55"))
    assert set(entry) - HEAD == {"55"}
    assert entry["6509"] == availability
    desk.face.world.faults.stop(number)
    (entry,) = await desk.snapshot()
    assert entry["6509"] == "RB"
    assert "31" in entry


async def test_delayed_data_come(desk: Desk) -> None:
    desk.begin(FaultKind.NO_DATA, symbol="ES", parameters={"availability": "DB"})
    entry = await desk.filled()
    assert entry["6509"] == "DB"
    assert "31" in entry


async def test_availability_belongs_to_the_user(desk: Desk) -> None:
    login = desk.face.login
    assert login is not None
    login.user = login.user.model_copy(update={"availability": "O"})
    entry = await desk.filled()
    assert entry["6509"] == "O"
    assert set(entry) == HEAD


async def test_a_halt_freezes_the_market_and_marks_the_price(desk: Desk) -> None:
    await desk.filled()
    number = desk.begin(FaultKind.TRADING_HALTED, symbol="ES")
    (halted,) = await desk.snapshot()
    assert halted["31"][0] == "H"
    desk.clock.advance(300)
    (later,) = await desk.snapshot()
    assert {field: later[field] for field in VALUES} == {f: halted[f] for f in VALUES}
    desk.face.world.faults.stop(number)
    (resumed,) = await desk.snapshot()
    assert resumed["31"][0] != "H"
    assert resumed["7762"] != halted["7762"], "trading goes on"


async def test_a_halt_of_another_contract_changes_nothing(desk: Desk) -> None:
    desk.begin(FaultKind.TRADING_HALTED, symbol="CL")
    assert (await desk.filled())["31"][0].isdigit()


async def test_on_a_holiday_the_price_is_the_close(desk: Desk) -> None:
    desk.begin(FaultKind.HOLIDAY)
    assert (await desk.filled())["31"][0] == "C"


async def test_at_the_weekend_the_price_is_the_close(tmp_path: Path) -> None:
    hours = HoursParameters(calendar=CalendarName.CME_GLOBEX)
    async for desk in desk_of(tmp_path, replace(FILLING, hours=hours), SATURDAY):
        assert (await desk.filled())["31"][0] == "C"


async def test_search_may_be_asked_for(tmp_path: Path) -> None:
    strict = SnapshotParameters(fill_delay=DELAY, needs_search=True)
    async for desk in desk_of(tmp_path, replace(QUICK, snapshots=strict)):
        assert set(await desk.filled()) == {"conid", "conidEx"}
        await desk.client.json("GET", "/iserver/secdef/search?symbol=ES")
        assert "31" in await desk.filled()


async def test_unsubscribing(desk: Desk) -> None:
    await desk.filled()
    answer = await desk.client.call(
        "POST", "/iserver/marketdata/unsubscribe", json={"conid": desk.conid}
    )
    assert answer == (200, b'{"success":true}')
    assert await desk.snapshot() == [{"conid": desk.conid, "conidEx": str(desk.conid)}]


async def test_unsubscribing_by_path(desk: Desk) -> None:
    path = f"/iserver/marketdata/{desk.conid}/unsubscribe"
    assert await desk.client.call("GET", path) == (500, b'{"error":"unknown"}')
    await desk.snapshot()
    assert await desk.client.call("GET", path) == (200, b'{"confirmed":true}')


@pytest.mark.parametrize("conid", [17, "17"])
async def test_unsubscribing_what_is_not_open(desk: Desk, conid: int | str) -> None:
    answer = await desk.client.call(
        "POST", "/iserver/marketdata/unsubscribe", json={"conid": conid}
    )
    assert answer == (500, b'{"error":"unknown"}')


async def test_unsubscribing_everything(desk: Desk) -> None:
    words = ",".join(map(str, desk.conids))
    await desk.snapshot(("31",), words)
    answer = await desk.client.call("GET", "/iserver/marketdata/unsubscribeall")
    assert answer == (200, b'{"unsubscribed":true}')
    assert all(set(e) == {"conid", "conidEx"} for e in await desk.snapshot(("31",), words))


async def test_limits_of_a_call(desk: Desk) -> None:
    hundred = ",".join(str(number) for number in range(1, 101))
    assert len(await desk.snapshot(("31",), hundred)) == 100
    path = "/iserver/marketdata/snapshot"
    status, body = await desk.client.call("GET", f"{path}?conids={hundred},101&fields=31")
    assert (status, b"at most 100" in body) == (400, True)
    fields = ",".join(str(number) for number in range(50))
    assert (await desk.client.call("GET", f"{path}?conids=1&fields={fields}"))[0] == 200
    status, body = await desk.client.call("GET", f"{path}?conids=1&fields={fields},51")
    assert (status, b"at most 50" in body) == (400, True)


@pytest.mark.parametrize("query", ["", "?fields=31", "?conids=&fields=31", "?conids=ES&fields=31"])
async def test_calls_without_a_conid(desk: Desk, query: str) -> None:
    status, body = await desk.client.call("GET", "/iserver/marketdata/snapshot" + query)
    assert status == 400
    assert b"conid" in body


async def test_a_call_without_fields_tells_the_entitlement(desk: Desk) -> None:
    path = f"/iserver/marketdata/snapshot?conids={desk.conid}"
    await desk.client.json("GET", path)
    (entry,) = await desk.client.json("GET", path)
    assert set(entry) == HEAD


async def test_snapshot_and_websocket_agree(desk: Desk) -> None:
    fields = ("31", "84", "86", "85", "88", "7059", "7762", "87", "70", "71", "55", "6004")
    wanted = ",".join(f'"{field}"' for field in fields)
    desk.begin(FaultKind.TRADING_HALTED)  # the market stands still while both look
    entry = await desk.filled(fields)
    socket = await desk.client.greeted()
    await socket.send_str(f'smd+{desk.conid}+{{"fields":[{wanted}]}}')
    desk.clock.advance(1.0)
    quote: dict[str, Any] = {}
    async with asyncio.timeout(TIMEOUT):
        while not quote.keys() >= set(fields):
            message = json.loads(await receive(socket))
            if message.get("topic") == f"smd+{desk.conid}":
                quote |= message
            desk.clock.advance(0.1)
    assert {field: quote[field] for field in fields} == {f: entry[f] for f in fields}


@given(
    st.lists(
        st.tuples(st.integers(1, 3), st.lists(st.sampled_from(sorted(FIELDS))), st.floats(0, 3)),
        max_size=30,
    )
)
def test_what_was_visible_stays_visible(calls: list[tuple[int, list[str], float]]) -> None:
    desk, now = SnapshotDesk(), 0.0
    seen: dict[int, set[str]] = {}
    for conid, fields, pause in calls:
        now += pause
        visible = desk.visible(conid, fields, now, DELAY)
        assert (visible is None) == (conid not in seen), "exactly the first call is a pre-flight"
        before = seen.setdefault(conid, set())
        assert before & set(fields) <= set(visible or ())
        assert set(visible or ()) <= set(fields)
        before.update(visible or ())


def test_nonsense_fields_take_no_memory() -> None:
    desk = SnapshotDesk()
    for number in range(1000):
        assert not desk.visible(1, [f"nonsense {number}"], 0.0, DELAY)
    assert len(desk) == 1
    assert desk.visible(1, ["55"], 0.0, DELAY) == ["55"]
    assert "55" in DESCRIPTIVE
