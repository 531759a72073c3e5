"""Client messages: what they mean, and that nonsense never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.commands import (
    Alive,
    Command,
    Echo,
    Refused,
    SubscribeLadder,
    SubscribeQuote,
    UnsubscribeLadders,
    UnsubscribeQuote,
    parse_command,
)


@pytest.mark.parametrize(
    ("text", "command"),
    [
        ("tic", Alive()),
        ("ech+hb", Echo()),
        ('smd+42+{"fields":["31","84"]}', SubscribeQuote(42, ("31", "84"))),
        ('smd+42@CME+{"fields":["31"]}', SubscribeQuote(42, ("31",))),
        ("smd+42+{}", SubscribeQuote(42, ())),
        ("smd+42", SubscribeQuote(42, ())),
        ("umd+42+{}", UnsubscribeQuote(42)),
        ("sbd+DU1000001+42", SubscribeLadder("DU1000001", 42)),
        ("sbd+DU1000001+42+CME", SubscribeLadder("DU1000001", 42)),
        ("ubd+DU1000001", UnsubscribeLadders("DU1000001")),
        ("ubd+DU1000001+42", UnsubscribeLadders("DU1000001")),
    ],
)
def test_commands(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("", ""),
        ("hello", "hello"),
        ('{"session":"abc"}', '{"session":"abc"}'),
        ("smd", "smd"),
        ("smd+x+{}", "smd"),
        ("smd+42+{not json", "smd+42"),
        ('smd+42+{"fields":7}', "smd+42"),
        ("umd+", "umd"),
        ("sbd", "sbd"),
        ("sbd+DU1000001", "sbd"),
        ("sbd++42", "sbd"),
        ("sbd+DU1000001+\u0664\u0662", "sbd"),
        ("sbd+DU1000001+" + "9" * 5000, "sbd"),
        ("ubd", "ubd"),
        ("xyz+1+2", "xyz"),
    ],
)
def test_nonsense_is_refused_by_name(text: str, topic: str) -> None:
    refused = parse_command(text)
    assert isinstance(refused, Refused)
    assert refused.topic == topic
    assert refused.error
    assert len(refused.error) < 200


@given(st.text())
def test_no_text_raises(text: str) -> None:
    parse_command(text)


@given(st.sampled_from(["smd", "umd", "sbd", "ubd"]), st.lists(st.text(max_size=20), max_size=5))
def test_no_arguments_raise(topic: str, parts: list[str]) -> None:
    parse_command("+".join([topic, *parts]))


def test_deeply_nested_json_is_refused() -> None:
    assert isinstance(parse_command("smd+42+" + "[" * 100_000), Refused)
