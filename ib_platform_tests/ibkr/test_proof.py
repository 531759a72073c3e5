"""A proof in several questions: what is final, what is asked again, and how often."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ib_platform.errors import LiveAccountError
from ib_platform.ibkr.messages import Welcome
from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.proof import (
    ACCOUNTS_PAUSE,
    TRIES,
    USER_PAUSE,
    VALIDATE_PAUSE,
    LoginQuestion,
    PaperProof,
    require_paper_welcome,
)
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform_tests.ibkr.tiny_gateway import TinyGateway, logged_in, tiny_gateway

PAPER = (200, {"LOGIN_TYPE": 2, "RESULT": True})
IS_PAPER = (200, {"username": "papera01", "ispaper": True})
ACCOUNTS = (200, {"accounts": ["DU1000001"], "isPaper": True})
EMPTY = (200, "")
UNKNOWN = (404, {"error": "Resource not found"})
LONG_AGO = 1e6


class Minutes:
    """The clock of the request limits: what was asked is long ago, unless a test stops it."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stands_still = False

    def __call__(self) -> float:
        if not self.stands_still:
            self.now += LONG_AGO
        return self.now


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[TinyGateway]:
    async with tiny_gateway(tmp_path) as gateway:
        gateway.answers = logged_in(2, True, "DU1000001")
        yield gateway


@pytest.fixture
def minutes() -> Minutes:
    return Minutes()


@pytest.fixture
async def client(gateway: TinyGateway, minutes: Minutes) -> AsyncIterator[GatewayClient]:
    tls = client_ssl_context(gateway.certificate)
    async with GatewayClient(gateway.port, tls, pace=Pace(clock=minutes)) as client:
        yield client


def _asked(gateway: TinyGateway, path: str) -> int:
    return [asked for _, asked, _ in gateway.requests].count(path)


async def test_a_proof_asks_once(gateway: TinyGateway, client: GatewayClient) -> None:
    proof = PaperProof("DU1000001", "alpha")
    assert await proof.login_is_paper(client, 0)
    assert _asked(gateway, "/iserver/accounts") == 0
    assert [await proof.is_proven(client, now) for now in range(3)] == [True] * 3
    assert _asked(gateway, "/sso/validate") == _asked(gateway, "/iserver/accounts") == 1
    proof.forget()
    assert await proof.is_proven(client, 3)
    assert _asked(gateway, "/sso/validate") == 2


async def test_an_empty_answer_is_asked_again_after_a_pause(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/sso/validate"] = [EMPTY, PAPER]
    gateway.answers["/iserver/accounts"] = [EMPTY, EMPTY, ACCOUNTS]
    proof = PaperProof("DU1000001", "alpha")
    assert not await proof.is_proven(client, 0)
    assert not await proof.is_proven(client, VALIDATE_PAUSE - 1)
    assert _asked(gateway, "/sso/validate") == 1
    now = VALIDATE_PAUSE
    assert not await proof.is_proven(client, now)
    assert not await proof.is_proven(client, now + ACCOUNTS_PAUSE / 2)
    assert _asked(gateway, "/iserver/accounts") == 1
    assert not await proof.is_proven(client, now + ACCOUNTS_PAUSE)
    assert await proof.is_proven(client, now + 2 * ACCOUNTS_PAUSE)


async def test_the_other_question_proves_what_the_first_one_does_not_say(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers |= {"/sso/validate": EMPTY, "/one/user": IS_PAPER}
    assert await PaperProof("DU1000001", "alpha").is_proven(client, 0)
    assert _asked(gateway, "/sso/validate") == _asked(gateway, "/one/user") == 1


async def test_a_program_may_ask_for_the_user_first(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/one/user"] = IS_PAPER
    proof = PaperProof("DU1000001", "alpha", first=LoginQuestion.ONE_USER)
    assert await proof.is_proven(client, 0)
    assert _asked(gateway, "/sso/validate") == 0
    gateway.answers["/one/user"] = UNKNOWN
    proof.forget()
    assert await proof.is_proven(client, 1), "a gateway without one/user: the other question"
    assert _asked(gateway, "/sso/validate") == 1


async def test_within_a_minute_the_login_is_proven_without_sso_validate(
    gateway: TinyGateway, client: GatewayClient, minutes: Minutes
) -> None:
    """A gateway program that is started again and again, as a drill does."""
    gateway.answers["/one/user"] = IS_PAPER
    proof = PaperProof("DU1000001", "alpha")
    assert await proof.login_is_paper(client, 0)
    minutes.stands_still = True
    for now in range(1, 5):
        proof.forget()
        assert await proof.login_is_paper(client, now)
    assert (_asked(gateway, "/sso/validate"), _asked(gateway, "/one/user")) == (1, 4)
    minutes.now += VALIDATE_PAUSE
    proof.forget()
    assert await proof.login_is_paper(client, 10)
    assert (_asked(gateway, "/sso/validate"), _asked(gateway, "/one/user")) == (2, 4)


async def test_within_a_minute_a_silent_user_proves_nothing(
    gateway: TinyGateway, client: GatewayClient, minutes: Minutes
) -> None:
    proof = PaperProof("DU1000001", "alpha")
    await client.sso_validate()
    minutes.stands_still = True
    gateway.answers["/one/user"] = EMPTY
    assert not await proof.is_proven(client, 0)
    assert not await proof.is_proven(client, USER_PAUSE / 2)
    assert not await proof.is_proven(client, USER_PAUSE)
    assert (_asked(gateway, "/one/user"), _asked(gateway, "/iserver/accounts")) == (2, 0)
    minutes.now += VALIDATE_PAUSE
    assert await proof.is_proven(client, VALIDATE_PAUSE)


@pytest.mark.parametrize(
    ("path", "answer", "word"),
    [
        ("/sso/validate", EMPTY, "LOGIN_TYPE None"),
        ("/sso/validate", (200, {"LOGIN_TYPE": 2, "RESULT": False}), "RESULT false"),
        ("/iserver/accounts", EMPTY, "isPaper None"),
        ("/iserver/accounts", (200, {"accounts": [], "isPaper": True}), "does not see"),
    ],
)
async def test_what_is_never_said_is_final_after_some_tries(
    gateway: TinyGateway, client: GatewayClient, path: str, answer: Any, word: str
) -> None:
    gateway.answers[path] = answer
    proof = PaperProof("DU1000001", "alpha")
    for number in range(TRIES - 1):
        assert not await proof.is_proven(client, number * VALIDATE_PAUSE)
    with pytest.raises(LiveAccountError, match=word):
        await proof.is_proven(client, TRIES * VALIDATE_PAUSE)


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/sso/validate", (200, {"LOGIN_TYPE": 1, "RESULT": True})),
        ("/sso/validate", (200, {"LOGIN_TYPE": 1, "RESULT": False})),
        ("/one/user", (200, {"ispaper": False})),
        ("/iserver/accounts", (200, {"accounts": ["DU1000001"], "isPaper": False})),
        ("/iserver/accounts", (200, {"isPaper": False})),
        ("/iserver/accounts", (200, {"accounts": ["U7"]})),
        ("/iserver/accounts", (200, {"accounts": ["DU2"], "isPaper": True})),
    ],
)
async def test_evidence_of_another_login_is_final_at_once(
    gateway: TinyGateway, client: GatewayClient, path: str, answer: Any
) -> None:
    gateway.answers[path] = answer
    first = LoginQuestion.ONE_USER if path == "/one/user" else LoginQuestion.VALIDATE
    with pytest.raises(LiveAccountError, match="not provably a paper login"):
        await PaperProof("DU1000001", "alpha", first=first).is_proven(client, 0)
    assert _asked(gateway, path) == 1


async def test_a_failed_question_proves_nothing(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/sso/validate"] = [(503, ""), PAPER]
    proof = PaperProof("DU1000001", "alpha")
    with pytest.raises(GatewayCallError):
        await proof.is_proven(client, 0)
    assert await proof.is_proven(client, VALIDATE_PAUSE)


@pytest.mark.parametrize(
    "welcome", [Welcome(None), Welcome(True), Welcome(True, "PaperA01"), Welcome(None, "papera01")]
)
def test_a_welcome_that_contradicts_nothing(welcome: Welcome) -> None:
    require_paper_welcome(welcome, "papera01", "alpha")


@pytest.mark.parametrize("welcome", [Welcome(False, "papera01"), Welcome(True, "live01")])
def test_a_welcome_of_another_login_is_refused(welcome: Welcome) -> None:
    with pytest.raises(LiveAccountError):
        require_paper_welcome(welcome, "papera01", "alpha")
