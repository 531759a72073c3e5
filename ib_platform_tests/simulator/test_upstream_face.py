"""Face B: the calls that IBKR's own gateway program makes upstream, as it was seen to make them.

Plain HTTP, cookies as the program keeps them: the browser's calls pass through with what the
browser has, its own calls carry ``USERID`` and ``REGION`` only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from ib_platform.simulator.app import upstream_listening
from ib_platform.simulator.behaviour import Behaviour, CookielessCalls, UpstreamParameters
from ib_platform.simulator.faces import UpstreamFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.second_factor import SecondFactor, totp
from ib_platform.simulator.shapes import user_id
from ib_platform.simulator.users import SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import TIMEOUT, SteppedClock
from ib_platform_tests.simulator.login_client import (
    LIVE,
    OTHER_PAPER,
    PAPER,
    SECRET,
    USERS,
    PageScript,
    live,
    logged_out,
    login_gateway,
    script_of,
)

LOGIN = "/sso/Login?forwardTo=22&RL=1&ip2loc=US"
BARE = {"authenticated", "competing", "connected", "MAC"}
PUBLISH = "/sso/Authenticator?ACTION=PUBLISH_TST&RESPTYPE=JSON"
Answer = tuple[int, bytes]


@dataclass
class Program:
    """The gateway program: its own calls, and the cookies that it has seen pass."""

    http: aiohttp.ClientSession
    base: str
    cookies: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, **options: Any) -> Answer:
        """One of its own calls."""
        headers = {"User-Agent": "ClientPortalGW/1", **cookie_header(self.cookies)}
        url = self.base + path
        async with self.http.request(method, url, headers=headers, **options) as answer:
            return answer.status, await answer.read()

    async def json(self, method: str, path: str) -> Any:
        status, body = await self.call(method, path)
        assert status == 200, (path, status, body)
        return json.loads(body)

    async def log_in(self, username: str, **options: Any) -> dict[str, str]:
        """A browser logs in through it; the cookies that the browser has then. From the 302 the
        program learns who it is."""
        answer = await PageScript(self.http, self.base).log_in(username, **options)
        assert answer.status == 302
        return self.learn(answer)

    def learn(self, answer: aiohttp.ClientResponse) -> dict[str, str]:
        got = {name: morsel.value for name, morsel in answer.cookies.items()}
        self.cookies = {"USERID": got["USERID"], "REGION": got["REGION"]}
        return got

    async def authenticated(self) -> Any:
        """Poll ``auth/status`` until it says so."""
        async with asyncio.timeout(TIMEOUT):
            while True:
                status = await self.json("GET", "/v1/portal/iserver/auth/status")
                if status["authenticated"]:
                    return status

    async def ready(self, username: str, **options: Any) -> dict[str, str]:
        """Logged in, with a brokerage session."""
        browser = await self.log_in(username, **options)
        await self.json("POST", "/v1/portal/iserver/reauthenticate")
        await self.authenticated()
        return browser


def cookie_header(cookies: dict[str, str]) -> dict[str, str]:
    text = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return {"Cookie": text} if text else {}


@asynccontextmanager
async def upstream(
    users: Sequence[SimulatedUser] = USERS,
    *,
    behaviour: Behaviour | None = None,
    clock: SteppedClock | None = None,
) -> AsyncIterator[tuple[Program, World]]:
    """Simulated IBKR on a plain port, and a gateway program in front of it."""
    world = World(users, seed=7, behaviour=behaviour or logged_out(), clock=clock)
    async with (
        upstream_listening(UpstreamFace(world), port=0) as listener,
        aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as http,
    ):
        yield Program(http, f"http://127.0.0.1:{listener.port}"), world


def another(program: Program) -> Program:
    """A second gateway program at the same IBKR."""
    return Program(program.http, program.base)


async def received(
    socket: aiohttp.ClientWebSocketResponse[bool], topic: str
) -> list[dict[str, Any]]:
    """Messages up to the first of a topic; all of them must be text."""
    messages: list[dict[str, Any]] = []
    async with asyncio.timeout(TIMEOUT):
        while not messages or not str(messages[-1].get("topic", "")).startswith(topic):
            message = await socket.receive()
            assert message.type is aiohttp.WSMsgType.TEXT, message
            messages.append(json.loads(message.data))
    return messages


async def front_conid(program: Program) -> int:
    months = (await program.json("GET", "/v1/portal/trsrv/futures?symbols=CL"))["CL"]
    return int(min(months, key=lambda month: month["expirationDate"])["conid"])


async def test_the_whole_sequence_of_a_login() -> None:
    async with upstream() as (program, _):
        # A browser opens the gateway's root and follows it to the page.
        async with program.http.get(program.base + "/", allow_redirects=False) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, LOGIN)
        status, html = await program.call("GET", LOGIN)
        assert status == 200
        assert b"xyz-button-login" in html

        # The page's script proves the password in two calls, then dispatches.
        script = PageScript(program.http, program.base)
        assert (await script.prove(PAPER.username))["step"] == "done"
        assert (await program.call("GET", "/v1/portal/sso/validate?gw=1"))[0] == 401
        answer = await script.dispatch()
        assert script.asked == ["POST /sso/Authenticator"] * 2 + ["POST /sso/Dispatcher"]
        assert answer.status == 302
        browser = program.learn(answer)
        assert program.cookies["USERID"] == str(user_id(PAPER))
        url = program.base + answer.headers["Location"]
        async with program.http.get(url, headers=cookie_header(browser)) as page:
            assert await page.read() == b"Client login succeeds"

        # Then the gateway by itself.
        valid = await program.json("GET", "/v1/portal/sso/validate?gw=1")
        assert (valid["RESULT"], valid["LOGIN_TYPE"]) == (True, 2)
        assert valid["USER_NAME"] == PAPER.username
        user = await program.json("GET", "/v1/portal/one/user")
        assert user["ispaper"] is True
        status, body = await program.call("POST", "/v1/portal/ssodh/init", data=b"")
        assert status == 500
        assert b"There was an error processing the request" in body
        assert (await program.call("POST", PUBLISH, data=b""))[0] == 200
        bare = await program.json("GET", "/v1/portal/iserver/auth/status")
        assert set(bare) == BARE
        assert (bare["authenticated"], bare["connected"], bare["competing"]) == (False,) * 3
        assert (await program.call("GET", "/v1/portal/iserver/accounts"))[0] == 400
        triggered = await program.call("POST", "/v1/portal/iserver/reauthenticate")
        assert triggered == (200, b'{"message":"triggered"}')
        full = await program.authenticated()
        assert full["connected"] is True
        assert full["fail"] == ""
        assert full["serverInfo"]["serverName"]
        again = await program.call("POST", "/v1/portal/ssodh/init", data=b"")
        assert again == (200, b'{"message":"sso dh already set"}')
        tickle = await program.json("POST", "/v1/portal/tickle")
        assert tickle["iserver"]["authStatus"]["authenticated"] is True

        # And a client of the gateway, whose calls pass through it.
        accounts = await program.json("GET", "/v1/api/iserver/accounts")
        assert (accounts["accounts"], accounts["isPaper"]) == ([PAPER.account], True)
        conid = await front_conid(program)
        url = program.base + "/v1/api/ws"
        async with program.http.ws_connect(url, headers=cookie_header(program.cookies)) as socket:
            await socket.send_str(f"sbd+{PAPER.account}+{conid}")
            greeting = await received(socket, "sts")
            assert greeting[0]["success"] == PAPER.username
            topic = f"sbd+{PAPER.account}+{conid}"
            ladder = (await received(socket, "sbd"))[-1]
            assert set(ladder) == {"topic", "data"}
            assert ladder["topic"] == topic, "asked for before the greeting, and not dropped"
            assert [row["row"] for row in ladder["data"]] == list(range(21))
            assert (await received(socket, "sbd"))[-1]["topic"] == topic
            assert "hb" in (await received(socket, "system"))[-1]


@pytest.mark.parametrize("path", ["/v1/api/ws", "/v1/portal/ws"])
@pytest.mark.parametrize("kind", ["browser", "program", "nothing"])
async def test_whose_websocket_it_is(path: str, kind: str) -> None:
    async with upstream() as (program, _):
        browser = await program.ready(PAPER.username)
        cookies = {"browser": browser, "program": program.cookies, "nothing": {}}[kind]
        async with program.http.ws_connect(
            program.base + path, headers=cookie_header(cookies)
        ) as socket:
            status = (await received(socket, "sts"))[-1]["args"]
            assert (status["username"], status["authenticated"]) == (PAPER.username, True)


async def test_a_websocket_before_the_login_waits_for_it() -> None:
    async with (
        upstream() as (program, _),
        program.http.ws_connect(program.base + "/v1/api/ws") as socket,
    ):
        message = await socket.receive(timeout=TIMEOUT)
        assert message.data == '{"message":"waiting for session"}'
        await program.ready(PAPER.username)
        assert (await received(socket, "sts"))[-1]["args"]["username"] == PAPER.username


async def test_reauthenticate_takes_as_long_as_at_ibkr() -> None:
    clock = SteppedClock()
    behaviour = logged_out(login_delay=(5.0, 7.0), authentication_delay=0.5)
    async with upstream(behaviour=behaviour, clock=clock) as (program, _):
        await program.log_in(PAPER.username)
        clock.advance(1)
        await program.json("POST", "/v1/portal/iserver/reauthenticate")
        clock.advance(3.9)
        path = "/v1/portal/iserver/auth/status"
        assert (await program.json("GET", path))["authenticated"] is False
        clock.advance(2.2)
        assert (await program.json("GET", path))["authenticated"] is True


async def test_a_login_alone_starts_no_brokerage_session() -> None:
    clock = SteppedClock()
    async with upstream(clock=clock) as (program, _):
        await program.log_in(PAPER.username)
        clock.advance(100)
        status = await program.json("GET", "/v1/portal/iserver/auth/status")
        assert status["authenticated"] is False


async def test_two_gateways_have_a_user_each() -> None:
    async with upstream() as (first, world):
        second = another(first)
        await first.ready(PAPER.username)
        await second.ready(OTHER_PAPER.username)
        for program, user in ((first, PAPER), (second, OTHER_PAPER)):
            accounts = await program.json("GET", "/v1/api/iserver/accounts")
            assert accounts["accounts"] == [user.account]
        assert (await another(first).call("GET", "/v1/api/tickle"))[0] == 401, "whose is it?"
        assert len(world.logins) == 2


async def test_the_session_cookie_wins_over_the_user() -> None:
    """Two browsers log in as one user; each goes on with its own login."""
    async with upstream() as (program, world):
        first = await program.log_in(PAPER.username)
        second = await program.log_in(PAPER.username)
        sessions = []
        for cookies in (first, second, program.cookies):
            program.cookies = cookies
            sessions.append((await program.json("GET", "/v1/api/tickle"))["session"])
        assert sessions[0] != sessions[1]
        assert sessions[2] == sessions[1], "the newest login of the user id"
        oldest, newest = world.logins.values()
        world.end_login(newest)
        assert (await program.json("GET", "/v1/api/tickle"))["session"] == oldest.session_id


@pytest.mark.parametrize(
    "cookies",
    [
        {"USERID": "1"},
        {"USERID": "nonsense"},
        {"x-sess-uuid": "0" * 32},
        {"x-sess-uuid": "", "USERID": ""},
    ],
)
async def test_cookies_that_nobody_has(cookies: dict[str, str]) -> None:
    """They are somebody else's: the only login there is must not be lent to them."""
    async with upstream() as (program, _):
        await program.log_in(PAPER.username)
        program.cookies = cookies
        assert await program.call("GET", "/v1/portal/sso/validate?gw=1") == (401, b"")
        assert (await program.call("POST", "/v1/portal/ssodh/init", data=b""))[0] == 401
        assert (await program.call("POST", PUBLISH, data=b""))[0] == 401


@pytest.mark.parametrize(
    ("parameter", "status"), [(CookielessCalls.SOLE_LOGIN, 200), (CookielessCalls.REFUSED, 401)]
)
async def test_calls_without_cookies(parameter: CookielessCalls, status: int) -> None:
    behaviour = replace(logged_out(), upstream=UpstreamParameters(without_cookie=parameter))
    async with upstream(behaviour=behaviour) as (program, _):
        assert (await another(program).call("GET", "/v1/api/tickle"))[0] == 401
        await program.log_in(PAPER.username)
        assert (await another(program).call("GET", "/v1/api/tickle"))[0] == status


async def test_a_live_user() -> None:
    async with upstream() as (program, _):
        await program.ready(LIVE.username, paper=False)
        assert (await program.json("GET", "/v1/portal/one/user"))["ispaper"] is False
        assert (await program.json("GET", "/v1/portal/sso/validate?gw=1"))["LOGIN_TYPE"] == 1


async def test_a_session_that_never_authenticates() -> None:
    clock = SteppedClock()
    trapped = live(SecondFactor.TOTP, authenticates=False)
    async with upstream([trapped], clock=clock) as (program, _):
        script = PageScript(program.http, program.base)
        await script.prove(trapped.username, paper=False)
        await script.go_on(CODE=totp(SECRET, clock.wall()))
        program.learn(await script.dispatch())
        for _ in range(3):
            await program.json("POST", "/v1/portal/iserver/reauthenticate")
            clock.advance(30)
            assert (await program.call("POST", "/v1/portal/tickle"))[0] == 200
            status = await program.json("GET", "/v1/portal/iserver/auth/status")
            assert status["authenticated"] is False


async def test_tickles_keep_a_login_and_their_end_ends_it() -> None:
    """Every 30 s, as the program does it by itself; nothing here does it in its place."""
    clock = SteppedClock()
    async with upstream(clock=clock) as (program, _):
        await program.log_in(PAPER.username)
        await program.json("POST", "/v1/portal/iserver/reauthenticate")
        for _ in range(40):
            clock.advance(30)
            tickle = await program.json("POST", "/v1/portal/tickle")
            assert tickle["iserver"]["authStatus"]["authenticated"] is True
        clock.advance(601)
        assert (await program.call("POST", "/v1/portal/tickle"))[0] == 401


async def test_faults_are_those_of_face_a() -> None:
    async with upstream() as (program, world):
        await program.ready(PAPER.username)
        now = world.clock.now()
        world.faults.begin(FaultKind.NO_BRIDGE, now, seconds=60, username=PAPER.username)
        assert (await program.call("GET", "/v1/api/iserver/accounts"))[0] == 400
        world.faults.clear()
        assert (await program.call("GET", "/v1/api/iserver/accounts"))[0] == 200
        world.faults.begin(FaultKind.LOGIN_LOST, now, username=PAPER.username)
        assert (await program.call("GET", "/v1/api/tickle"))[0] == 401


async def test_the_gateways_own_calls_are_not_face_a(tmp_path: Path) -> None:
    """A gateway's clients have no use for ``ssodh/init`` without ``/iserver``."""
    async with login_gateway(tmp_path) as (client, _):
        await script_of(client).log_in(PAPER.username)
        assert (await client.call("POST", "/ssodh/init", data=b""))[0] == 404
