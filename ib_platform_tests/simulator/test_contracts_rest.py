"""Contract endpoints: listings, search, definitions, rules, and a contract that vanishes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ib_platform.simulator.catalogue import PRODUCTS, Product
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform_tests.simulator.client import Client, simulated

SYMBOLS = [product.symbol for product in PRODUCTS]


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[Client, GatewayFace]]:
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        yield client, face


@pytest.fixture
def client(gateway: tuple[Client, GatewayFace]) -> Client:
    return gateway[0]


async def months_of(client: Client, symbol: str) -> list[dict[str, Any]]:
    """Nearest first."""
    months = (await client.json("GET", f"/trsrv/futures?symbols={symbol}"))[symbol]
    return sorted(months, key=lambda month: int(month["expirationDate"]))


async def search(client: Client, symbol: str) -> dict[str, Any]:
    (hit,) = await client.json("GET", f"/iserver/secdef/search?symbol={symbol}")
    assert isinstance(hit, dict)
    return hit


async def test_futures(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (client, _):
        answer = await client.json("GET", "/trsrv/futures?symbols=CL,ES,NOPE")
    assert set(answer) == {"CL", "ES"}, "an unknown symbol has no key"
    for symbol, months in answer.items():
        dates = [month["expirationDate"] for month in months]
        assert dates != sorted(dates), "IBKR does not sort"
        for month in months:
            assert month["symbol"] == symbol
            assert type(month["conid"]) is int
            assert type(month["expirationDate"]) is int
            assert 20_000_101 < month["ltd"] <= month["expirationDate"]
            assert "exchange" not in month


@pytest.mark.parametrize("query", ["", "?symbols=", "?symbols=,,", "?symbols=nope"])
async def test_futures_of_nothing(client: Client, query: str) -> None:
    assert await client.call("GET", "/trsrv/futures" + query) == (200, b"{}")


async def test_two_simulators_list_the_same_contracts(tmp_path: Path) -> None:
    async with simulated(tmp_path) as (one, _), simulated(tmp_path) as (other, _):
        path = "/trsrv/futures?symbols=" + ",".join(SYMBOLS)
        assert await one.json("GET", path) == await other.json("GET", path)


async def test_a_contract_vanishes_and_comes_back(gateway: tuple[Client, GatewayFace]) -> None:
    client, face = gateway
    front, second, *_ = await months_of(client, "CL")
    world = face.world
    fault = world.faults.begin(FaultKind.CONTRACT_GONE, world.clock.now(), symbol="CL")
    rest = await months_of(client, "CL")
    assert front not in rest
    assert rest[0] == second, "the one after it is the front now"
    months = (await search(client, "CL"))["sections"][1]["months"]
    assert len(months.split(";")) == len(rest)
    assert len(await months_of(client, "ES")) == len(rest) + 1, "other symbols keep theirs"
    world.faults.stop(fault.number)
    assert (await months_of(client, "CL"))[0] == front


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_search(client: Client, method: str) -> None:
    if method == "GET":
        (hit,) = await client.json("GET", "/iserver/secdef/search?symbol=ES&secType=IND")
    else:
        body = {"symbol": "ES", "name": False, "secType": "IND"}
        (hit,) = await client.json("POST", "/iserver/secdef/search", json=body)
    months = await months_of(client, "ES")
    assert hit["conid"] == str(months[0]["underlyingConid"]), "a string here"
    assert hit["symbol"] == "ES"
    assert hit["description"] == "CME"
    index, future, option = hit["sections"]
    assert index == {"secType": "IND"}
    assert option["secType"] == "FOP"
    assert future["secType"] == "FUT"
    assert future["exchange"] == "CME"
    assert len(future["months"].split(";")) == len(months)
    assert all(len(name) == 5 and name[:3].isupper() for name in future["months"].split(";"))


async def test_search_by_name(client: Client) -> None:
    hits = await client.json("GET", "/iserver/secdef/search?symbol=e-mini&name=true")
    assert {hit["symbol"] for hit in hits} == {"ES", "NQ", "RTY"}
    status, _ = await client.call("GET", "/iserver/secdef/search?symbol=e-mini&name=false")
    assert status == 404, "not a symbol"


@pytest.mark.parametrize("body", [b'{"symbol":"ES"}', b"symbol=ES", b'{"symbol":"es","name":1}'])
async def test_search_takes_what_clients_post(client: Client, body: bytes) -> None:
    (hit,) = await client.json("POST", "/iserver/secdef/search", data=body)
    assert hit["symbol"] == "ES"


@pytest.mark.parametrize(
    ("query", "status"),
    [("", 400), ("?symbol=", 400), ("?symbol=NOPE", 404), ("?symbol=ES&secType=STK", 404)],
)
async def test_searches_for_nothing(client: Client, query: str, status: int) -> None:
    answer, body = await client.call("GET", "/iserver/secdef/search" + query)
    assert (answer, json.loads(body)["statusCode"]) == (status, status)


@pytest.mark.parametrize("name", ["secType", "sectype"])
@pytest.mark.parametrize("product", PRODUCTS, ids=SYMBOLS)
async def test_from_search_to_the_contract(client: Client, product: Product, name: str) -> None:
    hit = await search(client, product.symbol)
    month = hit["sections"][1]["months"].split(";")[0]
    path = f"/iserver/secdef/info?conid={hit['conid']}&{name}=FUT&month={month}"
    (found,) = await client.json("GET", path)
    front = (await months_of(client, product.symbol))[0]
    assert found["conid"] == front["conid"]
    assert found["maturityDate"] == str(front["expirationDate"])
    assert found["validExchanges"] == f"{product.exchange},QBALGO"
    assert found["multiplier"] == product.multiplier
    assert found["right"] == "?"
    assert found["exchange"] == product.exchange
    (same,) = await client.json("GET", f"{path}&exchange={product.exchange}")
    assert same == found


async def test_info_needs_a_search_first(client: Client) -> None:
    underlying = (await months_of(client, "ES"))[0]["underlyingConid"]
    path = f"/iserver/secdef/info?conid={underlying}&secType=FUT&month="
    assert (await client.call("GET", path + "MAR27"))[0] == 404
    await search(client, "CL")
    assert (await client.call("GET", path + "MAR27"))[0] == 404, "another search does not help"
    month = (await search(client, "ES"))["sections"][1]["months"].split(";")[0]
    assert (await client.call("GET", path + month))[0] == 200


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("secType=FUT&month=MAR27", 400),
        ("conid=x&secType=FUT&month=MAR27", 400),
        ("conid={conid}&month=MAR27", 400),
        ("conid={conid}&secType=FUT", 400),
        ("conid={conid}&secType=OPT&month=MAR27", 404),
        ("conid={conid}&secType=FUT&month=MAR99", 404),
        ("conid={conid}&secType=FUT&month={month}&exchange=NASDAQ", 404),
        ("conid=1&secType=FUT&month=MAR27", 404),
    ],
)
async def test_info_about_nothing(client: Client, query: str, status: int) -> None:
    hit = await search(client, "ES")
    month = hit["sections"][1]["months"].split(";")[0]
    path = "/iserver/secdef/info?" + query.format(conid=hit["conid"], month=month)
    assert (await client.call("GET", path))[0] == status


@pytest.mark.parametrize(
    ("symbol", "exchange", "multiplier", "increment", "digits"),
    [
        ("CL", "NYMEX", "1000", 0.01, 2),
        ("ES", "CME", "50", 0.25, 2),
        ("ZN", "CBOT", "1000", 0.015625, 6),
        ("YM", "CBOT", "5", 1.0, 0),
    ],
)
async def test_contract_info_and_rules(
    client: Client, symbol: str, exchange: str, multiplier: str, increment: float, digits: int
) -> None:
    month = (await months_of(client, symbol))[0]
    info = await client.json("GET", f"/iserver/contract/{month['conid']}/info")
    assert info["con_id"] == month["conid"]
    assert info["symbol"] == symbol
    assert info["exchange"] == exchange
    assert info["multiplier"] == multiplier
    assert info["instrument_type"] == "FUT"
    assert info["maturity_date"] == str(month["expirationDate"])
    assert info["contract_month"] == info["expiry_full"] >= info["maturity_date"][:6]
    assert info["underlying_con_id"] == month["underlyingConid"]
    assert info["cusip"] is None
    assert "rules" not in info
    with_rules = await client.json("GET", f"/iserver/contract/{month['conid']}/info-and-rules")
    assert {key: with_rules[key] for key in info} == info
    assert with_rules["rules"]["increment"] == increment
    assert with_rules["rules"]["incrementDigits"] == digits
    body = {"conid": month["conid"], "isBuy": True}
    rules = await client.json("POST", "/iserver/contract/rules", json=body)
    assert rules == with_rules["rules"] | {"canTradeAcctIds": ["DU1000001"]}


@pytest.mark.parametrize("conid", ["1", "9" * 10, "9" * 400])
async def test_contract_info_of_nothing(client: Client, conid: str) -> None:
    for path in ("info", "info-and-rules"):
        status, body = await client.call("GET", f"/iserver/contract/{conid}/{path}")
        assert status == 404
        assert b"No contract found" in body


async def test_security_definitions(client: Client) -> None:
    months = await months_of(client, "NQ")
    conids = [month["conid"] for month in months]
    words = ",".join(map(str, [*conids, 1, conids[0]]))
    body = await client.json("GET", f"/trsrv/secdef?conids={words}")
    assert [entry["conid"] for entry in body["secdef"]] == conids, "unknown ones are left out"
    first = body["secdef"][0]
    assert first["multiplier"] == 20.0
    assert first["ticker"] == "NQ"
    assert first["expiry"] == str(months[0]["expirationDate"])
    assert first["undConid"] == months[0]["underlyingConid"]


async def test_at_most_200_definitions_at_a_time(client: Client) -> None:
    words = ",".join(str(number) for number in range(1, 201))
    assert await client.json("GET", f"/trsrv/secdef?conids={words}") == {"secdef": []}
    assert (await client.call("GET", f"/trsrv/secdef?conids={words},201"))[0] == 400


async def test_stocks_are_not_simulated(client: Client) -> None:
    assert await client.json("GET", "/trsrv/stocks?symbols=AAPL,IBKR") == {"AAPL": [], "IBKR": []}


async def test_all_conids_of_an_exchange(client: Client) -> None:
    listed = await client.json("GET", "/trsrv/all-conids?exchange=cme")
    assert {entry["ticker"] for entry in listed} == {"ES", "NQ", "RTY"}
    assert await client.json("GET", "/trsrv/all-conids?exchange=LSE") == []
    assert (await client.call("GET", "/trsrv/all-conids"))[0] == 400
