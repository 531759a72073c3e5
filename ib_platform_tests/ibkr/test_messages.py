"""Texts that go out, control messages that come in."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.ibkr.messages import (
    Heartbeat,
    SessionStatus,
    Welcome,
    read_control,
    subscribe_ladder,
    subscribe_quote,
    unsubscribe_ladders,
    unsubscribe_quote,
)
from ib_platform_tests.support import capture_messages


def test_texts() -> None:
    assert subscribe_ladder("DU1", 7) == "sbd+DU1+7"
    assert unsubscribe_ladders("DU1") == "ubd+DU1"
    assert unsubscribe_quote(7) == "umd+7+{}"
    head, _, fields = subscribe_quote(7).partition("{")
    assert head == "smd+7+"
    assert "6509" in json.loads("{" + fields)["fields"]


def test_pieces_of_sts_are_merged() -> None:
    status = SessionStatus()
    for args in ({"authenticated": True}, {"competing": False}, {"message": ""}):
        piece = read_control(json.dumps({"topic": "sts", "args": args}).encode())
        assert isinstance(piece, SessionStatus)
        status = status.merged_with(piece)
    assert status == SessionStatus(authenticated=True, competing=False, message="")
    assert status.usable
    assert not status.merged_with(SessionStatus(authenticated=False)).usable
    assert not status.merged_with(SessionStatus(competing=True)).usable
    assert not status.merged_with(SessionStatus(connected=False)).usable


def test_a_session_that_nobody_spoke_of_is_not_usable() -> None:
    assert not SessionStatus().usable


@pytest.mark.parametrize(
    ("payload", "meaning"),
    [
        (b'{"topic":"system","hb":1795330232001}', Heartbeat(1795330232001)),
        (b'{"topic":"system","success":"papera01","isPaper":true}', Welcome(True, "papera01")),
        (b'{"topic":"system","success":"x","isPaper":"yes"}', Welcome(None, "x")),
        (b'{"topic":"system","hb":true}', Welcome(None)),
        (b'{"topic":"sts"}', SessionStatus()),
        (b'{"topic":"sts","args":[1]}', SessionStatus()),
        (b'{"topic":"sbd+DU1+7","data":[]}', None),
        (b'{"message":"waiting for session"}', None),
        (b"ech+hb", None),
        (b"[1]", None),
        (b"\xff", None),
    ],
)
def test_control_messages(payload: bytes, meaning: object) -> None:
    assert read_control(payload) == meaning


@given(st.binary(max_size=200))
def test_nothing_makes_it_raise(payload: bytes) -> None:
    read_control(payload)


def test_the_recorded_sessions_read_as_authenticated_paper() -> None:
    inbound = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    meanings = [read_control(payload) for payload in inbound]
    statuses = [m for m in meanings if isinstance(m, SessionStatus)]
    assert statuses
    assert any(status.usable for status in statuses)
    assert Welcome(True, "papera01") in meanings
    assert any(isinstance(m, Heartbeat) for m in meanings)
