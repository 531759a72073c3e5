"""Users and clients for tests of the login: what the page's script does, without a browser."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.simulator.app import gateway_listening
from ib_platform.simulator.behaviour import Behaviour, GatewayParameters, LoginPageParameters
from ib_platform.simulator.clock import Clock
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.second_factor import SecondFactor
from ib_platform.simulator.srp import LOGIN_GROUP
from ib_platform.simulator.srp import Client as SrpClient
from ib_platform.simulator.users import AccountKind, SimulatedUser
from ib_platform.simulator.world import World
from ib_platform_tests.simulator.client import QUICK, Client, client_of

SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
PASSWORD = "p:ässword 1"
PAPER = SimulatedUser(username="papera01", password=PASSWORD, account="DU1000001")
OTHER_PAPER = SimulatedUser(username="paperb02", password=PASSWORD, account="DU1000002")


def live(factor: SecondFactor = SecondFactor.NONE, **changes: Any) -> SimulatedUser:
    """A live user called after the second factor that is asked of it."""
    wanted = {
        "username": f"live-{factor}",
        "password": PASSWORD,
        "account": "U2000001",
        "kind": AccountKind.LIVE,
        "second_factor": factor,
        "totp_secret": SECRET,
    }
    return SimulatedUser.model_validate(wanted | changes)


LIVE = live()
USERS = (PAPER, OTHER_PAPER, *(live(factor) for factor in SecondFactor))


def logged_out(page: LoginPageParameters | None = None, **session: Any) -> Behaviour:
    """A gateway that nobody has logged in to yet, and quick."""
    return replace(
        QUICK,
        gateway=GatewayParameters(logged_in=False, auth_delay=0.0),
        login_page=page or LoginPageParameters(),
        session=replace(QUICK.session, **session),
    )


@asynccontextmanager
async def login_gateway(
    folder: Path,
    *,
    users: Sequence[SimulatedUser] = USERS,
    behaviour: Behaviour | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[tuple[Client, GatewayFace]]:
    """Face A of the first user, listening, and a client of it."""
    certificate, key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, key)
    world = World(users, seed=7, behaviour=behaviour or logged_out(), clock=clock)
    face = GatewayFace(world, users[0])
    async with (
        gateway_listening(face, certificate=certificate, private_key=key, port=0) as listener,
        client_of(listener.port, client_ssl_context(certificate)) as client,
    ):
        yield client, face


@dataclass
class PageScript:
    """Logs in over HTTP as the script of the page does. ``base``: scheme, host and port.
    ``asked``: the calls made, in order."""

    http: aiohttp.ClientSession
    base: str
    asked: list[str] = field(default_factory=list)
    exchange: str = ""

    async def post(self, **fields: str) -> tuple[int, Any]:
        """One call of ``/sso/Authenticator``."""
        self.asked.append("POST /sso/Authenticator")
        async with self.http.post(f"{self.base}/sso/Authenticator", data=fields) as answer:
            return answer.status, json.loads(await answer.read())

    async def prove(
        self, username: str, password: str = PASSWORD, *, paper: bool | None = True
    ) -> Any:
        """Both halves of the exchange; the step that the page shows then."""
        mine = SrpClient(LOGIN_GROUP, username, password)
        fields = {"ACTION": "INIT", "USER": username, "A": f"{mine.public:x}"}
        if paper is not None:
            fields["LOGIN_TYPE"] = "2" if paper else "1"
        status, challenge = await self.post(**fields)
        assert status == 200, challenge
        self.exchange = challenge["EXCHANGE"]
        proof, expected = mine.prove(bytes.fromhex(challenge["salt"]), int(challenge["B"], 16))
        status, step = await self.post(
            ACTION="COMPLETEAUTH", EXCHANGE=self.exchange, M1=proof.hex()
        )
        assert status == 200, step
        if step["step"] != "error":
            assert step["M2"] == expected.hex(), "the server has to prove itself too"
        return step

    async def go_on(self, action: str = "COMPLETETWOFACT", **fields: str) -> Any:
        """A further step of the second factor."""
        status, step = await self.post(ACTION=action, EXCHANGE=self.exchange, **fields)
        assert status == 200, step
        return step

    async def dispatch(self) -> aiohttp.ClientResponse:
        """The end: an answer whose redirection is not followed."""
        self.asked.append("POST /sso/Dispatcher")
        answer = await self.http.post(
            f"{self.base}/sso/Dispatcher", data={"EXCHANGE": self.exchange}, allow_redirects=False
        )
        await answer.read()
        return answer

    async def log_in(self, username: str, **options: Any) -> aiohttp.ClientResponse:
        """All of it, for a user without a second factor."""
        assert (await self.prove(username, **options))["step"] == "done"
        return await self.dispatch()


def script_of(client: Client) -> PageScript:
    """The page's script at face A."""
    return PageScript(client.http, f"https://127.0.0.1:{client.port}")
