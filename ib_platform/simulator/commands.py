"""What a client says on the websocket: message text -> command. Pure, never raises."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import msgspec

_CONID = re.compile(r"([0-9]{1,10})(?:@[A-Z]+)?", re.ASCII)
_SHOWN = 60
_TOPIC_LENGTH = 3
"""IBKR takes the first three characters for the topic and quotes them in its refusal
(``Topic unknown '{"s'``)."""
_ACCOUNT_FEEDS = {"sor": "uor", "str": "utr", "spl": "upl", "ssd": "usd", "sld": "uld"}
_NAMES_ACCOUNT = ("ssd", "sld", "usd", "uld")


@dataclass(frozen=True, slots=True)
class Alive:
    """``tic``: is the session alive?"""


@dataclass(frozen=True, slots=True)
class Echo:
    """``ech+hb``: the old keep-alive, answered with itself as text."""


@dataclass(frozen=True, slots=True)
class SubscribeQuote:
    conid: int
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UnsubscribeQuote:
    conid: int


@dataclass(frozen=True, slots=True)
class SubscribeHistory:
    """``smh``: one batch of bars. The arguments as REST's history names them."""

    conid: int
    period: str
    bar: str
    outside_rth: bool = False


@dataclass(frozen=True, slots=True)
class UnsubscribeHistory:
    server_id: str


@dataclass(frozen=True, slots=True)
class SubscribeLadder:
    account: str
    conid: int


@dataclass(frozen=True, slots=True)
class UnsubscribeLadders:
    """``ubd``: keyed by the account alone; IBKR accepts a conid behind it and ignores it."""

    account: str


@dataclass(frozen=True, slots=True)
class AccountFeed:
    """Orders ``sor``, trades ``str``, profit ``spl``, summary ``ssd``, ledger ``sld``."""

    topic: str
    account: str | None


@dataclass(frozen=True, slots=True)
class EndAccountFeed:
    topic: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Nonsense: answered with ``{"error": ..., "topic": ...}``."""

    topic: str
    error: str


Command = (
    Alive
    | Echo
    | SubscribeQuote
    | UnsubscribeQuote
    | SubscribeHistory
    | UnsubscribeHistory
    | SubscribeLadder
    | UnsubscribeLadders
    | AccountFeed
    | EndAccountFeed
    | Refused
)


class _Fields(msgspec.Struct):
    fields: list[str] = []


class _Bars(msgspec.Struct, rename={"outside_rth": "outsideRth"}):
    period: str = "1d"
    bar: str = "5min"
    outside_rth: bool = False


def parse_command(text: str) -> Command:
    """The command that ``text`` means; whatever cannot be understood is ``Refused``."""
    if text == "tic":
        return Alive()
    if text == "ech+hb":
        return Echo()
    topic, _, rest = text.partition("+")
    if topic in _NAMES_ACCOUNT and not rest.partition("+")[0]:
        return Refused(topic, f"expected {topic}+account")
    if topic in _ACCOUNT_FEEDS:
        account = rest.partition("+")[0] if topic in _NAMES_ACCOUNT else None
        return AccountFeed(topic, account)
    if topic in _ACCOUNT_FEEDS.values():
        return EndAccountFeed(topic)
    parse = _PARSERS.get(topic)
    if parse is None:
        return Refused(text[:_TOPIC_LENGTH], f"Topic unknown '{text[:_TOPIC_LENGTH]}'")
    parsed: Command = parse(rest)
    return parsed


def _subscribe_quote(rest: str) -> Command:
    conid, arguments = _conid_and_arguments(rest, _Fields)
    if conid is None:
        return Refused("smd", f"no conid in 'smd+{rest[:_SHOWN]}'")
    if arguments is None:
        return Refused(f"smd+{conid}", 'expected smd+conid+{"fields":["31",...]}')
    return SubscribeQuote(conid, tuple(arguments.fields))


def _unsubscribe_quote(rest: str) -> Command:
    conid = _conid(rest.partition("+")[0])
    return Refused("umd", "no conid") if conid is None else UnsubscribeQuote(conid)


def _subscribe_history(rest: str) -> Command:
    conid, arguments = _conid_and_arguments(rest, _Bars)
    if conid is None:
        return Refused("smh", f"no conid in 'smh+{rest[:_SHOWN]}'")
    if arguments is None:
        return Refused(f"smh+{conid}", 'expected smh+conid+{"period":"1d","bar":"5min",...}')
    return SubscribeHistory(conid, arguments.period, arguments.bar, arguments.outside_rth)


def _unsubscribe_history(rest: str) -> Command:
    server_id = rest.partition("+")[0]
    if not server_id:
        return Refused("umh", "expected umh+serverId")
    return UnsubscribeHistory(server_id[:_SHOWN])


def _subscribe_ladder(rest: str) -> Command:
    account, _, tail = rest.partition("+")
    conid = _conid(tail.partition("+")[0])
    if not account or conid is None:
        return Refused("sbd", "expected sbd+account+conid[+exchange]")
    return SubscribeLadder(account, conid)


def _unsubscribe_ladders(rest: str) -> Command:
    account = rest.partition("+")[0]
    return UnsubscribeLadders(account) if account else Refused("ubd", "no account")


_PARSERS = {
    "smd": _subscribe_quote,
    "umd": _unsubscribe_quote,
    "smh": _subscribe_history,
    "umh": _unsubscribe_history,
    "sbd": _subscribe_ladder,
    "ubd": _unsubscribe_ladders,
}


def _conid_and_arguments(rest: str, kind: type[Any]) -> tuple[int | None, Any]:
    """``conid[@exchange]+{...}`` -> both parts, each None if it cannot be read."""
    name, _, arguments = rest.partition("+")
    try:
        return _conid(name), msgspec.json.decode(arguments or "{}", type=kind)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return _conid(name), None


def _conid(text: str) -> int | None:
    match = _CONID.fullmatch(text)
    return None if match is None else int(match[1])
