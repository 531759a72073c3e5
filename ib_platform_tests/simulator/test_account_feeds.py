"""Account topics: silent ones and minimal answers."""

from __future__ import annotations

import pytest

from ib_platform.simulator.account_feeds import account_answer
from ib_platform.simulator.users import SimulatedUser

USER = SimulatedUser(username="papera01", password="secret", account="DU1000001")


@pytest.mark.parametrize("topic", ["sor", "str"])
def test_orders_and_trades_are_silent_while_there_are_none(topic: str) -> None:
    assert account_answer(topic, USER, 5) is None


def test_profit_is_keyed_by_account() -> None:
    answer = account_answer("spl", USER, 5)
    assert answer is not None
    assert answer["topic"] == "spl"
    assert set(answer["args"]) == {"DU1000001.Core"}


@pytest.mark.parametrize("topic", ["ssd", "sld"])
def test_summary_and_ledger_name_the_account(topic: str) -> None:
    answer = account_answer(topic, USER, 1_795_330_222_123)
    assert answer is not None
    assert answer["topic"] == f"{topic}+DU1000001"
    assert {row["timestamp"] for row in answer["result"] if "timestamp" in row} == {1_795_330_222}
