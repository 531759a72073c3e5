"""Whose websocket it is: cookies, greetings that vary, the face behind a gateway, outages."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.simulator.app import upstream_listening
from ib_platform.simulator.behaviour import Behaviour, CookielessCalls, UpstreamParameters
from ib_platform.simulator.faces import SESSION_COOKIE, UpstreamFace
from ib_platform.simulator.greeting import GreetingParameters
from ib_platform.simulator.login import Login
from ib_platform.simulator.outages import OutageParameters
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import (
    QUICK,
    TIMEOUT,
    USER,
    SteppedClock,
    of_topic,
    receive,
    receive_until,
    simulated,
)
from ib_platform_tests.simulator.sockets import (
    ACCOUNT,
    Socket,
    closed_with,
    settled,
    topics_of_beats,
)

WAITING = b'{"message":"waiting for session"}'
STRICT = replace(QUICK, greeting=GreetingParameters(require_session_cookie=True))


@pytest.mark.parametrize("form", ['{{"session":"{}"}}', '{{"session": "{}"}}', "{}"])
async def test_both_forms_of_the_session_cookie(tmp_path: Path, form: str) -> None:
    async with simulated(tmp_path, behaviour=STRICT) as (client, face):
        await client.authenticate()
        session = (await client.json("GET", "/tickle"))["session"]
        cookie = {"Cookie": "api=" + form.format(session)}
        socket = await client.connect(headers=cookie)
        await receive_until(socket, of_topic("sts"))


@pytest.mark.parametrize("headers", [{}, {"Cookie": "api=0123"}, {"Cookie": 'api={"session":1}'}])
async def test_another_session_waits_where_the_cookie_is_required(
    tmp_path: Path, headers: dict[str, str]
) -> None:
    async with simulated(tmp_path, behaviour=STRICT) as (client, _):
        await client.authenticate()
        socket = await client.connect(headers=headers)
        for _ in range(3):
            assert await receive(socket) == WAITING


async def test_a_gateway_knows_its_session_by_itself(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        await client.authenticate()
        socket = await client.connect(headers={"Cookie": "api=of-yesterday"})
        await receive_until(socket, of_topic("sts"))


async def test_the_session_as_a_first_message_is_an_unknown_topic(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        await client.authenticate()
        socket = await client.greeted()
        await socket.send_str('{"session":"0123"}')
        answer = (await receive_until(socket, lambda message: "error" in message))[-1]
        assert answer["error"] == "Topic unknown '{\"s'"


async def test_act_in_parts_is_whole_when_merged(tmp_path: Path) -> None:
    parts = replace(QUICK, greeting=GreetingParameters(act_in_parts_share=1.0))
    async with simulated(tmp_path, behaviour=parts) as (client, _):
        await client.authenticate()
        socket = await client.connect()
        messages = await receive_until(socket, of_topic("sts"))
        assert [message["topic"] for message in messages] == ["system", "act", "act", "sts"]
        merged = messages[1]["args"] | messages[2]["args"]
        assert merged["accounts"] == [ACCOUNT]
        assert ACCOUNT in merged["acctProps"]


async def test_a_shuffled_greeting_is_complete(tmp_path: Path) -> None:
    shuffled = replace(QUICK, greeting=GreetingParameters(shuffled=True))
    orders = set()
    async with simulated(tmp_path, behaviour=shuffled) as (client, _):
        await client.authenticate()
        for _ in range(12):
            socket = await client.connect()
            topics = [json.loads(await receive(socket))["topic"] for _ in range(3)]
            assert sorted(topics) == ["act", "sts", "system"]
            orders.add(tuple(topics))
            await socket.close()
    assert len(orders) > 1


async def test_the_weekend_closes_the_websockets(tmp_path: Path) -> None:
    """The stepped clock begins on Friday, 15 January 2027, 08:00 UTC: 03:00 in New York."""
    clock = SteppedClock()
    outages = OutageParameters(weekend=True)
    behaviour = replace(QUICK, outages=outages, session=replace(QUICK.session, idle_timeout=1e9))
    async with simulated(tmp_path, behaviour=behaviour, clock=clock) as (client, _):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        clock.advance(1)
        socket = await client.greeted()
        clock.advance(38 * 3600)
        await settled(socket)
        clock.advance(3600)
        assert await closed_with(socket) == 1001


# Face B: IBKR behind a real gateway program. Plain HTTP, text frames, cookies.


@asynccontextmanager
async def upstream(
    behaviour: Behaviour = QUICK,
) -> AsyncIterator[tuple[World, Login, Any]]:
    """A simulated IBKR with one login, and a function that opens its websocket."""
    world = World([SimulatedUser.of(USER)], seed=7, behaviour=behaviour)
    login = world.log_in(world.users[0], fresh=False)
    async with (
        upstream_listening(UpstreamFace(world), port=0) as listener,
        aiohttp.ClientSession() as http,
    ):
        url = f"ws://127.0.0.1:{listener.port}/v1/portal/ws"

        async def connect(token: str | None = login.token) -> Socket:
            headers = {} if token is None else {"Cookie": f"{SESSION_COOKIE}={token}"}
            return await http.ws_connect(url, headers=headers)

        yield world, login, connect


async def text(socket: Socket) -> str:
    message = await socket.receive(timeout=TIMEOUT)
    assert message.type is aiohttp.WSMsgType.TEXT, message
    return str(message.data)


async def text_of_topic(socket: Socket, topic: str) -> dict[str, Any]:
    async with asyncio.timeout(TIMEOUT):
        while True:
            message: dict[str, Any] = json.loads(await text(socket))
            if str(message.get("topic", "")).startswith(topic):
                return message


async def test_upstream_frames_are_text() -> None:
    async with upstream() as (world, login, connect):
        login.sessions.start_brokerage(login.token, world.clock.now(), compete=False)
        socket = await connect()
        assert (await text_of_topic(socket, "system"))["success"] == "papera01"
        await text_of_topic(socket, "act")
        await text_of_topic(socket, "sts")
        await socket.close()


async def test_upstream_keeps_what_is_said_too_early() -> None:
    async with upstream() as (world, login, connect):
        conid = world.catalogue.months_of("CL")[0].conid
        socket = await connect()
        await socket.send_str(f"sbd+{ACCOUNT}+{conid}")
        await socket.send_str("tic")
        assert json.loads(await text(socket)) == json.loads(WAITING)
        login.sessions.start_brokerage(login.token, world.clock.now(), compete=False)
        await text_of_topic(socket, "sts")
        await text_of_topic(socket, "tic")
        await text_of_topic(socket, f"sbd+{ACCOUNT}+{conid}")
        await socket.close()


async def test_upstream_keeps_no_more_than_a_client_can_mean() -> None:
    async with upstream() as (world, login, connect):
        socket = await connect()
        for _ in range(150):
            await socket.send_str("tic")
        assert json.loads(await text(socket)) == json.loads(WAITING)
        login.sessions.start_brokerage(login.token, world.clock.now(), compete=False)
        await text_of_topic(socket, "sts")
        await socket.send_str("ech+hb")
        answers = 0
        async with asyncio.timeout(TIMEOUT):
            while (message := await text(socket)) != "ech+hb":
                answers += '"tic"' in message
        assert answers == 100
        await socket.close()


@pytest.mark.parametrize("token", [None, "somebody-elses"])
async def test_upstream_greets_nobody_without_a_cookie(token: str | None) -> None:
    parameters = UpstreamParameters(without_cookie=CookielessCalls.REFUSED)
    async with upstream(replace(QUICK, upstream=parameters)) as (world, login, connect):
        login.sessions.start_brokerage(login.token, world.clock.now(), compete=False)
        socket = await connect(token)
        for _ in range(3):
            assert json.loads(await text(socket)) == json.loads(WAITING)
        await socket.close()


async def test_a_login_that_ended_takes_its_websocket_with_it(tmp_path: Path) -> None:
    """The greeted websocket stays the one of its login: a new login needs a new websocket."""
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        socket = await client.greeted()
        assert face.login is not None
        face.world.end_login(face.login)
        face.login = face.world.log_in(face.user, fresh=False)
        pieces = await receive_until(
            socket, lambda message: message.get("args") == {"authenticated": False}
        )
        assert all(len(message["args"]) == 1 for message in pieces if message["topic"] == "sts")
        await client.authenticate()
        await client.greeted()
        assert "sts" not in await topics_of_beats(socket, 2)
