"""Session endpoints and session clocks over real TLS, with one gateway and with two of a world."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from aiohttp import web

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour, GatewayParameters
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.outages import OutageParameters
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import (
    QUICK,
    Client,
    SteppedClock,
    client_of,
    simulated,
    with_session,
)

INIT = "/iserver/auth/ssodh/init"
REFUSED = (
    500,
    b'{"error":"There was an error processing the request. Please try again.","statusCode":500}',
)
NEW_YORK = ZoneInfo("America/New_York")
ALPHA = SimulatedUser(username="papera01", password="a", account="DU1000001")
BETA = SimulatedUser(username="paperb02", password="b", account="DU1000002")


@asynccontextmanager
async def gateways(
    folder: Path, *users: SimulatedUser, behaviour: Behaviour = QUICK
) -> AsyncIterator[tuple[World, list[Client]]]:
    """Gateways of one world, one for each user named, with a client each."""
    certificate, key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, key)
    world = World({user.username: user for user in users}.values(), seed=7, behaviour=behaviour)
    faces = [GatewayFace(world, user) for user in users]
    async with (
        gateway_listening(faces[0], certificate=certificate, private_key=key, port=0) as one,
        gateway_listening(faces[1], certificate=certificate, private_key=key, port=0) as two,
        client_of(one.port, client_ssl_context(certificate)) as first,
        client_of(two.port, client_ssl_context(certificate)) as second,
    ):
        yield world, [first, second]


async def auth(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = await client.json("POST", "/iserver/auth/status")
    return answer


async def start(client: Client, clock: SteppedClock) -> None:
    await client.json("POST", INIT, json={"publish": True, "compete": True})
    clock.advance(1)
    assert (await auth(client))["authenticated"] is True


def begin(world: World, kind: FaultKind, username: str | None = None) -> None:
    world.faults.begin(kind, world.clock.now(), username=username)


async def test_a_day_passes_and_the_login_with_it(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, face):
        await start(client, clock)
        for _ in range(24 * 12 - 1):
            clock.advance(300)
            assert await client.json("POST", "/tickle")
        assert (await auth(client))["authenticated"] is True
        clock.advance(300)
        assert await client.call("POST", "/tickle") == (401, b"")
        assert await client.call("POST", INIT) == (401, b""), "init does not bring it back"
        face.logged_in(face.world.log_in(face.user), web.Response())
        assert await client.json("POST", "/tickle")


async def test_sso_expires_runs_to_nothing_and_is_no_alarm(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, _):
        await start(client, clock)
        seen = []
        for _ in range(61):
            answer = await client.json("GET", "/tickle")
            assert answer["iserver"]["authStatus"]["authenticated"] is True
            seen.append(answer["ssoExpires"])
            clock.advance(10)
        jumps = [later - earlier for earlier, later in zip(seen, seen[1:], strict=False)]
        assert min(seen) <= 10_000
        assert max(seen) > 580_000
        assert [jump for jump in jumps if jump > 0] == [590_000]


async def test_midnight_asks_for_a_new_login(tmp_path: Path) -> None:
    evening = datetime(2026, 11, 23, 23, 58, tzinfo=NEW_YORK).timestamp()
    clock = SteppedClock(wall=evening)
    behaviour = replace(QUICK, outages=OutageParameters(midnight_ends_login=True))
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, face):
        await start(client, clock)
        clock.advance(180)
        assert await client.call("POST", "/tickle") == (401, b"")
        face.logged_in(face.world.log_in(face.user, fresh=False), web.Response())
        await start(client, clock)


async def test_an_outage_answers_its_status_after_its_latency(tmp_path: Path) -> None:
    saturday = datetime(2026, 11, 21, 18, 30, tzinfo=NEW_YORK).timestamp()
    clock = SteppedClock(wall=saturday)
    outages = OutageParameters(weekend=True, status=500, latency=0.2)
    async with simulated(tmp_path, behaviour=replace(QUICK, outages=outages), clock=clock) as (
        client,
        _,
    ):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await client.call("POST", "/tickle") == (500, b"")
        assert loop.time() - began >= 0.2
        clock.advance(timedelta(hours=3).total_seconds())
        assert await client.json("POST", "/tickle")


async def test_an_idle_session_nobody_looked_at_is_connected_still(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, face):
        face.login = face.world.log_in(face.user)
        await client.json("POST", INIT, json={"publish": True})
        clock.advance(400)
        status = await auth(client)
        assert (status["connected"], status["authenticated"]) == (True, False)
        assert status["serverInfo"] == {"serverName": None, "serverVersion": None}


async def test_publish_decides_over_init(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        assert await client.call("POST", INIT, json={"publish": False}) == REFUSED
        assert await client.call("POST", INIT, json={"compete": True}) == REFUSED
        assert (await client.json("POST", INIT, data=b""))["passed"] is True
        form = b"publish=true&compete=true&machineId=5afe0001&mac=02-00-00-00-00-01"
        assert (await client.json("POST", INIT, data=form))["passed"] is True


async def test_a_refused_init_has_a_text_with_500_only(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, face):
        for status, expected in ((500, REFUSED), (503, (503, b""))):
            number = face.world.faults.begin(
                FaultKind.INIT_REFUSED, face.world.clock.now(), parameters={"status": status}
            ).number
            assert await client.call("POST", INIT, json={"publish": True}) == expected
            face.world.faults.stop(number)


@pytest.mark.parametrize("refused", [True, False])
async def test_the_gateway_itself_starts_the_session_unless_it_is_refused(
    tmp_path: Path, refused: bool
) -> None:
    clock = SteppedClock()
    gateway = GatewayParameters(logged_in=False, auth_delay=3.0)
    behaviour = replace(QUICK, gateway=gateway)
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, face):
        assert await client.call("POST", "/tickle") == (401, b"")
        if refused:
            begin(face.world, FaultKind.INIT_REFUSED)
        face.logged_in(face.world.log_in(face.user), web.Response())
        assert (await auth(client))["authenticated"] is False
        clock.advance(60)
        assert (await auth(client))["authenticated"] is not refused


@pytest.mark.parametrize("ends", [True, False])
async def test_whether_logout_ends_the_login_is_a_parameter(tmp_path: Path, ends: bool) -> None:
    async with simulated(tmp_path, behaviour=with_session(logout_ends_sso=ends)) as (client, _):
        await client.authenticate()
        assert await client.call("POST", "/logout") == (200, b'{"status":true}')
        assert (await client.call("POST", "/tickle"))[0] == (401 if ends else 200)


async def test_two_gateways_of_one_user_take_the_session_in_turns(tmp_path: Path) -> None:
    async with gateways(tmp_path, ALPHA, ALPHA) as (_, (first, second)):
        await first.authenticate()
        polite = await second.json("POST", INIT, json={"publish": True, "compete": False})
        assert (polite["competing"], polite["authenticated"]) == (True, False)
        assert (await auth(first))["authenticated"] is True
        for taker, loser in ((second, first), (first, second)):
            await taker.json("POST", INIT, json={"publish": True, "compete": True})
            await taker.authenticate()
            status = await auth(loser)
            assert (status["competing"], status["authenticated"]) == (True, False)
            assert (await loser.call("GET", "/iserver/accounts"))[0] == 400
            assert (await auth(taker))["competing"] is False


@pytest.mark.parametrize(
    ("kind", "path", "answer"),
    [
        (FaultKind.LOGIN_LOST, "/tickle", 401),
        (FaultKind.BROKERAGE_LOST, "/iserver/accounts", 400),
        (FaultKind.COMPETING_LOGIN, "/iserver/accounts", 400),
        (FaultKind.PENALTY_BOX, "/tickle", 429),
        (FaultKind.NO_BRIDGE, "/iserver/accounts", 400),
        (FaultKind.ACCESS_DENIED, "/tickle", 403),
    ],
)
async def test_a_fault_of_one_user_leaves_the_other_alone(
    tmp_path: Path, kind: FaultKind, path: str, answer: int
) -> None:
    async with gateways(tmp_path, ALPHA, BETA) as (world, (first, second)):
        for client in (first, second):
            await client.authenticate()
        begin(world, kind, "PAPERA01")
        assert (await first.call("GET", path))[0] == answer
        assert (await second.call("GET", path))[0] == 200


async def test_a_penalty_for_everybody_holds_both(tmp_path: Path) -> None:
    async with gateways(tmp_path, ALPHA, BETA) as (world, clients):
        begin(world, FaultKind.PENALTY_BOX)
        for client in clients:
            assert (await client.call("POST", "/tickle"))[0] == 429


async def test_a_locked_user_keeps_the_session_it_has(tmp_path: Path) -> None:
    """What a lock refuses is shown at the login page (test_login_desk)."""
    async with gateways(tmp_path, ALPHA, BETA) as (world, (first, _)):
        await first.authenticate()
        begin(world, FaultKind.USER_LOCKED, "papera01")
        assert (await auth(first))["authenticated"] is True
        assert world.sessions("papera01").locked
        assert not world.sessions("paperb02").locked
