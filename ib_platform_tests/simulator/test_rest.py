"""REST over real TLS: shapes, quirks, and what is refused without a session."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import aiohttp
import pytest

from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.marketdata.frames import classify
from ib_platform_tests.simulator.client import (
    TIMEOUT,
    Client,
    SteppedClock,
    simulated,
    with_session,
)

NO_BRIDGE = b'{"error":"Bad Request: no bridge","statusCode":400}'
NEED_BRIDGE = [
    "/iserver/accounts",
    "/iserver/account/orders",
    "/iserver/account/trades",
    "/iserver/account/DU1000001/summary",
    "/iserver/account/pnl/partitioned",
    "/iserver/secdef/search?symbol=ES",
    "/iserver/secdef/info?conid=1&secType=FUT&month=DEC26",
    "/iserver/contract/1/info",
    "/iserver/contract/1/info-and-rules",
    "/iserver/marketdata/snapshot?conids=1&fields=31",
    "/iserver/marketdata/history?conid=1&bar=1min",
    "/iserver/marketdata/unsubscribeall",
    "/iserver/marketdata/1/unsubscribe",
]
NEED_SSO = [
    ("POST", "/tickle"),
    ("GET", "/tickle"),
    ("GET", "/iserver/auth/status"),
    ("POST", "/iserver/auth/ssodh/init"),
    ("POST", "/iserver/reauthenticate"),
    ("POST", "/logout"),
    ("GET", "/sso/validate"),
    ("GET", "/portfolio/accounts"),
    ("GET", "/portfolio/subaccounts"),
    ("GET", "/portfolio/DU1000001/summary"),
    ("GET", "/trsrv/futures?symbols=CL"),
    ("GET", "/trsrv/secdef?conids=1"),
    ("GET", "/trsrv/secdef/schedule?assetClass=FUT&symbol=CL"),
    ("GET", "/contract/trading-schedule?conid=1"),
    ("POST", "/iserver/secdef/search"),
    ("POST", "/iserver/contract/rules"),
    ("POST", "/iserver/marketdata/unsubscribe"),
    *(("GET", path) for path in NEED_BRIDGE),
]


@pytest.mark.parametrize("prefix", ["/v1/api", "/v1/portal"])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_status_before_and_after_init(fresh: Client, prefix: str, method: str) -> None:
    before = await fresh.json(method, "/iserver/auth/status", prefix=prefix)
    assert before["authenticated"] is False
    assert before["connected"] is True
    assert before["competing"] is False
    assert before["serverInfo"] == {"serverName": None, "serverVersion": None}
    await fresh.authenticate()
    after = await fresh.json(method, "/iserver/auth/status", prefix=prefix)
    assert after["authenticated"] is True
    assert after["fail"] == ""
    assert after["MAC"]
    assert after["hardware_info"]
    assert after["serverInfo"]["serverName"]


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_tickle(fresh: Client, method: str) -> None:
    first = await fresh.json(method, "/tickle")
    assert first["iserver"]["authStatus"]["authenticated"] is False
    await fresh.authenticate()
    second = await fresh.json(method, "/tickle")
    assert second["iserver"]["authStatus"]["authenticated"] is True
    assert second["session"] == first["session"]
    assert len(second["session"]) == 32
    assert second["collission"] is False, "IBKR's own spelling"
    assert second["hmds"] == {"error": "no bridge"}
    assert 0 < second["ssoExpires"] <= 600_000


async def test_init_takes_a_moment(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, _):
        answer = await client.json("POST", "/iserver/auth/ssodh/init", json={"publish": True})
        assert answer["passed"] is True
        assert answer["authenticated"] is False
        assert answer["connected"] is True
        status, body = await client.call("GET", "/iserver/accounts")
        assert (status, body) == (400, NO_BRIDGE), "no bridge shortly after init too"
        clock.advance(0.05)
        assert (await client.json("GET", "/iserver/auth/status"))["authenticated"] is True


@pytest.mark.parametrize(
    "body", [b"{}", b'{"publish":false}', b'{"publish":"true"}', b"[]", b"not json", b"\xff\xfe"]
)
async def test_init_without_publish_is_refused(fresh: Client, body: bytes) -> None:
    status, answer = await fresh.call("POST", "/iserver/auth/ssodh/init", data=body)
    assert status == 500
    assert b"There was an error processing the request" in answer
    assert (await fresh.json("GET", "/iserver/auth/status"))["authenticated"] is False


@pytest.mark.parametrize("body", [b"", b'{"publish":true,"compete":true}', b"publish=true&mac=x"])
async def test_init_forms_that_clients_send(fresh: Client, body: bytes) -> None:
    answer = await fresh.json("POST", "/iserver/auth/ssodh/init", data=body)
    assert answer["passed"] is True


async def test_reauthenticate_starts_the_session_too(fresh: Client) -> None:
    answer = await fresh.call("POST", "/iserver/reauthenticate?force=true", prefix="/v1/portal")
    assert answer == (200, b'{"message":"triggered"}')
    async with asyncio.timeout(TIMEOUT):
        while not (await fresh.json("POST", "/iserver/auth/status"))["authenticated"]:
            pass


async def test_logout_ends_the_brokerage_session(ready: Client) -> None:
    assert await ready.call("POST", "/logout") == (200, b'{"status":true}')
    assert (await ready.json("GET", "/iserver/auth/status"))["authenticated"] is False
    assert await ready.call("GET", "/iserver/accounts") == (400, NO_BRIDGE)
    await ready.authenticate()
    assert (await ready.json("GET", "/iserver/accounts"))["isPaper"] is True


async def test_without_sso_everything_is_401(tmp_path: Path) -> None:
    async with simulated(tmp_path, behaviour=with_session(logout_ends_sso=True)) as (client, _):
        await client.authenticate()
        await client.json("POST", "/logout")
        for method, path in NEED_SSO:
            assert await client.call(method, path) == (401, b""), path
        assert (await client.call("GET", "/simulator/record"))[0] == 200


@pytest.mark.parametrize("path", NEED_BRIDGE)
async def test_without_bridge_iserver_is_400(fresh: Client, path: str) -> None:
    assert await fresh.call("GET", path) == (400, NO_BRIDGE)


async def test_the_paper_proofs(ready: Client) -> None:
    validation = await ready.json("GET", "/sso/validate")
    assert validation["LOGIN_TYPE"] == 2
    assert validation["RESULT"] is True
    assert validation["USER_NAME"] == "papera01"
    assert 0 < validation["EXPIRES"] <= 600_000
    assert abs(validation["AUTH_TIME"] / 1000 - time.time()) < 600
    accounts = await ready.json("GET", "/iserver/accounts")
    assert accounts["accounts"] == ["DU1000001"]
    assert accounts["selectedAccount"] == "DU1000001"
    assert accounts["isPaper"] is True


@pytest.mark.parametrize("path", ["/nothing", "/iserver/nothing", "/iserver/contract/x/info"])
async def test_unknown_paths_are_404(ready: Client, path: str) -> None:
    status, body = await ready.call("GET", path)
    assert status == 404
    assert json.loads(body)["statusCode"] == 404
    assert (await ready.call("GET", path, prefix=""))[0] == 404


async def test_a_wrong_method_is_405(ready: Client) -> None:
    assert (await ready.call("GET", "/logout"))[0] == 405


async def test_post_without_content_length_is_411(fresh: Client, tmp_path: Path) -> None:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", fresh.port, ssl=client_ssl_context(tmp_path / "gateway.pem")
    )
    writer.write(b"POST /v1/api/tickle HTTP/1.1\r\nHost: localhost\r\n\r\n")
    status_line = await asyncio.wait_for(reader.readline(), TIMEOUT)
    assert b" 411 " in status_line
    writer.close()
    await writer.wait_closed()


async def test_plain_http_on_the_tls_port_does_no_harm(fresh: Client) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", fresh.port)
    writer.write(b"GET /v1/api/tickle HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await writer.drain()
    writer.close()
    await fresh.json("GET", "/tickle")


async def test_a_client_that_does_not_pin_is_refused(fresh: Client) -> None:
    url = f"https://127.0.0.1:{fresh.port}/v1/api/tickle"
    async with aiohttp.ClientSession() as stranger:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await stranger.get(url)
    await fresh.json("GET", "/tickle")


async def test_the_idle_timeout_counts_requests(tmp_path: Path) -> None:
    clock = SteppedClock()
    async with simulated(tmp_path, clock=clock) as (client, _):
        await client.json("POST", "/iserver/auth/ssodh/init", data=b"")
        for _ in range(3):
            clock.advance(300)
            status = await client.json("POST", "/iserver/auth/status")
            assert status["authenticated"] is True
        clock.advance(361)
        await client.json("GET", "/simulator/record")
        assert (await client.json("POST", "/iserver/auth/status"))["authenticated"] is False


async def test_the_record_of_a_silent_simulator(fresh: Client) -> None:
    expected = b'{"ladder_frames_sent":{},"frames_sent":0,"replay":null}'
    assert await fresh.call("GET", "/simulator/record") == (200, expected)


def test_only_ladder_frames_count_as_such() -> None:
    from ib_platform.simulator.record import Sent

    sent = Sent()
    ladder = b'{"topic":"sbd+DU1000001+42","data":[]}'
    for payload in (ladder, ladder, b'{"topic":"smd+42"}', b"ech+hb", b"\xff"):
        sent.count(payload)
    assert sent.frames == 5
    assert sent.ladder_frames == {42: 2}
    assert classify(ladder).conid == 42


async def test_markets_are_kept_for_the_life_of_the_process(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (_, face):
        world = face.world
        conid = world.catalogue.months_of("CL")[0].conid
        assert world.market(conid) is world.market(conid)
        assert world.market(1) is None
