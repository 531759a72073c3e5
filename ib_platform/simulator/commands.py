"""What a client says on the websocket: message text -> command. Pure, never raises."""

from __future__ import annotations

import re
from dataclasses import dataclass

import msgspec

_CONID = re.compile(r"([0-9]{1,10})(?:@[A-Z]+)?", re.ASCII)
_SHOWN = 60


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
class SubscribeLadder:
    account: str
    conid: int


@dataclass(frozen=True, slots=True)
class UnsubscribeLadders:
    """``ubd``: keyed by the account alone; IBKR accepts a conid behind it and ignores it."""

    account: str


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
    | SubscribeLadder
    | UnsubscribeLadders
    | Refused
)


class _Fields(msgspec.Struct):
    fields: list[str] = []


def parse_command(text: str) -> Command:
    """The command that ``text`` means; whatever cannot be understood is ``Refused``."""
    if text == "tic":
        return Alive()
    if text == "ech+hb":
        return Echo()
    topic, _, rest = text.partition("+")
    if topic == "smd":
        return _subscribe_quote(rest)
    if topic == "umd":
        conid = _conid(rest.partition("+")[0])
        return Refused("umd", "no conid") if conid is None else UnsubscribeQuote(conid)
    if topic == "sbd":
        return _subscribe_ladder(rest)
    if topic == "ubd":
        account = rest.partition("+")[0]
        return UnsubscribeLadders(account) if account else Refused("ubd", "no account")
    return Refused(topic[:_SHOWN], f"Topic unknown '{text[:_SHOWN]}'")


def _subscribe_quote(rest: str) -> Command:
    name, _, arguments = rest.partition("+")
    conid = _conid(name)
    if conid is None:
        return Refused("smd", f"no conid in 'smd+{rest[:_SHOWN]}'")
    try:
        fields = msgspec.json.decode(arguments or "{}", type=_Fields).fields
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Refused(f"smd+{conid}", 'expected smd+conid+{"fields":["31",...]}')
    return SubscribeQuote(conid, tuple(fields))


def _subscribe_ladder(rest: str) -> Command:
    account, _, tail = rest.partition("+")
    conid = _conid(tail.partition("+")[0])
    if not account or conid is None:
        return Refused("sbd", "expected sbd+account+conid[+exchange]")
    return SubscribeLadder(account, conid)


def _conid(text: str) -> int | None:
    match = _CONID.fullmatch(text)
    return None if match is None else int(match[1])
