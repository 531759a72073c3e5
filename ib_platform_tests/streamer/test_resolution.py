"""Following an assignment: contract keys become conids, tracker and subscriptions stay in step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.calendar import CalendarName
from ib_platform.states import ContractState
from ib_platform.streamer.assignment import Assignment
from ib_platform.streamer.resolution import ContractDesk, ContractRow
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.ibkr.tiny_gateway import TinyGateway, tiny_gateway

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
FUTURES: dict[str, Any] = {
    "CL": [
        {"conid": 1, "expirationDate": 20261124, "ltd": 20261124},
        {"conid": 2, "expirationDate": 20261220, "ltd": 20261219},
    ],
    "ES": [{"conid": 3, "expirationDate": 20261218}],
}


class Desk:
    """A desk with its surroundings and a real gateway that answers as scripted."""

    def __init__(self, gateway: TinyGateway, client: GatewayClient) -> None:
        self.gateway = gateway
        self.client = client
        self.tracker = Tracker(30)
        self.subscriptions = Subscriptions("DU1", chance=lambda: 0.5)
        self.rows: list[ContractRow] = []
        self.desk = ContractDesk(self.tracker, self.subscriptions, self.rows.append)

    async def follow(
        self, *keys: str, generation: int = 1, now: float = 0, at: datetime = AT
    ) -> None:
        calendars = dict.fromkeys(keys, CalendarName.ALWAYS_OPEN)
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
        for conid in (1, 2, 3):
            info = {"exchange": "NYMEX", "multiplier": "1000"}
            gateway.answers[f"/iserver/contract/{conid}/info"] = (200, info)
        tls = client_ssl_context(gateway.certificate)
        async with GatewayClient(gateway.port, tls) as client:
            yield Desk(gateway, client)


async def test_contracts_are_resolved_once_and_reported(desk: Desk) -> None:
    for now in range(3):
        await desk.follow("CL.NYMEX.front", "ES.CME.front", now=now)
    assert desk.calls("/trsrv/futures") == 1
    assert desk.asked() == ["sbd+DU1+1", "sbd+DU1+3"]
    row = desk.rows[0]
    assert (row.contract, row.conid, row.symbol, row.exchange) == (
        "CL.NYMEX.front",
        1,
        "CL",
        "NYMEX",
    )
    assert (row.expiry, row.last_trade_date) == (date(2026, 11, 24), date(2026, 11, 24))
    assert (row.multiplier, row.calendar) == (1000.0, "always_open")
    assert desk.rows[1].last_trade_date is None


async def test_a_missing_multiplier_stays_unknown(desk: Desk) -> None:
    desk.gateway.answers["/iserver/contract/1/info"] = (503, "")
    await desk.follow("CL.NYMEX.front")
    assert desk.rows[0].multiplier is None
    assert desk.asked() == ["sbd+DU1+1"]


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
