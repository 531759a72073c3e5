"""The greeting's messages, and whose session a cookie claims."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator import shapes
from ib_platform.simulator.greeting import GreetingParameters, claimed_session, greeting
from ib_platform.simulator.session_states import SessionStatus
from ib_platform.simulator.users import SimulatedUser

USER = SimulatedUser(username="papera01", password="secret", account="DU1000001")
READY = SessionStatus(sso=True, connected=True, authenticated=True)


def messages(parameters: GreetingParameters, seed: int = 1) -> list[dict[str, Any]]:
    return greeting(USER, "0123456789", READY, parameters, Random(seed))


def test_system_then_act_then_sts() -> None:
    system, act, sts = messages(GreetingParameters())
    assert system == {"topic": "system", "success": "papera01", "isFT": False, "isPaper": True}
    assert act == {"topic": "act", "args": shapes.brokerage_accounts(USER, "0123456789")}
    assert sts["topic"] == "sts"
    state = {"connected", "authenticated", "competing", "message", "fail"}
    assert set(sts["args"]) == state | {"serverName", "serverVersion", "username"}


def test_act_in_parts_is_act_when_the_parts_are_merged() -> None:
    parts = [m for m in messages(GreetingParameters(act_in_parts_share=1.0)) if m["topic"] == "act"]
    assert len(parts) == 2
    assert not set(parts[0]["args"]) & set(parts[1]["args"])
    merged = parts[0]["args"] | parts[1]["args"]
    assert merged == shapes.brokerage_accounts(USER, "0123456789")
    assert "accounts" in parts[0]["args"]


def test_a_shuffled_greeting_comes_in_every_order() -> None:
    shuffled = GreetingParameters(shuffled=True)
    orders = {tuple(m["topic"] for m in messages(shuffled, seed)) for seed in range(60)}
    assert len(orders) == 6
    assert messages(shuffled, 5) == messages(shuffled, 5)


@pytest.mark.parametrize(
    ("cookies", "session"),
    [
        ('api={"session":"abc123"}', "abc123"),
        ('api={"session": "abc123"}', "abc123"),
        ('x=1; api={"session":"abc123"}; y=2', "abc123"),
        ("api=abc123", "abc123"),
        ('x=1;api="abc123";y=2', "abc123"),
        ("", None),
        ("xapi=abc", None),
        ("x=api=abc", None),
        ("api={not json}", None),
        ("api={}", None),
        ('api={"session":7}', None),
        ("api=", ""),
    ],
)
def test_both_forms_of_the_cookie(cookies: str, session: str | None) -> None:
    assert claimed_session(cookies) == session


@given(st.text())
def test_no_cookie_raises(text: str) -> None:
    claimed_session(text)
    claimed_session(f"api={{{text}}}")
