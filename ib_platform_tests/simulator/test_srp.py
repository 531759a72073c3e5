"""The exchange that proves a password: the RFC's own numbers, and agreement of both sides."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.simulator.srp import LOGIN_GROUP, Client, Group, Server

# RFC 5054, appendices A (1024 bits) and B.
RFC_GROUP = Group(
    int(
        "EEAF0AB9ADB38DD69C33F80AFA8FC5E86072618775FF3C0B9EA2314C9C256576"
        "D674DF7496EA81D3383B4813D692C6E0E0D5D8E250B98BE48E495C1D6089DAD1"
        "5DC7D7B46154D6B6CE8EF4AD69B15D4982559B297BCF1885C529F566660E57EC"
        "68EDBC3C05726CC02FD4CBF4976EAA9AFD5138FE8376435B9FC61D2FC0EB06E3",
        16,
    ),
    2,
    "sha1",
)
SALT = bytes.fromhex("BEB25379D1A8581EB5A727673A2441EE")
CLIENT_SECRET = 0x60975527035CF2AD1989806F0407210BC81EDC04E2762A56AFD529DDDA2D4393
SERVER_SECRET = 0xE487CB59D31AC550471E81F00F6928E01DDA08E974A004F49E61F5D105284D20
PREMASTER = int(
    "B0DC82BABCF30674AE450C0287745E7990A3381F63B387AAF271A10D233861E3"
    "59B48220F7C4693C9AE12B0A6F67809F0876E2D013800D6C41BB59B6D5979B5C"
    "00A172B4A2A5903A0BDCAF8A709585EB2AFAFA8F3499B200210DCC1F10EB3394"
    "3CD67FC88A2F39A4BE5BEC4EC0A3212DC346D7E474B29EDE8A469FFECA686E5A",
    16,
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def exchange(name: str, password: str, typed: str) -> tuple[Server, bytes, bytes]:
    client = Client(LOGIN_GROUP, name, typed)
    server = Server(
        LOGIN_GROUP, username=name, password=password, salt=SALT, client_public=client.public
    )
    return server, *client.prove(SALT, server.public)


def test_numbers_of_the_rfc() -> None:
    assert RFC_GROUP.multiplier == 0x7556AA045AEF2CDD07ABAF0F665C3E818913186F
    key = RFC_GROUP.private_key("alice", "password123", SALT)
    assert key == 0x94B7555AABE9127CC58CCF4993DB6CF84D16C124
    client = Client(RFC_GROUP, "alice", "password123", secret=CLIENT_SECRET)
    server = Server(
        RFC_GROUP,
        username="alice",
        password="password123",
        salt=SALT,
        client_public=client.public,
        secret=SERVER_SECRET,
    )
    sent = RFC_GROUP.pad(client.public) + RFC_GROUP.pad(server.public)
    assert RFC_GROUP.number(sent) == 0xCE38B9593487DA98554ED47D70A7AE5F462EF019
    proof, answer = client.prove(SALT, server.public)
    assert proof == RFC_GROUP.digest(sent, RFC_GROUP.digest(RFC_GROUP.pad(PREMASTER)))
    assert server.proves(proof)
    assert server.answer == answer


@settings(max_examples=8, deadline=None)
@given(NAMES, NAMES)
def test_both_sides_agree(name: str, password: str) -> None:
    server, proof, answer = exchange(name, password, password)
    assert server.proves(proof)
    assert server.answer == answer


@settings(max_examples=8, deadline=None)
@given(NAMES, NAMES, NAMES)
def test_another_password_proves_nothing(name: str, password: str, typed: str) -> None:
    server, proof, _ = exchange(name, password, typed)
    assert server.proves(proof) is (password == typed)


@pytest.mark.parametrize("proof", [b"", b"\x00" * 32, b"x" * 1000])
def test_nonsense_proves_nothing(proof: bytes) -> None:
    server, *_ = exchange("somebody", "right", "right")
    assert not server.proves(proof)


@pytest.mark.parametrize("public", [-1, 0, LOGIN_GROUP.prime, LOGIN_GROUP.prime * 2])
def test_numbers_that_need_no_password_are_refused(public: int) -> None:
    with pytest.raises(ValueError, match="out of range"):
        Server(LOGIN_GROUP, username="u", password="p", salt=SALT, client_public=public)
