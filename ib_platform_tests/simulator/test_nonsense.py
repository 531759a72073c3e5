"""Clients that send nonsense get an error like IBKR's, and the simulator goes on."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from yarl import URL

from ib_platform.simulator.asking import (
    Refusal,
    conid_of,
    conids_of,
    required,
    says,
)
from ib_platform.simulator.faces import GatewayFace
from ib_platform.simulator.rest_data import DataEndpoints
from ib_platform_tests.simulator.client import Client, simulated

WORDS = [
    "", " ", "0", "-1", "1", "007", "9" * 10, "9" * 11, "9" * 400, "1e5", "1.5", "NaN", "null",
    "true", "ES", "es", "CL,ES", ",,,", "1,2,x", "DU1000001", "FUT", "DEC26", "1d", "1min", "%",
    "%00", "%ff%fe", "../..", "{}", "[]", '{"a":1}', "'; --", "<b>", "x" * 2000, "١٢٣", "😀",
    "\x00", "a&b=c", "20261123-00:00:00", "00010101-00:00:00", "99991231-23:59:59", "700020085@CME",
]  # fmt: skip
NAMES = [
    "conid", "conids", "symbol", "symbols", "fields", "bar", "period", "startTime", "outsideRth",
    "secType", "sectype", "month", "exchange", "name", "assetClass", "page", "acctId", "strike",
]  # fmt: skip
BODIES: list[bytes] = [
    b"", b" ", b"{}", b"[]", b"null", b"1", b'"x"', b"{", b"\xff\xfe", b"\x00" * 50, b"a=b&a=c",
    b'{"conid":null}', b'{"conid":true}', b'{"conid":-1}', b'{"conid":1e400}', b'{"conid":[1]}',
    b'{"conid":99999999999999999999999}', b'{"conid":{"conid":1}}', b'{"conid":"1@"}',
    b'{"symbol":{}}', b'{"symbol":7}', b'{"symbol":"ES","name":[],"secType":{}}',
    b'{"acctId":[]}', b"[" * 5000, b'{"symbol":"' + b"x" * 100_000 + b'"}',
]  # fmt: skip


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[tuple[Client, GatewayFace]]:
    async with simulated(tmp_path) as (client, face):
        await client.authenticate()
        await client.json("GET", "/iserver/accounts")
        yield client, face


def routes(face: GatewayFace) -> list[tuple[str, str]]:
    return sorted(DataEndpoints(face).routes())


def filled(path: str, word: str) -> str:
    """A path with its variables replaced."""
    parts = [
        word.replace("/", "") or "x" if part.startswith("{") else part for part in path.split("/")
    ]
    return "/".join(parts)


def assert_sane(method: str, url: URL, status: int, body: bytes) -> None:
    assert status in (200, 400, 403, 404, 500), (method, url, status, body[:200])
    assert len(body) < 10_000 or status == 200
    answer = json.loads(body)
    if status != 200:
        assert isinstance(answer["error"], str)
        assert "Traceback" not in answer["error"]
        assert "500 Internal Server Error" not in answer["error"]


@pytest.mark.parametrize("seed", range(4))
async def test_nonsense_in_paths_and_queries(
    gateway: tuple[Client, GatewayFace], seed: int
) -> None:
    client, face = gateway
    random = Random(seed)
    for method, path in routes(face):
        for _ in range(6):
            query = {name: random.choice(WORDS) for name in random.sample(NAMES, 6)}
            url = URL.build(path=filled(path, random.choice(WORDS)), query=query)
            data = random.choice(BODIES) if method == "POST" else None
            status, body = await client.call(method, str(url), data=data)
            assert_sane(method, url, status, body)
    assert (await client.json("GET", "/tickle"))["iserver"]["authStatus"]["authenticated"] is True


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
async def test_nonsense_in_bodies(gateway: tuple[Client, GatewayFace], body: bytes) -> None:
    client, face = gateway
    for method, path in routes(face):
        if method == "POST":
            status, answer = await client.call(method, filled(path, "1"), data=body)
            assert_sane(method, URL(path), status, answer)
    await client.json("GET", "/tickle")


async def test_a_body_that_is_too_large(gateway: tuple[Client, GatewayFace]) -> None:
    client, _ = gateway
    status, _ = await client.call(
        "POST", "/iserver/secdef/search", data=io.BytesIO(b"x" * 3_000_000)
    )
    assert status == 413
    await client.json("GET", "/tickle")


@pytest.mark.parametrize(
    ("value", "conid"), [(7, 7), ("7", 7), ("700000001@CME", 700000001), ("0", 0)]
)
def test_conids(value: object, conid: int) -> None:
    assert conid_of(value) == conid


@pytest.mark.parametrize(
    "value",
    [None, True, 1.5, [], {}, "", " 7", "7 ", "-7", -7, "x", "7@", "1" * 11, 10**12, "٧", b"7"],
)
def test_what_is_no_conid(value: object) -> None:
    with pytest.raises(Refusal, match="not a conid"):
        conid_of(value)


def test_conids_by_their_words() -> None:
    assert conids_of(" 7,8@CME, ,7", most=2) == {"7": 7, "8@CME": 8}
    for text in ("", " , ", "7,8,9", "7,x"):
        with pytest.raises(Refusal):
            conids_of(text, most=2)


def test_a_refusal_does_not_repeat_what_it_got_at_length() -> None:
    with pytest.raises(Refusal) as refusal:
        conid_of("x" * 10_000)
    assert len(str(refusal.value)) < 100


@pytest.mark.parametrize(
    "values", [{}, {"a": ""}, {"a": " "}, {"a": None}, {"a": True}, {"a": [1]}, {"a": 1.5}]
)
def test_required_parameters(values: dict[str, Any]) -> None:
    with pytest.raises(Refusal, match="a required"):
        required(values, "a", "b")


def test_the_first_of_several_names_counts() -> None:
    assert required({"a": 1, "b": "2"}, "a", "b") == "1"
    assert required({"a": "", "b": " 2 "}, "a", "b") == "2"


@pytest.mark.parametrize(
    ("value", "meant"),
    [
        (True, True),
        (False, False),
        ("true", True),
        ("True", True),
        ("1", True),
        ("false", False),
        ("0", False),
        ("", False),
        ([], False),
        (1.5, False),
    ],
)
def test_switches(value: object, meant: bool) -> None:
    assert says(value) is meant


def test_a_switch_that_is_not_there() -> None:
    assert says(None) is False
    assert says(None, default=True) is True
