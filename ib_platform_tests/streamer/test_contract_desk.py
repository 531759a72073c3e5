"""Contracts resolved at the simulator over HTTPS, and a roll with ladders over its websocket."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config_sections import Roll
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.marketdata.volumes import decode_volumes
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.catalogue import CatalogueParameters
from ib_platform.simulator.clock import utc
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.hours import HoursParameters
from ib_platform.states import Cause, ContractState
from ib_platform.streamer.assignment import Assignment
from ib_platform.streamer.contract_facts import ContractRow
from ib_platform.streamer.requests import Request, carry_out
from ib_platform.streamer.resolution import ContractDesk
from ib_platform.streamer.subscriptions import Subscriptions
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.simulator.client import QUICK, Client, simulated
from ib_platform_tests.simulator.drilled import JumpingClock

CL, ES = "CL.NYMEX.front", "ES.CME.front"
BEFORE_BORDER = datetime(2026, 11, 20, 12, tzinfo=CHICAGO)
"""A Friday, the last day of the December crude oil."""
LISTED = replace(QUICK, catalogue=CatalogueParameters(roll_guard_days=0))
PATIENCE = 60.0


@dataclass
class Streaming:
    """A streamer's parts around a real connection, with the simulator's clock as its own."""

    raw: Client
    face: GatewayFace
    rest: GatewayClient
    clock: JumpingClock
    calendar: CalendarName
    roll: Roll
    requests: list[Request] = field(default_factory=list)
    rows: list[ContractRow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tracker = Tracker(30)
        self.subscriptions = Subscriptions("DU1000001", chance=lambda: 0.5)
        self.desk = ContractDesk(
            self.tracker, self.subscriptions, self.rows.append, roll_of=lambda _: self.roll
        )

    async def follow(self, *keys: str) -> None:
        """One look at the assignment, as the link does it."""
        assignment = Assignment(1, dict.fromkeys(keys, self.calendar))
        await self.desk.follow(assignment, self.rest, self.clock.now(), utc(self.clock))

    async def until(self, condition: Callable[[], bool], *keys: str) -> None:
        """Follow until ``condition``; every look is a second of the simulated time later."""
        for _ in range(100):
            if condition():
                return
            await self.follow(*keys)
            self.clock.jump(1)
        raise AssertionError("in vain")

    def facts_known(self) -> bool:
        contracts = [c for c in self.tracker.contracts.values() if c.problem is None]
        known = {row.contract for row in self.rows if row.schedule_known_at is not None}
        return bool(contracts) and len(known) == len(contracts)

    def record(self, request: Request) -> None:
        self.requests.append(request)
        if request.requests_ladder and request.contract is not None:
            self.tracker.ladder_requested(request.contract, self.clock.now())

    async def stream_until(
        self, socket: GatewaySocket, condition: Callable[[], bool], *keys: str
    ) -> None:
        """Subscribe what is wanted and take frames until ``condition``."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, "in vain"
            await self.follow(*keys)
            sights = self.tracker.sights(self.clock.now(), utc(self.clock))
            plan = self.subscriptions.plan(self.clock.now(), sights)
            await carry_out(plan, self.record, socket.send)
            payload = await socket.receive()
            assert payload is not None
            self.tracker.frame(payload, int(self.clock.wall() * 1e9), int(self.clock.now() * 1e9))


@asynccontextmanager
async def streaming(
    folder: Path,
    *,
    behaviour: Behaviour = LISTED,
    at: datetime = BEFORE_BORDER,
    roll: Roll | None = None,
) -> AsyncIterator[Streaming]:
    clock = JumpingClock(at)
    async with simulated(folder, behaviour=behaviour, clock=clock) as (raw, face):
        await raw.authenticate()
        tls = client_ssl_context(folder / "gateway.pem")
        pace = Pace(clock=count(0, 100).__next__)
        async with GatewayClient(raw.port, tls, pace=pace) as rest:
            await rest.accounts()
            calendar = behaviour.hours.calendar
            yield Streaming(raw, face, rest, clock, calendar, roll or Roll())


async def test_everything_about_a_contract_is_known(tmp_path: Path) -> None:
    async with streaming(tmp_path) as it:
        await it.until(it.facts_known, CL, ES)
        front = it.face.world.catalogue.months_of("CL")[0]
    rows = {row.contract: row for row in it.rows}
    crude = rows[CL]
    assert (crude.conid, crude.expiry, crude.last_trade_date) == (
        front.conid,
        front.expiry,
        front.expiry,
    )
    assert (crude.tick, crude.multiplier, crude.exchange) == (Decimal("0.01"), 1000.0, "NYMEX")
    assert (rows[ES].tick, rows[ES].multiplier) == (Decimal("0.25"), 50.0)
    assert len(crude.schedule) == 6
    assert all(not contract.hours_differ for contract in it.tracker.contracts.values())


async def test_every_bad_contract_is_named_with_what_there_is_and_the_good_one_streams(
    tmp_path: Path,
) -> None:
    keys = ("QQ.CME.front", "ES.NYMEX.front", "ES.CME.2025-12", "ES.CME.2031-12", CL)
    async with streaming(tmp_path) as it:
        await it.until(it.facts_known, *keys)
    problems = [str(it.tracker.contracts[key].problem) for key in keys[:-1]]
    for problem, key, words in zip(
        problems,
        keys,
        (
            "symbol 'QQ'; symbols with futures in the same answer: CL, ES",
            "on exchange CME, the configuration says NYMEX",
            "that month lies in the past: on 2026-11-20",
            "no such month on 2026-11-20; available: 2026-12 (expires 2026-12-18), 2027-03",
        ),
        strict=False,
    ):
        assert words in problem
        assert f"contract {key}:" in problem
    assert [r.contract for r in it.subscriptions.plan(0, {}) if r.contract] == [CL]


async def test_a_holiday_of_the_exchange_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hours = HoursParameters(calendar=CalendarName.CME_GLOBEX)
    async with streaming(tmp_path, behaviour=replace(LISTED, hours=hours)) as it:
        it.face.world.faults.begin(FaultKind.HOLIDAY, it.clock.now(), symbol="CL")
        await it.until(it.facts_known, CL, ES)
        health = it.tracker.health(it.clock.now(), utc(it.clock))
    assert str(health[CL].reason).startswith("IBKR says closed (a holiday?) on 2026-11-20")
    assert health[ES].reason is None
    assert len([r for r in caplog.records if "IBKR says" in r.message]) == 1


async def test_the_roll_by_volume_follows_what_the_market_traded(tmp_path: Path) -> None:
    async with streaming(tmp_path, roll=Roll(rule="volume")) as it:
        await it.until(it.facts_known, CL)
        conids = [month.conid for month in it.face.world.catalogue.months_of("CL")]
        _, body = await it.raw.call(
            "GET", f"/iserver/marketdata/snapshot?conids={','.join(map(str, conids))}&fields=7762"
        )
        market = {conid: it.face.world.market(conid) for conid in conids}
    traded = decode_volumes(body)
    assert set(traded) == set(conids) == {conid for conid, known in market.items() if known}
    chosen = it.tracker.contracts[CL].conid
    assert chosen is not None
    position = conids.index(chosen)
    assert all(traded[a] < traded[b] for a, b in zip(conids[:position], conids[1:], strict=False))


async def test_a_roll_across_the_border_of_the_trade_date(tmp_path: Path) -> None:
    async with streaming(tmp_path, at=BEFORE_BORDER.replace(hour=16, minute=28)) as it:
        december, january, *_ = it.face.world.catalogue.months_of("CL")
        socket = await GatewaySocket.connect(it.rest, str((await it.rest.tickle()).session))
        try:
            await _greeted(socket)
            contract_is = it.tracker.states

            def live_as(conid: int) -> Callable[[], bool]:
                def look() -> bool:
                    contract = it.tracker.contracts.get(CL)
                    state = contract_is(it.clock.now(), utc(it.clock)).get(CL)
                    same = contract is not None and contract.conid == conid
                    return same and state is ContractState.LIVE

                return look

            await it.stream_until(socket, live_as(december.conid), CL)
            epoch = it.tracker.contracts[CL].book.epoch
            # Past 16:30 in Chicago: the trade date is Monday's.
            it.clock.jump(180)
            await it.stream_until(socket, live_as(january.conid), CL)
        finally:
            await socket.close()
        contract = it.tracker.contracts[CL]
        assert contract.book.epoch == epoch + 1
    ladder: list[Any] = [
        (r.kind.value, r.conid, r.cause) for r in it.requests if r.contract is not None
    ]
    assert ladder == [
        ("subscribe_requested", december.conid, None),
        ("unsubscribed", december.conid, Cause.NOT_ASSIGNED),
        ("subscribe_requested", january.conid, Cause.RESUBSCRIBED),
    ]
    assert [(row.conid, f"{row.trade_date}") for row in it.rows if row.schedule_known_at] == [
        (december.conid, "2026-11-20"),
        (january.conid, "2026-11-23"),
    ]


async def _greeted(socket: GatewaySocket) -> None:
    """The gateway drops what is sent before its first frame."""
    while (payload := await socket.receive()) is not None:
        if b'"sts"' in payload:
            return
    raise AssertionError("the gateway closed the websocket")
