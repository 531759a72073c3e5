"""Quote frames (``smd``): message bytes -> typed fields. Only changed fields come after the first.

Field numbers (IBKR Web API, market data fields): 31 last, 84 bid, 85 ask size, 86 ask, 88 bid size,
7059 last size, 7762 volume, 6509 availability. ``_updated`` is the sender's time in ms.
A last price may carry a prefix: ``C`` previous close, ``H`` halted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.prices import Unreadable, count_of, price_nanos

QUOTE_FIELDS = ("31", "84", "85", "86", "88", "7059", "7762", "6509")
_LARGEST_SIZE = 2**31 - 1
_MS_LIMIT = 10**13
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Quote:
    """One quote frame: prices in nanos, sizes in contracts, None = not in this frame.

    A field that cannot be read is None too, and ``problem`` names the first of them: one odd field
    must not cost the others. A volume or size that IBKR shows rounded (``49.9K``) is None without
    a problem: what it exactly is was not said. The payload stays in ``frames`` anyway.
    """

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
    problem: Undecodable | None = None


class _Message(msgspec.Struct):
    updated: Any = msgspec.field(default=None, name="_updated")
    last: Any = msgspec.field(default=None, name="31")
    bid: Any = msgspec.field(default=None, name="84")
    ask_size: Any = msgspec.field(default=None, name="85")
    ask: Any = msgspec.field(default=None, name="86")
    bid_size: Any = msgspec.field(default=None, name="88")
    last_size: Any = msgspec.field(default=None, name="7059")
    volume: Any = msgspec.field(default=None, name="7762")
    availability: Any = msgspec.field(default=None, name="6509")


_decode_message = msgspec.json.Decoder(_Message).decode


def decode_quote(payload: bytes | str) -> Quote | Undecodable:
    """Fields of a quote frame, or why none of them can be known."""
    try:
        raw = _decode_message(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        shape = isinstance(error, msgspec.ValidationError)
        return Undecodable("bad_shape" if shape else "not_json", str(error)[:200])
    prefix, last = None, raw.last
    if isinstance(last, str) and last[:1] in ("C", "H"):
        prefix, last = last[0], last[1:]
    fields = _Fields()
    return Quote(
        updated_ms=fields.read("_updated", _time, raw.updated),
        last=fields.read("31", price_nanos, last),
        last_prefix=prefix,
        last_size=fields.read("7059", _size, raw.last_size),
        bid=fields.read("84", price_nanos, raw.bid),
        bid_size=fields.read("88", _size, raw.bid_size),
        ask=fields.read("86", price_nanos, raw.ask),
        ask_size=fields.read("85", _size, raw.ask_size),
        volume=fields.read("7762", count_of, raw.volume),
        availability=fields.read("6509", _text, raw.availability),
        problem=fields.problem,
    )


class _Fields:
    """Reads fields one by one and remembers the first that cannot be read."""

    def __init__(self) -> None:
        self.problem: Undecodable | None = None

    def read(self, name: str, reader: Callable[[Any], _T | None], value: object) -> _T | None:
        if value is None or value == "":
            return None
        try:
            if isinstance(value, bool) or not isinstance(value, str | int | float):
                raise Unreadable("bad_shape", value)
            return reader(value)
        except Unreadable as error:
            self.problem = self.problem or Undecodable(error.reason, f"field {name}: {error}")
            return None


def _size(value: str | int | float) -> int | None:
    size = count_of(value)
    if size is not None and size > _LARGEST_SIZE:
        raise Unreadable("bad_size", value)
    return size


def _time(value: str | int | float) -> int:
    if not isinstance(value, int) or not 0 <= value < _MS_LIMIT:
        raise Unreadable("bad_time", value)
    return value


def _text(value: str | int | float) -> str:
    if not isinstance(value, str):
        raise Unreadable("bad_shape", value)
    return value
