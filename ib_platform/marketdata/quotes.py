"""Quote frames (``smd``): message bytes -> typed fields. Only changed fields come after the first.

Field numbers (IBKR Web API, market data fields): 31 last, 84 bid, 85 ask size, 86 ask, 88 bid size,
7059 last size, 7762 volume, 6509 availability. ``_updated`` is the sender's time in ms.
A last price may carry a prefix: ``C`` previous close, ``H`` halted.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.prices import Unreadable, price_nanos, size_of

QUOTE_FIELDS = ("31", "84", "85", "86", "88", "7059", "7762", "6509")
_Text = str | int | float | None


@dataclass(frozen=True, slots=True)
class Quote:
    """One quote frame: prices in nanos, sizes in contracts, None = not in this frame."""

    updated_ms: int | None
    last: int | None
    last_prefix: str | None
    last_size: int | None
    bid: int | None
    bid_size: int | None
    ask: int | None
    ask_size: int | None
    volume: int | None
    availability: str | None


class _Message(msgspec.Struct):
    updated: int | None = msgspec.field(default=None, name="_updated")
    last: _Text = msgspec.field(default=None, name="31")
    bid: _Text = msgspec.field(default=None, name="84")
    ask_size: _Text = msgspec.field(default=None, name="85")
    ask: _Text = msgspec.field(default=None, name="86")
    bid_size: _Text = msgspec.field(default=None, name="88")
    last_size: _Text = msgspec.field(default=None, name="7059")
    volume: _Text = msgspec.field(default=None, name="7762")
    availability: str | None = msgspec.field(default=None, name="6509")


_decode_message = msgspec.json.Decoder(_Message).decode


def decode_quote(payload: bytes | str) -> Quote | Undecodable:
    """Fields of a quote frame, or why they cannot be known."""
    try:
        raw = _decode_message(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        shape = isinstance(error, msgspec.ValidationError)
        return Undecodable("bad_shape" if shape else "not_json", str(error)[:200])
    prefix, last = None, raw.last
    if isinstance(last, str) and last[:1] in ("C", "H"):
        prefix, last = last[0], last[1:]
    try:
        return Quote(
            updated_ms=raw.updated,
            last=_price(last),
            last_prefix=prefix,
            last_size=_size(raw.last_size),
            bid=_price(raw.bid),
            bid_size=_size(raw.bid_size),
            ask=_price(raw.ask),
            ask_size=_size(raw.ask_size),
            volume=_size(raw.volume),
            availability=raw.availability,
        )
    except Unreadable as error:
        return Undecodable(error.reason, str(error))


def _price(value: _Text) -> int | None:
    return None if value is None or value == "" else price_nanos(value)


def _size(value: _Text) -> int | None:
    return None if value is None or value == "" else size_of(value)
