"""Accounts, portfolio and refused orders, as a client sees them."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform_tests.simulator.client import Client, SteppedClock, simulated

ACCOUNT = "DU1000001"
NOT_LISTED = (500, b'{"error":"Please query /accounts first","statusCode":500}')


async def test_brokerage_accounts(ready: Client) -> None:
    accounts = await ready.json("GET", "/iserver/accounts")
    assert accounts["accounts"] == [ACCOUNT]
    assert set(accounts["acctProps"]) == set(accounts["aliases"]) == {ACCOUNT}
    assert accounts["acctProps"][ACCOUNT]["hasChildAccounts"] is False
    assert accounts["chartPeriods"]["FUT"] == ["*"]
    assert accounts["selectedAccount"] == ACCOUNT
    assert accounts["isPaper"] is True
    assert accounts["isFT"] is False


@pytest.mark.parametrize("path", ["/portfolio/accounts", "/portfolio/subaccounts"])
async def test_portfolio_accounts_need_no_brokerage_session(fresh: Client, path: str) -> None:
    (account,) = await fresh.json("GET", path)
    assert account["id"] == account["accountId"] == ACCOUNT
    assert account["type"] == "DEMO"
    assert account["accountAlias"] is None
    assert account["parent"]["isMParent"] is False
    assert await fresh.json("GET", f"/portfolio/{ACCOUNT}/meta") == account


@pytest.mark.parametrize(("page", "count"), [("?page=0", 1), ("", 1), ("?page=1", 0)])
async def test_subaccounts_by_page(fresh: Client, page: str, count: int) -> None:
    body = await fresh.json("GET", "/portfolio/subaccounts2" + page)
    assert len(body["subaccounts"]) == count
    assert body["metadata"]["total"] == 1


@pytest.mark.parametrize("page", ["-1", "x", "1" * 30, "%D9%A1"])
async def test_pages_that_are_no_numbers(fresh: Client, page: str) -> None:
    status, body = await fresh.call("GET", f"/portfolio/subaccounts2?page={page}")
    assert status == 400
    assert b"page" in body


@pytest.mark.parametrize("path", ["positions/0", "position/700000001", "combo/positions"])
async def test_there_are_no_positions(fresh: Client, path: str) -> None:
    assert await fresh.call("GET", f"/portfolio/{ACCOUNT}/{path}") == (200, b"[]")
    assert await fresh.call("GET", f"/portfolio2/{ACCOUNT}/positions") == (200, b"[]")
    assert await fresh.call("GET", "/portfolio/positions/700000001") == (200, b"{}")


async def test_positions_are_invalidated(fresh: Client) -> None:
    answer = await fresh.json("POST", f"/portfolio/{ACCOUNT}/positions/invalidate", data=b"")
    assert answer == {"message": "success"}


async def test_summary_and_ledger_agree(tmp_path: Path) -> None:
    clock = SteppedClock(wall=1_800_000_000.5)
    async with simulated(tmp_path, clock=clock) as (client, _):
        summary = await client.json("GET", f"/portfolio/{ACCOUNT}/summary")
        ledger = await client.json("GET", f"/portfolio/{ACCOUNT}/ledger")
        allocation = await client.json("GET", f"/portfolio/{ACCOUNT}/allocation")
    assert summary["accountcode"]["value"] == ACCOUNT
    assert summary["netliquidation"]["timestamp"] == 1_800_000_000_500, "milliseconds here"
    assert ledger["USD"]["timestamp"] == 1_800_000_000, "and seconds there"
    assert set(ledger) == {"USD", "BASE"}
    for currency, entry in ledger.items():
        assert entry["secondkey"] == entry["currency"] == currency
        assert entry["cashbalance"] == summary["netliquidation"]["amount"]
        assert entry["acctcode"] == ACCOUNT
    assert allocation["assetClass"]["long"] == {"CASH": ledger["USD"]["cashbalance"]}


async def test_brokerage_summaries(ready: Client) -> None:
    summary = await ready.json("GET", f"/iserver/account/{ACCOUNT}/summary")
    assert summary["availableFunds"] == summary["cashBalances"][0]["balance"] > 0
    profit = await ready.json("GET", "/iserver/account/pnl/partitioned")
    assert set(profit["upnl"]) == {f"{ACCOUNT}.Core"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/portfolio/DU9999999/summary"),
        ("GET", "/portfolio/DU9999999/ledger"),
        ("GET", "/portfolio/DU9999999/positions/0"),
        ("GET", "/iserver/account/DU9999999/summary"),
    ],
)
async def test_somebody_elses_account(ready: Client, method: str, path: str) -> None:
    status, body = await ready.call(method, path)
    assert status == 400
    assert b"unknown account DU9999999" in body


async def test_switching_the_account(ready: Client) -> None:
    answer = await ready.json("POST", "/iserver/account", json={"acctId": ACCOUNT})
    assert answer == {"success": "Account already set"}
    for body in ({"acctId": "DU9999999"}, {"acctId": 7}, {"acctId": None}, {}):
        status, _ = await ready.call("POST", "/iserver/account", json=body)
        assert status == 400, body


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("/iserver/account/orders", b'{"orders":[],"snapshot":true}'),
        ("/iserver/account/orders?filters=filled&force=true", b'{"orders":[],"snapshot":true}'),
        ("/iserver/account/trades", b"[]"),
        ("/iserver/account/trades/?days=3", b"[]"),
    ],
)
async def test_there_are_no_orders(ready: Client, path: str, answer: bytes) -> None:
    assert await ready.call("GET", path) == NOT_LISTED
    await ready.json("GET", "/iserver/accounts")
    assert await ready.call("GET", path) == (200, answer)


async def test_accounts_have_to_be_listed_in_each_brokerage_session(ready: Client) -> None:
    await ready.json("GET", "/iserver/accounts")
    await ready.json("GET", "/iserver/account/orders")
    await ready.json("POST", "/logout", data=b"")
    await ready.authenticate()
    assert await ready.call("GET", "/iserver/account/orders") == NOT_LISTED


async def test_an_order_is_unknown(ready: Client) -> None:
    await ready.json("GET", "/iserver/accounts")
    status, body = await ready.call("GET", "/iserver/account/order/status/17")
    assert status == 404
    assert b"OrderID 17 doesn't exist" in body


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", f"/iserver/account/{ACCOUNT}/orders"),
        ("POST", f"/iserver/account/{ACCOUNT}/orders/whatif"),
        ("POST", f"/iserver/account/{ACCOUNT}/order/17"),
        ("DELETE", f"/iserver/account/{ACCOUNT}/order/17"),
        ("POST", "/iserver/reply/c0ffee"),
    ],
)
async def test_orders_are_refused_in_plain_words(ready: Client, method: str, path: str) -> None:
    order = {"orders": [{"conid": 1, "side": "BUY", "orderType": "MKT", "quantity": 1}]}
    status, body = await ready.call(method, path, json=order)
    assert status == 403
    assert b"takes no orders" in body


@pytest.mark.parametrize("path", ["suppress", "suppress/reset"])
async def test_questions_are_suppressed(ready: Client, path: str) -> None:
    body = {"messageIds": ["o163"]}
    answer = await ready.json("POST", f"/iserver/questions/{path}", json=body)
    assert answer == {"status": "submitted"}
