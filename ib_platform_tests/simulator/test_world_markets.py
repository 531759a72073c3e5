"""The markets of a world: hours, holidays, expiries, scripts; some of it as a client sees it."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.simulator.behaviour import Behaviour
from ib_platform.simulator.catalogue import CatalogueParameters
from ib_platform.simulator.clock import ManualClock, ScaledClock
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.hours import HoursParameters
from ib_platform.simulator.ladder_view import LadderParameters
from ib_platform.simulator.market_parameters import MarketParameters
from ib_platform.simulator.scripted import BookScript, BookState, ScriptedMarket
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import QUICK, USER, simulated
from ib_platform_tests.simulator.sockets import (
    inject,
    ladder_frame,
    streaming,
    subscribe,
    topics_of_beats,
)

GLOBEX = HoursParameters(calendar=CalendarName.CME_GLOBEX)
PLAIN = Behaviour(ladder=LadderParameters(around_zero_share=0), hours=GLOBEX)
FRIDAY = datetime(2026, 11, 20, 15, 59, tzinfo=CHICAGO)
SCRIPT = BookScript((BookState(0.0, {5828: 3, 5830: -4}, (5829, 2)),))


def world_at(
    start: datetime, behaviour: Behaviour = PLAIN, scripted: dict[str, BookScript] | None = None
) -> tuple[World, ManualClock]:
    clock = ManualClock(start.astimezone(UTC))
    user = SimulatedUser.of(USER)
    return World([user], seed=3, behaviour=behaviour, clock=clock, scripted=scripted), clock


def subscribed(world: World, symbol: str = "CL") -> int:
    """Open a ladder of the world's user; its conid."""
    face = GatewayFace(world, world.users[0])
    assert face.login is not None
    conid = world.catalogue.months_of(symbol)[0].conid
    face.login.ladders.subscribe("socket", conid, world.clock.now())
    return conid


def frames_of(world: World, clock: ManualClock, seconds: float, step: float = 0.3) -> list[int]:
    """Rows of the frames that the open ladders send in so many seconds."""
    (login,) = world.logins.values()
    found = []
    until = clock.now() + seconds
    while clock.now() < until:
        clock.advance(step)
        for _, view in login.ladders.views_of("socket", clock.now()):
            if (rows := view.poll(clock.now())) is not None:
                found.append(len(rows))
    return found


def test_a_week_of_a_ladder() -> None:
    """From Friday 15:59 on: silence, quotes on Sunday from 16:00, trades from 17:00."""
    world, clock = world_at(FRIDAY)
    conid = subscribed(world)
    market = world.market(conid)
    assert market is not None
    assert len(frames_of(world, clock, 60)) > 40
    assert frames_of(world, clock, 3600, step=10) == []
    (login,) = world.logins.values()
    login.ladders.subscribe("socket", conid, clock.now())
    assert frames_of(world, clock, 60) == [21], "a keyframe on request, and nothing after it"
    assert world.phase_of(conid) is MarketPhase.CLOSED
    assert frames_of(world, clock, 46 * 3600, step=600) == []
    traded, sunday = market.volume, FRIDAY + timedelta(days=2, minutes=3)
    frames_of(world, clock, sunday.timestamp() - clock.wall(), step=10)
    assert world.phase_of(conid) is MarketPhase.PRE_OPEN
    assert len(frames_of(world, clock, 60)) > 20
    assert market.volume == traded, "no trades before the opening"
    clock.advance(3600)
    frames_of(world, clock, 120)
    assert world.phase_of(conid) is MarketPhase.OPEN
    assert market.volume > traded


def test_a_holiday_by_fault_silences_its_symbol_and_ends() -> None:
    world, clock = world_at(FRIDAY - timedelta(hours=3))
    conid = subscribed(world)
    frames_of(world, clock, 10)
    other = world.catalogue.months_of("ES")[0].conid
    world.faults.begin(FaultKind.HOLIDAY, clock.now(), symbol="CL", seconds=600)
    assert world.phase_of(conid) is MarketPhase.HOLIDAY
    assert world.phase_of(other) is MarketPhase.OPEN
    assert frames_of(world, clock, 590) == []
    assert len(frames_of(world, clock, 60)) > 20


def test_a_holiday_may_concern_one_user() -> None:
    world, clock = world_at(FRIDAY - timedelta(hours=3))
    conid = world.catalogue.months_of("CL")[0].conid
    world.faults.begin(FaultKind.HOLIDAY, clock.now(), username="papera01")
    assert world.phase_of(conid, "papera01") is MarketPhase.HOLIDAY
    assert world.phase_of(conid, "paperb02") is MarketPhase.OPEN


def test_a_contract_expires_while_its_ladder_is_open() -> None:
    """It vanishes from the listing, its ladder goes silent, the next month takes its place."""
    behaviour = replace(
        PLAIN,
        hours=HoursParameters(),
        catalogue=CatalogueParameters(roll_guard_days=0),
        market=MarketParameters(),
    )
    last_day = datetime(2026, 12, 18, 23, 50, tzinfo=UTC)
    world, clock = world_at(last_day, behaviour)
    conid = subscribed(world, "ES")
    assert world.catalogue.months_of("ES")[0].local_symbol == "ESZ6"
    assert len(frames_of(world, clock, 60)) > 40
    clock.advance(600)
    assert world.catalogue.months_of("ES")[0].local_symbol == "ESH7"
    assert world.catalogue.get(conid) is None
    assert world.market(conid) is None
    assert world.symbol_of(conid) is None
    assert world.phase_of(conid) is MarketPhase.CLOSED
    assert frames_of(world, clock, 120) == []


def test_a_demo_meets_no_expiry() -> None:
    """With the guard the front month of the start lives on when the listing rolls."""
    world, clock = world_at(
        datetime(2026, 11, 3, 12, tzinfo=UTC), replace(PLAIN, hours=HoursParameters())
    )
    conid = subscribed(world, "ES")
    assert world.catalogue.months_of("ES")[0].conid == conid
    clock.advance(86_400)
    assert world.catalogue.months_of("ES")[0].conid != conid, "44 days to live: no longer listed"
    assert len(frames_of(world, clock, 60)) > 40


def test_the_catalogue_is_made_once_a_day() -> None:
    world, clock = world_at(datetime(2026, 11, 3, 12, tzinfo=UTC))
    first = world.catalogue
    clock.advance(3600)
    assert world.catalogue is first
    clock.advance(12 * 3600)
    assert world.catalogue is not first


def test_a_scripted_symbol_plays_its_script_in_every_month() -> None:
    world, clock = world_at(FRIDAY, scripted={"CL": SCRIPT})
    for contract in world.catalogue.months_of("CL"):
        market = world.market(contract.conid)
        assert isinstance(market, ScriptedMarket)
    other = world.market(world.catalogue.months_of("ES")[0].conid)
    assert not isinstance(other, ScriptedMarket)
    subscribed(world)
    assert frames_of(world, clock, 10) == [21], "two sizes: the touch is all there is"


class JumpingClock(ScaledClock):
    """The machine's time from ``start`` on, which a test may set forward."""

    def __init__(self, start: datetime) -> None:
        super().__init__(start=start)
        self._jumped = 0.0

    def now(self) -> float:
        return super().now() + self._jumped

    def jump_to(self, instant: datetime) -> None:
        self._jumped += instant.timestamp() - self.wall()


async def test_a_client_sees_the_daily_break(tmp_path: Path) -> None:
    """Frames, then nothing but heartbeats and a keyframe on request, then frames again."""
    day = datetime(2026, 11, 18, 12, tzinfo=CHICAGO)
    clock = JumpingClock(day)
    session = replace(QUICK.session, idle_timeout=1e9)
    behaviour = replace(QUICK, hours=GLOBEX, session=session)
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, face):
        await client.authenticate()
        socket, (conid,) = await streaming(client, face, "CL")
        await ladder_frame(socket, conid)
        clock.jump_to(day.replace(hour=16, minute=1))
        assert face.world.phase_of(conid) is MarketPhase.MAINTENANCE
        await topics_of_beats(socket, 2)  # what was under way
        assert not [t for t in await topics_of_beats(socket, 3) if t.startswith("sbd")]
        await subscribe(socket, conid)
        assert len(json.loads(await ladder_frame(socket, conid))["data"]) == 21
        assert not [t for t in await topics_of_beats(socket, 3) if t.startswith("sbd")]
        clock.jump_to(day.replace(hour=16, minute=46))
        await ladder_frame(socket, conid)


async def test_a_client_sees_a_holiday(tmp_path: Path) -> None:
    """Heartbeats go on, ladders are silent; when it is over they move again."""
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        socket, (conid,) = await streaming(client, face, "CL")
        fault = inject(face, FaultKind.HOLIDAY, symbol="CL")
        await topics_of_beats(socket, 1)  # what was under way
        assert not await topics_of_beats(socket, 3)
        face.world.faults.stop(fault.number)
        await ladder_frame(socket, conid)


async def test_a_client_sees_a_scripted_book(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, face):
        face.world._scripts["CL"] = SCRIPT
        await client.authenticate()
        socket = await client.greeted()
        conid = face.world.catalogue.months_of("CL")[0].conid
        await subscribe(socket, conid)
        rows = json.loads(await ladder_frame(socket, conid))["data"]
        while not any(row["focus"] for row in rows):
            rows = json.loads(await ladder_frame(socket, conid))["data"]
        assert {row["row"]: row for row in rows if row["focus"] or len(row) > 3} == {
            9: {"row": 9, "focus": 0, "price": "58.30", "ask": "4"},
            10: {"row": 10, "focus": 1, "price": "2 @ 58.29"},
            11: {"row": 11, "focus": 0, "price": "58.28", "bid": "3"},
        }


@pytest.mark.parametrize("day", [date(2026, 12, 25), date(2026, 4, 3)])
def test_holidays_of_the_rule_reach_the_world(day: date) -> None:
    world, _ = world_at(datetime(day.year, day.month, day.day, 12, tzinfo=CHICAGO))
    conid = world.catalogue.months_of("CL")[0].conid
    assert world.phase_of(conid) is MarketPhase.HOLIDAY
