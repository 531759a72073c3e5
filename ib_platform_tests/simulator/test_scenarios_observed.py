"""Scenarios of sessions and logins, from a client's side. A test is named after its scenario."""

from __future__ import annotations

import asyncio
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ib_platform.simulator.scenario_library import scenario_names
from ib_platform.simulator.second_factor import totp
from ib_platform.simulator.users import simulated_password
from ib_platform_tests.simulator.client import TIMEOUT, USER, Client
from ib_platform_tests.simulator.drilled import Drilled, drilled
from ib_platform_tests.simulator.login_client import PageScript, script_of

OTHER_FILES = ("test_scenarios_of_data_observed", "test_scenarios_of_transport_observed")


def test_every_scenario_is_observed() -> None:
    names = set(globals())
    for file in OTHER_FILES:
        names |= set(vars(import_module(f"ib_platform_tests.simulator.{file}")))
    missing = {name for name in scenario_names() if f"test_{name}" not in names}
    assert not missing


async def status_of(client: Client) -> dict[str, Any]:
    status: dict[str, Any] = await client.json("GET", "/iserver/auth/status")
    return status


async def becomes(client: Client, authenticated: bool) -> dict[str, Any]:
    """The status when it says so."""
    async with asyncio.timeout(TIMEOUT):
        while (status := await status_of(client))["authenticated"] is not authenticated:
            pass
    return status


async def prove(drill: Drilled, **options: Any) -> tuple[PageScript, Any]:
    """Name and right password of the first paper user on the login page; the step after it."""
    script = script_of(drill.client)
    password = simulated_password(USER.username)
    return script, await script.prove(USER.username, password, **options)


async def page_of(client: Client) -> str:
    status, body = await client.call("GET", "/sso/Login?forwardTo=22&RL=1", prefix="")
    assert status == 200
    return body.decode()


async def test_stuck_authentication(tmp_path: Path) -> None:
    async with drilled(tmp_path, "stuck_authentication") as drill:
        client = drill.client
        await client.authenticate()
        await drill.at(60)
        assert (await status_of(client))["connected"]
        status = await status_of(client)
        assert not status["authenticated"]
        assert status["fail"].startswith("Force compete")
        init = {"json": {"publish": True, "compete": True}}
        assert (await client.call("POST", "/iserver/auth/ssodh/init", **init))[0] == 503
        await drill.at(125)
        assert (await client.call("POST", "/iserver/auth/ssodh/init", **init))[0] == 200
        drill.clock.jump(30)
        assert not (await status_of(client))["authenticated"]
        await drill.at(245)
        await client.authenticate()


async def test_session_drops(tmp_path: Path) -> None:
    async with drilled(tmp_path, "session_drops") as drill:
        for instant in (60, 180, 300):
            await drill.client.authenticate()
            await drill.at(instant)
            status = await status_of(drill.client)
            assert (status["connected"], status["authenticated"]) == (True, False)


async def test_no_bridge(tmp_path: Path) -> None:
    async with drilled(tmp_path, "no_bridge") as drill:
        client = drill.client
        await client.authenticate()
        await drill.at(60)
        await client.authenticate()
        status, body = await client.call("GET", "/iserver/accounts")
        assert (status, json.loads(body)["error"]) == (400, "Bad Request: no bridge")
        await drill.at(95)
        assert (await client.call("GET", "/iserver/accounts"))[0] == 200


async def test_login_expires(tmp_path: Path) -> None:
    async with drilled(tmp_path, "login_expires") as drill:
        assert (await drill.client.call("GET", "/tickle"))[0] == 200
        await drill.at(100)
        assert (await drill.client.json("GET", "/sso/validate"))["RESULT"] is False
        assert (await drill.client.call("GET", "/tickle"))[0] == 200
        await drill.at(120)
        assert await drill.client.call("GET", "/tickle") == (401, b"")
        script, step = await prove(drill)
        assert step["step"] == "done"
        await script.dispatch()
        assert (await drill.client.call("GET", "/tickle"))[0] == 200


async def test_no_session_text(tmp_path: Path) -> None:
    async with drilled(tmp_path, "no_session_text") as drill:
        await drill.at(60)
        assert await drill.client.call("GET", "/tickle") == (200, b'{"error":"no session"}')


async def test_session_renewed(tmp_path: Path) -> None:
    async with drilled(tmp_path, "session_renewed") as drill:
        seen = []
        for instant in (0, 60, 180):
            await drill.at(instant)
            seen.append((await drill.client.json("POST", "/tickle"))["session"])
        assert len(set(seen)) == 3


async def test_competing_phone(tmp_path: Path) -> None:
    async with drilled(tmp_path, "competing_phone") as drill:
        await drill.client.authenticate()
        await drill.at(60)
        status = await becomes(drill.client, False)
        assert status["competing"]
        await drill.at(185)
        await drill.client.authenticate()
        assert not (await status_of(drill.client))["competing"]


async def test_ping_pong(tmp_path: Path) -> None:
    async with drilled(tmp_path, "ping_pong") as drill:
        await drill.client.authenticate()
        await drill.at(60)
        compete = {"json": {"publish": True, "compete": True}}
        for _ in range(5):
            assert (await becomes(drill.client, False))["competing"]
            await drill.client.json("POST", "/iserver/auth/ssodh/init", **compete)
            await becomes(drill.client, True)
            drill.clock.jump(21)
        assert (await becomes(drill.client, False))["competing"]
        await drill.client.json("POST", "/iserver/auth/ssodh/init", **compete)
        await becomes(drill.client, True)
        drill.clock.jump(60)
        assert (await status_of(drill.client))["authenticated"], "the other one has given up"


async def test_nightly_reset(tmp_path: Path) -> None:
    async with drilled(tmp_path, "nightly_reset") as drill:
        client = drill.client
        await client.authenticate()
        assert (await client.call("GET", "/iserver/accounts"))[0] == 200
        await drill.at(125)
        assert (await client.call("GET", "/iserver/accounts"))[0] == 503
        assert (await client.call("GET", "/portfolio/accounts"))[0] == 200
        await drill.at(215)
        await client.authenticate()
        assert (await client.call("GET", "/iserver/accounts"))[0] == 200


async def test_weekend_maintenance(tmp_path: Path) -> None:
    async with drilled(tmp_path, "weekend_maintenance") as drill:
        await drill.client.authenticate()
        socket = await drill.client.greeted()
        await drill.at(125)
        async with asyncio.timeout(TIMEOUT):
            while not socket.closed:
                await socket.receive()
        assert (await drill.client.call("GET", "/tickle"))[0] == 503
        await drill.at(305)
        assert (await drill.client.call("GET", "/tickle"))[0] in (200, 401)


async def test_login_page_changed(tmp_path: Path) -> None:
    async with drilled(tmp_path, "login_page_changed") as drill:
        assert 'name="user_name"' in await page_of(drill.client)
        await drill.at(0)
        page = await page_of(drill.client)
        assert 'name="user_name"' not in page
        assert 'id="xyz-field-username"' in page


async def test_push_to_login(tmp_path: Path) -> None:
    async with drilled(tmp_path, "push_to_login") as drill:
        await drill.at(0)
        script, step = await prove(drill)
        assert step["step"] == "notification"
        assert (await script.go_on("POLL"))["step"] == "waiting"
        drill.clock.jump(61)
        step = await script.go_on("POLL")
        assert (step["step"], step["text"]) == ("error", "failed")
        assert (await drill.client.call("GET", "/tickle"))[0] == 401


async def test_totp_trap(tmp_path: Path) -> None:
    async with drilled(tmp_path, "totp_trap") as drill:
        script, step = await prove(drill)
        assert step["step"] == "code"
        secret = drill.world.behaviour.login_page.totp_secret
        step = await script.go_on(CODE=totp(secret, drill.clock.wall()))
        assert step["step"] == "done"
        assert (await script.dispatch()).status == 302
        assert (await drill.client.call("GET", "/tickle"))[0] == 200
        for _ in range(3):
            await drill.client.call("POST", "/iserver/auth/ssodh/init", json={"publish": True})
            drill.clock.jump(100)
            assert not (await status_of(drill.client))["authenticated"]


async def test_locked_out(tmp_path: Path) -> None:
    async with drilled(tmp_path, "locked_out") as drill:
        await drill.at(0)
        _, step = await prove(drill)
        assert step["step"] == "error"
        assert "locked" in step["text"]


async def test_login_fails(tmp_path: Path) -> None:
    async with drilled(tmp_path, "login_fails") as drill:
        await drill.at(0)
        for _ in range(drill.world.behaviour.session.lock_after):
            _, step = await prove(drill)
            assert (step["step"], step["text"]) == ("error", "failed")
        await drill.at(121)
        _, step = await prove(drill)
        assert step["step"] == "done", "none of these counted as a wrong password"


async def test_wrong_login_mode(tmp_path: Path) -> None:
    async with drilled(tmp_path, "wrong_login_mode") as drill:
        page = await page_of(drill.client)
        assert 'for="toggle1"' in page
        assert 'id="toggle1" checked' not in page
        _, step = await prove(drill, paper=False)
        assert step["step"] == "error"
        assert "specified user is a Paper Trading user" in step["text"]
        _, step = await prove(drill, paper=True)
        assert step["step"] == "done"


@pytest.mark.parametrize("name", scenario_names())
async def test_the_other_user_can_be_asked_too(tmp_path: Path, name: str) -> None:
    """Whatever has happened, the simulator answers both gateways when everything has ended."""
    async with drilled(tmp_path, name) as drill:
        await drill.at(400)
        drill.world.faults.clear()
        drill.clock.jump(1_000)
        await drill.watch.look()
        for client in drill.clients:
            assert (await client.call("GET", "/tickle"))[0] in (200, 401)
