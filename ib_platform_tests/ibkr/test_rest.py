"""The REST client and the websocket against a real TLS server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.pacing import INTERVALS, TICKLE, Pace
from ib_platform.ibkr.rest import ContractInfo, GatewayCallError, GatewayClient
from ib_platform.ibkr.session import Accounts, SsoValidation
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.contract_details import ContractDetails
from ib_platform.marketdata.contracts import FutureMonth
from ib_platform_tests.ibkr.tiny_gateway import AUTHENTICATED, TinyGateway, tiny_gateway
from ib_platform_tests.ibkr.watch import Watch
from ib_platform_tests.ports import free_port

AUTH_STATUS = "/iserver/auth/status"


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[TinyGateway]:
    async with tiny_gateway(tmp_path) as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: TinyGateway) -> AsyncIterator[GatewayClient]:
    tls = client_ssl_context(gateway.certificate)
    # For this pace, minutes lie between two calls.
    pace = Pace(clock=count(0, 100).__next__)
    async with GatewayClient(gateway.port, tls, timeout=20, pace=pace) as client:
        yield client


async def test_tickle_gives_the_session_and_hides_it(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/tickle"] = (
        200,
        {"session": "s3cret", "iserver": {"authStatus": AUTHENTICATED}},
    )
    tickle = await client.tickle()
    assert tickle.session == "s3cret"
    assert tickle.status.usable
    assert "s3cret" not in repr(tickle)


@pytest.mark.parametrize("body", [{}, "", {"session": 5, "iserver": []}, {"iserver": None}])
async def test_a_tickle_that_says_nothing_is_no_failure(
    gateway: TinyGateway, client: GatewayClient, body: object
) -> None:
    gateway.answers["/tickle"] = (200, body)
    tickle = await client.tickle()
    assert (tickle.session, tickle.status) == (None, SessionStatus())


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (AUTHENTICATED, SessionStatus(True, True, False)),
        ({"authenticated": False, "MAC": "02"}, SessionStatus(authenticated=False)),
        ({"authenticated": "yes", "competing": 1}, SessionStatus()),
        ({"wait": True}, SessionStatus()),
    ],
)
async def test_auth_status_is_read_tolerantly(
    gateway: TinyGateway, client: GatewayClient, body: object, expected: SessionStatus
) -> None:
    gateway.answers[AUTH_STATUS] = (200, body)
    assert await client.auth_status() == expected
    assert gateway.requests == [("POST", AUTH_STATUS, "")]


async def test_the_session_is_initialised_without_competing(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/iserver/auth/ssodh/init"] = (200, {"passed": True, **AUTHENTICATED})
    assert (await client.ssodh_init()).usable
    assert gateway.requests[0][2] == '{"publish": true, "compete": false}'


async def test_the_proofs_of_paper(gateway: TinyGateway, client: GatewayClient) -> None:
    gateway.answers["/sso/validate"] = (200, {"LOGIN_TYPE": 2, "RESULT": True, "EXPIRES": 1})
    gateway.answers["/iserver/accounts"] = (200, {"accounts": ["DU1", 7], "isPaper": True})
    assert await client.sso_validate() == SsoValidation(2, True)
    assert await client.accounts() == Accounts(("DU1",), True)
    gateway.answers["/sso/validate"] = (200, {"LOGIN_TYPE": True})
    gateway.answers["/iserver/accounts"] = (200, {"accounts": "DU1", "isPaper": "yes"})
    assert await client.sso_validate() == SsoValidation(None, None)
    assert await client.accounts() == Accounts((), None)


@pytest.mark.parametrize(
    ("answer", "is_paper"),
    [
        ((200, {"username": "papera01", "ispaper": True}), True),
        ((200, {"ispaper": False}), False),
        ((200, {"ispaper": "true"}), None),
        ((200, ""), None),
        ((404, {"error": "Resource not found"}), None),
    ],
)
async def test_one_user(
    gateway: TinyGateway, client: GatewayClient, answer: tuple[int, object], is_paper: bool | None
) -> None:
    gateway.answers["/one/user"] = answer
    assert (await client.one_user()).is_paper is is_paper


async def test_a_refused_question_for_the_user_is_an_error(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/one/user"] = (401, "")
    with pytest.raises(GatewayCallError, match="401"):
        await client.one_user()


async def test_calls_wait_for_their_turn(gateway: TinyGateway, tmp_path: Path) -> None:
    gateway.answers["/tickle"] = (200, {})
    watch = Watch()
    pace = Pace(tmp_path / "pacing.json", clock=watch, sleep=watch.sleep)
    tls = client_ssl_context(gateway.certificate)
    for _ in range(2):
        # A program that was started again: another client, the same file.
        async with GatewayClient(gateway.port, tls, pace=pace) as client:
            await client.tickle()
    assert sum(watch.slept) == pytest.approx(INTERVALS[TICKLE])


async def test_futures_and_contract_info(gateway: TinyGateway, client: GatewayClient) -> None:
    gateway.answers["/trsrv/futures"] = (
        200,
        {"CL": [{"conid": 9, "expirationDate": 20261220, "ltd": 20261219}]},
    )
    found = await client.futures(["ES", "CL", "ES"])
    assert found == {"CL": (FutureMonth("CL", 9, date(2026, 12, 20), date(2026, 12, 19)),)}
    assert gateway.requests[0][1] == "/trsrv/futures?symbols=CL,ES"
    path = "/iserver/contract/9/info"
    for multiplier, expected in [("1000", 1000.0), (50, 50.0), (None, None), ("x", None)]:
        gateway.answers[path] = (200, {"exchange": "NYMEX", "multiplier": multiplier})
        assert await client.contract_info(9) == ContractInfo("NYMEX", expected)


async def test_details_hours_and_volumes_of_contracts(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    rules = {"exchange": "NYMEX", "multiplier": "1000", "rules": {"increment": 0.01}}
    gateway.answers["/iserver/contract/9/info-and-rules"] = (200, rules)
    assert await client.contract_details(9) == ContractDetails("NYMEX", 1000.0, Decimal("0.01"))
    hours = {"opening": 1795388400, "closing": 1795471200}
    schedules = {"schedules": {"20261123": {"extended_hours": [hours]}}}
    gateway.answers["/contract/trading-schedule"] = (200, schedules)
    (day,) = await client.sessions(9, "NYMEX")
    assert day.opens == datetime(2026, 11, 22, 23, tzinfo=UTC)
    gateway.answers["/iserver/marketdata/snapshot"] = (200, [{"conid": 9, "7762": "5"}])
    assert await client.volumes([9, 10]) == {9: 5}
    assert [path for _, path, _ in gateway.requests[1:]] == [
        "/contract/trading-schedule?conid=9&exchange=NYMEX",
        "/iserver/marketdata/snapshot?conids=9,10&fields=7762,87",
    ]


async def test_an_answer_that_is_no_schedule_is_an_error_with_the_call(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/contract/trading-schedule"] = (200, {"error": "unknown"})
    with pytest.raises(GatewayCallError, match="GET /contract/trading-schedule: HTTP 200"):
        await client.sessions(9, "NYMEX")


async def test_logout(gateway: TinyGateway, client: GatewayClient) -> None:
    gateway.answers["/logout"] = (200, {"status": True})
    await client.logout()
    assert gateway.requests == [("POST", "/logout", "")]


@pytest.mark.parametrize(
    ("status", "body", "seen"),
    [
        (401, "", 401),
        (200, {"error": "no session"}, 401),
        (400, {"error": "Bad Request: no bridge"}, 400),
        (429, {"error": "Too many requests"}, 429),
        (503, "", 503),
        (302, "", 302),
        (200, "<html>", 200),
        (200, [1], 200),
    ],
)
async def test_failures_carry_method_path_and_status(
    gateway: TinyGateway, client: GatewayClient, status: int, body: Any, seen: int
) -> None:
    gateway.answers[AUTH_STATUS] = (status, body)
    with pytest.raises(GatewayCallError) as caught:
        await client.auth_status()
    assert (caught.value.method, caught.value.path) == ("POST", AUTH_STATUS)
    assert caught.value.status == seen
    assert caught.value.exit_code == 6


async def test_a_long_error_page_is_cut(gateway: TinyGateway, client: GatewayClient) -> None:
    gateway.answers["/tickle"] = (500, "x" * 5000)
    with pytest.raises(GatewayCallError) as caught:
        await client.tickle()
    assert len(str(caught.value)) < 300


async def test_an_answer_that_is_no_list_of_futures(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    gateway.answers["/trsrv/futures"] = (200, {"error": "Service unavailable"})
    with pytest.raises(GatewayCallError, match="trsrv/futures"):
        await client.futures(["CL"])


async def test_nobody_listens(gateway: TinyGateway) -> None:
    tls = client_ssl_context(gateway.certificate)
    async with GatewayClient(free_port(), tls) as nobody:
        with pytest.raises(GatewayCallError) as caught:
            await nobody.tickle()
    assert caught.value.status is None
    assert "nothing listens on https://127.0.0.1:" in str(caught.value)


async def test_another_certificate_is_refused(gateway: TinyGateway, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    async with tiny_gateway(other) as impostor:
        tls = client_ssl_context(gateway.certificate)
        async with GatewayClient(impostor.port, tls) as client:
            with pytest.raises(GatewayCallError, match="presents another certificate"):
                await client.tickle()
        assert impostor.requests == []


async def test_payloads_come_as_bytes_exactly_as_sent(
    gateway: TinyGateway, client: GatewayClient
) -> None:
    texts: list[str | bytes] = ['{"a": "ü"}', b'{"b" :1}', b"\xff\x00", "ech+hb"]
    gateway.socket_messages = texts
    gateway.close_after_messages = True
    socket = await GatewaySocket.connect(client, "cafe")
    assert gateway.socket_cookie == "api=cafe"
    for sent in texts:
        assert await socket.receive() == (sent.encode() if isinstance(sent, str) else sent)
    assert await socket.receive() is None
    assert socket.close_code == 1000
    with pytest.raises(GatewayCallError):
        await socket.send("tic")
    await socket.close()


async def test_a_websocket_that_is_refused(client: GatewayClient, gateway: TinyGateway) -> None:
    tls = client_ssl_context(gateway.certificate)
    async with GatewayClient(free_port(), tls) as nobody:
        with pytest.raises(GatewayCallError) as caught:
            await GatewaySocket.connect(nobody, "cafe")
    assert caught.value.status is None


async def test_after_a_429_nothing_is_sent_and_the_first_call_is_one_tickle(
    gateway: TinyGateway, tmp_path: Path
) -> None:
    gateway.answers = {AUTH_STATUS: (429, ""), "/tickle": [(503, ""), (200, {})]}
    watch, tls = Watch(), client_ssl_context(gateway.certificate)
    paces = [
        Pace(tmp_path / "pacing.json", clock=watch, wall=watch, sleep=watch.sleep) for _ in range(2)
    ]
    async with (
        GatewayClient(gateway.port, tls, pace=paces[0]) as supervisor,
        GatewayClient(gateway.port, tls, pace=paces[1]) as streamer,
    ):
        for client in (streamer, streamer, supervisor):
            with pytest.raises(GatewayCallError) as caught:
                await client.auth_status()
            assert caught.value.status == 429
        assert "nothing was sent" in caught.value.body
        assert len(gateway.requests) == 1, "the others were not sent"
        watch.now += 900
        gateway.answers[AUTH_STATUS] = (200, {"authenticated": True})
        # The tickle is answered 503: an answer, so the penalty is over.
        assert (await supervisor.auth_status()).authenticated
        assert (await streamer.auth_status()).authenticated
    paths = [path for _, path, _ in gateway.requests]
    assert paths == [AUTH_STATUS, "/tickle", AUTH_STATUS, AUTH_STATUS]


async def test_a_gateway_that_refuses_the_first_tickle_too_begins_another_penalty(
    gateway: TinyGateway,
) -> None:
    gateway.answers = {"/tickle": (429, "")}
    watch, tls = Watch(), client_ssl_context(gateway.certificate)
    pace = Pace(clock=watch, wall=watch, sleep=watch.sleep)
    async with GatewayClient(gateway.port, tls, pace=pace) as client:
        for made in (1, 1, 2):
            with pytest.raises(GatewayCallError, match="429"):
                await client.tickle()
            assert len(gateway.requests) == made
            watch.now += 450


async def test_a_gateway_that_is_down_keeps_its_first_call_free(gateway: TinyGateway) -> None:
    watch, tls = Watch(), client_ssl_context(gateway.certificate)
    pace = Pace(clock=watch, wall=watch, sleep=watch.sleep)
    pace.penalised()
    watch.now += 900
    async with GatewayClient(free_port(), tls, pace=pace) as client:
        for _ in range(2):
            with pytest.raises(GatewayCallError, match="nothing listens"):
                await client.auth_status()
    assert pace.on_probation


async def test_an_urgent_logout_waits_for_no_penalty(gateway: TinyGateway) -> None:
    gateway.answers = {"/logout": (200, {"status": True})}
    watch, tls = Watch(), client_ssl_context(gateway.certificate)
    pace = Pace(clock=watch, wall=watch, sleep=watch.sleep)
    pace.penalised()
    async with GatewayClient(gateway.port, tls, pace=pace) as client:
        with pytest.raises(GatewayCallError, match="429"):
            await client.logout()
        await client.logout(urgent=True)
    assert [path for _, path, _ in gateway.requests] == ["/logout"]
