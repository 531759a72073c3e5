"""Client messages: what they mean, and that nonsense never raises."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.commands import (
    AccountFeed,
    Alive,
    Command,
    Echo,
    EndAccountFeed,
    Refused,
    SubscribeHistory,
    SubscribeLadder,
    SubscribeQuote,
    UnsubscribeHistory,
    UnsubscribeLadders,
    UnsubscribeQuote,
    parse_command,
)

ACCOUNT = "DU1000001"
TOPICS = [
    "smd",
    "umd",
    "smh",
    "umh",
    "sbd",
    "ubd",
    "sor",
    "uor",
    "str",
    "utr",
    "spl",
    "upl",
    "ssd",
    "usd",
    "sld",
    "uld",
]


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
        ("smh+42", SubscribeHistory(42, "1d", "5min")),
        (
            'smh+42@CME+{"exchange":"CME","period":"2h","bar":"1min","outsideRth":true}',
            SubscribeHistory(42, "2h", "1min", outside_rth=True),
        ),
        ("umh+q3", UnsubscribeHistory("q3")),
        ("sbd+DU1000001+42", SubscribeLadder(ACCOUNT, 42)),
        ("sbd+DU1000001+42+CME", SubscribeLadder(ACCOUNT, 42)),
        ("ubd+DU1000001", UnsubscribeLadders(ACCOUNT)),
        ("ubd+DU1000001+42", UnsubscribeLadders(ACCOUNT)),
        ("sor+{}", AccountFeed("sor", None)),
        ('str+{"realtimeUpdatesOnly":true}', AccountFeed("str", None)),
        ("spl+{}", AccountFeed("spl", None)),
        ("spl", AccountFeed("spl", None)),
        ('ssd+DU1000001+{"keys":["NetLiquidation"]}', AccountFeed("ssd", ACCOUNT)),
        ("sld+DU1000001+{}", AccountFeed("sld", ACCOUNT)),
        ("uor+{}", EndAccountFeed("uor")),
        ("utr", EndAccountFeed("utr")),
        ("upl+{}", EndAccountFeed("upl")),
        ("usd+DU1000001+{}", EndAccountFeed("usd")),
        ("uld+DU1000001+{}", EndAccountFeed("uld")),
    ],
)
def test_commands(text: str, command: Command) -> None:
    assert parse_command(text) == command


@pytest.mark.parametrize(
    ("text", "topic"),
    [
        ("", ""),
        ("hello", "hel"),
        ('{"session":"abc"}', '{"s'),
        ("smd", "smd"),
        ("smd+x+{}", "smd"),
        ("smd+42+{not json", "smd+42"),
        ('smd+42+{"fields":7}', "smd+42"),
        ("umd+", "umd"),
        ("smh", "smh"),
        ("smh+x", "smh"),
        ('smh+42+{"bar":5}', "smh+42"),
        ("umh", "umh"),
        ("umh++", "umh"),
        ("sbd", "sbd"),
        ("sbd+DU1000001", "sbd"),
        ("sbd++42", "sbd"),
        ("sbd+DU1000001+\u0664\u0662", "sbd"),
        ("sbd+DU1000001+" + "9" * 5000, "sbd"),
        ("ubd", "ubd"),
        ("ssd", "ssd"),
        ("sld++{}", "sld"),
        ("usd", "usd"),
        ("xyz+1+2", "xyz"),
        ("ech+xx", "ech"),
    ],
)
def test_nonsense_is_refused_by_name(text: str, topic: str) -> None:
    refused = parse_command(text)
    assert isinstance(refused, Refused)
    assert refused.topic == topic
    assert refused.error
    assert len(refused.error) < 200


def test_an_unknown_topic_is_refused_in_the_words_of_ibkr() -> None:
    """Seen by a user of ibind whose client sent its session as a message (ibind, issue 25)."""
    assert parse_command('{"session":"abc"}') == Refused('{"s', "Topic unknown '{\"s'")


@given(st.text())
def test_no_text_raises(text: str) -> None:
    parse_command(text)


@given(st.sampled_from(TOPICS), st.lists(st.text(max_size=20), max_size=5))
def test_no_arguments_raise(topic: str, parts: list[str]) -> None:
    parse_command("+".join([topic, *parts]))


@pytest.mark.parametrize("topic", ["smd", "smh"])
def test_deeply_nested_json_is_refused(topic: str) -> None:
    assert isinstance(parse_command(f"{topic}+42+" + "[" * 100_000), Refused)
