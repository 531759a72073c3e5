"""What stands before the endpoints, seen from a client over real TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.clock import ManualClock
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.outages import OutageParameters
from ib_platform.simulator.pacing import PacingParameters
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    USER,
    Client,
    SteppedClock,
    simulated,
    with_session,
)

Pair = tuple[Client, GatewayFace]
TOO_MANY = {"error": "Too many requests", "statusCode": 429}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        yield client, face


def begin(face: GatewayFace, kind: FaultKind, **parameters: Any) -> int:
    """Start a fault for everybody; its number."""
    now = face.world.clock.now()
    return face.world.faults.begin(kind, now, parameters=parameters).number


async def status_of(client: Client, method: str, path: str) -> int:
    return (await client.call(method, path))[0]


async def test_access_denied(pair: Pair) -> None:
    client, face = pair
    number = begin(face, FaultKind.ACCESS_DENIED)
    assert await client.call("GET", "/tickle") == (403, b"Access Denied")
    face.world.faults.stop(number)
    assert await status_of(client, "GET", "/tickle") == 200


async def test_a_gateway_that_hangs_answers_when_it_wakes(pair: Pair) -> None:
    client, face = pair
    number = begin(face, FaultKind.GATEWAY_HANGS)
    call = asyncio.create_task(client.call("GET", "/tickle"))
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(call), 0.5)
    face.world.faults.stop(number)
    async with asyncio.timeout(TIMEOUT):
        assert (await call)[0] == 200


@pytest.mark.parametrize("status", [500, 503])
async def test_maintenance_is_everywhere(pair: Pair, status: int) -> None:
    client, face = pair
    begin(face, FaultKind.MAINTENANCE, status=status, latency=0.01)
    for path in ("/tickle", "/iserver/auth/status", "/trsrv/futures?symbols=CL", "/ws"):
        assert await client.call("GET", path) == (status, b"")


async def test_an_http_error_below_a_path_only(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.HTTP_ERROR, status=500, path="/iserver/")
    assert await status_of(client, "POST", "/iserver/auth/status") == 500
    assert await status_of(client, "POST", "/tickle") == 200


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (503, "empty", b""),
        (503, "error", b'{"error":"There was an error processing the request. Please try again.",'
                       b'"statusCode":503}'),
        (500, "unknown", b'{"error":"unknown"}'),
        (400, "init_first", b'{"error":"Init session first","statusCode":400}'),
    ],
)  # fmt: skip
async def test_the_bodies_of_errors(pair: Pair, status: int, body: str, text: bytes) -> None:
    client, face = pair
    begin(face, FaultKind.HTTP_ERROR, status=status, body=body)
    assert await client.call("POST", "/tickle") == (status, text)


async def test_slow_answers_come(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.SLOW_ANSWERS, latency=0.3)
    began = face.world.clock.now()
    assert await status_of(client, "POST", "/tickle") == 200
    assert face.world.clock.now() - began >= 0.3


async def test_too_many_requests_and_the_box(tmp_path: Path) -> None:
    clock = SteppedClock()
    pacing = PacingParameters(requests_per_second=10.0, penalty=900.0)
    async with simulated(tmp_path, behaviour=replace(QUICK, pacing=pacing), clock=clock) as (c, _):
        answers = [await c.call("GET", "/one/user") for _ in range(11)]
        assert [status for status, _ in answers] == [200] * 10 + [429]
        assert json.loads(answers[-1][1]) == TOO_MANY
        clock.advance(899)
        assert await status_of(c, "POST", "/tickle") == 429
        clock.advance(2)
        assert await status_of(c, "POST", "/tickle") == 200


async def test_sso_validate_twice_in_a_minute(tmp_path: Path) -> None:
    clock = SteppedClock()
    pacing = PacingParameters(penalty=5.0)
    async with simulated(tmp_path, behaviour=replace(QUICK, pacing=pacing), clock=clock) as (c, _):
        assert await status_of(c, "GET", "/sso/validate") == 200
        clock.advance(30)
        assert await status_of(c, "GET", "/sso/validate") == 429
        clock.advance(61)
        assert await status_of(c, "GET", "/sso/validate") == 200


async def test_an_injected_penalty_and_limit(pair: Pair) -> None:
    client, face = pair
    limit = begin(face, FaultKind.REQUEST_LIMIT, per_second=0.001)
    statuses = [await status_of(client, "GET", "/one/user") for _ in range(2)]
    assert statuses == [200, 429]
    face.world.faults.stop(limit)


async def test_the_penalty_box_fault(pair: Pair) -> None:
    client, face = pair
    assert await status_of(client, "GET", "/one/user") == 200
    begin(face, FaultKind.PENALTY_BOX)
    assert await status_of(client, "GET", "/one/user") == 429


async def test_no_bridge_though_authenticated(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.NO_BRIDGE)
    answer = {"error": "Bad Request: no bridge", "statusCode": 400}
    status, body = await client.call("GET", "/iserver/accounts")
    assert (status, json.loads(body)) == (400, answer)
    assert (await client.json("GET", "/iserver/auth/status"))["authenticated"] is True


async def test_no_bridge_shortly_after_init(tmp_path: Path) -> None:
    clock = SteppedClock()
    behaviour = with_session(no_bridge_after_init=10.0)
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, _):
        await client.json("POST", "/iserver/auth/ssodh/init", json={"publish": True})
        clock.advance(1)
        assert (await client.json("GET", "/iserver/auth/status"))["authenticated"] is True
        assert await status_of(client, "GET", "/iserver/accounts") == 400
        clock.advance(10)
        assert await status_of(client, "GET", "/iserver/accounts") == 200


async def test_without_a_login(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.LOGIN_LOST)
    assert await client.call("POST", "/tickle") == (401, b"")
    begin(face, FaultKind.NO_SESSION_TEXT)
    assert await client.call("POST", "/tickle") == (200, b'{"error":"no session"}')


async def test_the_night_and_the_weekend(tmp_path: Path) -> None:
    # Monday, 23 November 2026, 04:59 UTC: a minute before midnight in New York.
    clock = SteppedClock(wall=1_795_409_940.0)
    behaviour = replace(QUICK, outages=OutageParameters(nightly=True, weekend=True))
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, _):
        await client.json("POST", "/iserver/auth/ssodh/init", json={"publish": True})
        clock.advance(1)
        assert await status_of(client, "GET", "/iserver/accounts") == 200
        clock.advance(60)
        assert await client.call("GET", "/iserver/accounts") == (503, b"")
        assert await client.call("POST", "/iserver/auth/ssodh/init") == (503, b"")
        tickle = await client.json("POST", "/tickle")
        assert tickle["iserver"]["authStatus"]["authenticated"] is False
        clock.advance(300)
        assert await status_of(client, "GET", "/iserver/accounts") == 400
        assert await status_of(client, "POST", "/iserver/auth/ssodh/init") == 200
        clock.advance(5 * 86_400 + 18 * 3_600)
        assert await client.call("POST", "/tickle") == (503, b"")


async def test_faults_of_another_user_do_not_concern(pair: Pair) -> None:
    client, face = pair
    now = face.world.clock.now()
    face.world.faults.begin(FaultKind.ACCESS_DENIED, now, username="somebody")
    assert await status_of(client, "GET", "/tickle") == 200
    face.world.faults.begin(FaultKind.ACCESS_DENIED, now, username="PAPERA01")
    assert await status_of(client, "GET", "/tickle") == 403


def hanging() -> int:
    """How many calls wait at a guard of this process."""
    return sum(_waits_at_a_guard(task.get_coro()) for task in asyncio.all_tasks())


def _waits_at_a_guard(coroutine: Any) -> bool:
    while coroutine is not None:
        if getattr(coroutine, "__qualname__", "").startswith("Guard._at_the_gateway"):
            return True
        coroutine = getattr(coroutine, "cr_await", None)
    return False


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(TIMEOUT):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_client_that_gives_up_on_a_hang_takes_nothing_down(pair: Pair) -> None:
    client, face = pair
    number = begin(face, FaultKind.GATEWAY_HANGS)
    calls = [asyncio.create_task(client.call("GET", "/tickle")) for _ in range(5)]
    await until(lambda: hanging() == 5)
    for call in calls:
        call.cancel()
    await until(lambda: hanging() == 0)  # The fault lasts: who has gone, is not waited for.
    face.world.faults.stop(number)
    assert await status_of(client, "GET", "/tickle") == 200


async def test_the_end_of_the_simulator_ends_a_hang(tmp_path: Path) -> None:
    """While its client still waits for the answer."""
    certificate, key = tmp_path / "gateway.pem", tmp_path / "gateway.key"
    ensure_certificate(certificate, key)
    user = SimulatedUser.of(USER)
    face = GatewayFace(World([user], seed=7, behaviour=QUICK), user)
    connector = aiohttp.TCPConnector(ssl=client_ssl_context(certificate))
    async with aiohttp.ClientSession(connector=connector) as http:
        async with gateway_listening(
            face, certificate=certificate, private_key=key, port=0
        ) as listener:
            begin(face, FaultKind.GATEWAY_HANGS)
            call = asyncio.create_task(Client(http, listener.port).call("GET", "/tickle"))
            await until(lambda: hanging() == 1)
        assert hanging() == 0
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(call, TIMEOUT)


async def test_a_hang_is_one_even_when_simulated_time_stands_still(tmp_path: Path) -> None:
    clock = ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC))
    async with simulated(tmp_path, clock=clock) as (client, face):
        face.world.faults.begin(FaultKind.GATEWAY_HANGS, clock.now(), seconds=30.0)
        call = asyncio.create_task(client.call("POST", "/tickle"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(call), 0.3)
        clock.advance(30)
        assert (await asyncio.wait_for(call, TIMEOUT))[0] == 200


@pytest.mark.parametrize(
    ("faults", "status"),
    [
        ((FaultKind.ACCESS_DENIED, FaultKind.MAINTENANCE, FaultKind.LOGIN_LOST), 403),
        ((FaultKind.MAINTENANCE, FaultKind.PENALTY_BOX, FaultKind.LOGIN_LOST), 503),
        ((FaultKind.HTTP_ERROR, FaultKind.PENALTY_BOX), 503),
        ((FaultKind.PENALTY_BOX, FaultKind.LOGIN_LOST), 429),
        ((FaultKind.LOGIN_LOST, FaultKind.NO_BRIDGE), 401),
        ((FaultKind.NO_BRIDGE,), 400),
    ],
)
async def test_the_nearest_obstacle_answers(
    pair: Pair, faults: tuple[FaultKind, ...], status: int
) -> None:
    client, face = pair
    for kind in faults:
        latency = {"latency": 0.0} if kind is FaultKind.MAINTENANCE else {}
        begin(face, kind, **latency)
    assert await status_of(client, "GET", "/iserver/accounts") == status
