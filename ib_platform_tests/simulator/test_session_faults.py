"""Session endpoints and session faults, seen from a client over real TLS."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    Client,
    SteppedClock,
    simulated,
    with_session,
)

Pair = tuple[Client, GatewayFace]
INIT = "/iserver/auth/ssodh/init"
BARE = {"authenticated", "competing", "connected", "MAC"}


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        yield client, face


def begin(face: GatewayFace, kind: FaultKind, **parameters: Any) -> int:
    return face.world.faults.begin(kind, face.world.clock.now(), parameters=parameters).number


async def auth(client: Client) -> dict[str, Any]:
    answer: dict[str, Any] = await client.json("POST", "/iserver/auth/status")
    return answer


async def test_the_three_forms_of_auth_status(tmp_path: Path) -> None:
    clock = SteppedClock()
    behaviour = with_session(login_delay=(6.0, 6.0))
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, face):
        world = face.world
        face.login = world.log_in(face.user)
        assert set(await auth(client)) == BARE, "just logged in"
        await client.json("POST", INIT, json={"publish": True})
        assert set(await auth(client)) == BARE
        clock.advance(6.1)
        full = await auth(client)
        assert full["authenticated"] is True
        assert full["fail"] == ""
        assert full["serverInfo"]["serverName"] is not None
        assert "hardware_info" in full
        begin(face, FaultKind.BROKERAGE_LOST)
        lost = await auth(client)
        assert (lost["connected"], lost["authenticated"]) == (True, False)
        assert lost["serverInfo"] == {"serverName": None, "serverVersion": None}


async def test_two_proofs_of_paper(pair: Pair) -> None:
    client, _ = pair
    assert (await client.json("GET", "/one/user"))["ispaper"] is True
    assert (await client.json("GET", "/sso/validate"))["LOGIN_TYPE"] == 2


async def test_init_may_say_wait(tmp_path: Path) -> None:
    async with simulated(tmp_path, behaviour=with_session(wait_share=1.0)) as (client, _):
        assert await client.call("POST", INIT, json={"publish": True}) == (200, b'{"wait":true}')
        async with asyncio.timeout(TIMEOUT):
            while not (await auth(client))["authenticated"]:
                pass


@pytest.mark.parametrize("status", [500, 503])
async def test_init_refused(tmp_path: Path, status: int) -> None:
    async with simulated(tmp_path) as (client, face):
        number = begin(face, FaultKind.INIT_REFUSED, status=status)
        assert (await client.call("POST", INIT, json={"publish": True}))[0] == status
        triggered = await client.json("POST", "/iserver/reauthenticate")
        assert triggered == {"message": "triggered"}
        assert (await auth(client))["authenticated"] is False
        face.world.faults.stop(number)
        await client.authenticate()


async def test_reauthenticate_works_by_get_and_with_force(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        answer = await client.json("GET", "/iserver/reauthenticate?force=true", prefix="/v1/portal")
        assert answer == {"message": "triggered"}
        async with asyncio.timeout(TIMEOUT):
            while not (await auth(client))["authenticated"]:
                pass


async def test_authentication_stuck(pair: Pair) -> None:
    client, face = pair
    number = begin(face, FaultKind.AUTHENTICATION_STUCK)
    answer = await client.json("POST", INIT, json={"publish": True, "compete": True})
    assert (answer["authenticated"], answer["connected"]) == (False, True)
    assert (await auth(client))["authenticated"] is False
    face.world.faults.stop(number)
    assert (await auth(client))["authenticated"] is True


async def test_a_competing_login(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.COMPETING_LOGIN)
    status = await auth(client)
    assert (status["competing"], status["authenticated"]) == (True, False)
    yielding = await client.json("POST", INIT, json={"publish": True, "compete": False})
    assert (yielding["competing"], yielding["authenticated"]) == (True, False)
    await client.json("POST", INIT, json={"publish": True, "compete": True})
    async with asyncio.timeout(TIMEOUT):
        while not (await auth(client))["authenticated"]:
            pass
    assert (await auth(client))["competing"] is False


async def test_ping_pong(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, face):
        begin(face, FaultKind.COMPETING_LOGIN, retakes=2, every=30.0)
        taken = []
        for _ in range(4):
            await client.json("POST", INIT, json={"publish": True, "compete": True})
            clock.advance(1)
            assert (await auth(client))["authenticated"] is True
            clock.advance(30)
            taken.append((await auth(client))["competing"])
        assert taken == [True, True, False, False]


async def test_two_gateways_of_one_user_compete(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        other = GatewayFace(face.world, face.user)
        assert other.login is not None
        now = face.world.clock.now()
        other.login.sessions.start_brokerage(other.login.token, now, compete=True)
        assert (await auth(client))["competing"] is True


async def test_the_session_id_changes(pair: Pair) -> None:
    client, face = pair
    before = (await client.json("GET", "/tickle"))["session"]
    assert (await client.json("GET", "/tickle"))["session"] == before
    begin(face, FaultKind.SESSION_ID_CHANGED)
    assert (await client.json("GET", "/tickle"))["session"] != before


async def test_an_empty_tickle(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.EMPTY_TICKLE)
    assert await client.call("POST", "/tickle") == (200, b"")


async def test_a_sparse_tickle(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.EMPTY_TICKLE, form="sparse")
    assert set(await client.json("POST", "/tickle")) == {"session", "hmds", "iserver"}


async def test_a_login_that_is_no_longer_valid_says_so(pair: Pair) -> None:
    client, face = pair
    begin(face, FaultKind.SSO_NOT_VALID)
    assert (await client.json("GET", "/sso/validate"))["RESULT"] is False
    assert (await auth(client))["authenticated"] is True


async def test_what_a_stuck_session_says(pair: Pair) -> None:
    client, face = pair
    number = begin(face, FaultKind.AUTHENTICATION_STUCK, message="stuck", fail="Force compete")
    status = await auth(client)
    assert (status["authenticated"], status["message"], status["fail"]) == (
        False,
        "stuck",
        "Force compete",
    )
    face.world.faults.stop(number)
    status = await auth(client)
    assert (status["authenticated"], status["message"], status["fail"]) == (True, "", "")


@pytest.mark.parametrize("authenticated", ["yes", "no"])
async def test_a_competing_session_may_still_say_authenticated(
    pair: Pair, authenticated: str
) -> None:
    client, face = pair
    begin(face, FaultKind.COMPETING_LOGIN, authenticated=authenticated)
    status = await auth(client)
    assert (status["authenticated"], status["competing"]) == (authenticated == "yes", True)
    await client.json("POST", INIT, json={"publish": True, "compete": True})
    await client.authenticate()
    status = await auth(client)
    assert (status["authenticated"], status["competing"]) == (True, False)


@pytest.mark.parametrize(("login", "status"), [("kept", 200), ("lost", 401)])
async def test_the_login_of_a_gateway_that_was_down(pair: Pair, login: str, status: int) -> None:
    client, face = pair
    face.world.faults.stop(begin(face, FaultKind.GATEWAY_DOWN, login=login))
    assert (await client.call("POST", "/tickle"))[0] == status


async def test_a_locked_user_may_not_come_in(pair: Pair) -> None:
    _, face = pair
    assert not face.world.sessions(face.user.username).locked
    begin(face, FaultKind.USER_LOCKED)
    assert face.world.sessions(face.user.username).locked


async def test_a_live_login_says_so_everywhere(tmp_path: Path) -> None:
    from ib_platform.simulator.users import AccountKind

    async with simulated(tmp_path, behaviour=QUICK) as (client, face):
        live = face.user.model_copy(update={"kind": AccountKind.LIVE, "account": "U1000001"})
        assert face.login is not None
        face.login.user = live
        await client.authenticate()
        assert (await client.json("GET", "/sso/validate"))["LOGIN_TYPE"] == 1
        assert (await client.json("GET", "/one/user"))["ispaper"] is False
        accounts = await client.json("GET", "/iserver/accounts")
        assert (accounts["isPaper"], accounts["accounts"]) == (False, ["U1000001"])


async def test_logout_says_true(pair: Pair) -> None:
    client, _ = pair
    assert await client.call("POST", "/logout") == (200, b'{"status":true}')
    assert (await auth(client))["authenticated"] is False


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[" * 100_000, b'{"publish":1}', b"publish"])
async def test_nonsense_is_no_publish(tmp_path: Path, body: bytes) -> None:
    async with simulated(tmp_path) as (client, _):
        status, answer = await client.call("POST", INIT, data=body)
        assert status == 500
        assert "error" in json.loads(answer)
