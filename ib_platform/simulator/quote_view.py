"""Level-one quotes of one market: market states -> ``smd`` frames with changed fields only."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from ib_platform.simulator.market import Market

SAMPLED_EVERY = 0.5
"""Seconds between two samples (IBKR documents 500 ms)."""

_Field = Callable[[Market], str | int]
FIELDS: Mapping[str, _Field] = {
    "31": lambda market: market.contract.price_text(market.last),
    "55": lambda market: market.contract.product.symbol,
    "84": lambda market: market.contract.price_text(market.best_bid),
    "85": lambda market: str(-market.size_at(market.best_ask)),
    "86": lambda market: market.contract.price_text(market.best_ask),
    "88": lambda market: str(market.size_at(market.best_bid)),
    "6004": lambda market: market.contract.product.exchange,
    "6008": lambda market: market.contract.conid,
    "6509": lambda _: "RB",
    "7059": lambda market: str(market.last_size),
    "7762": lambda market: str(market.volume),
}
"""What the simulator knows of IBKR's numbered fields; others are left out of the answer."""


class QuoteView:
    """One quote subscription. Pure: instants come from the caller."""

    def __init__(self, market: Market, fields: tuple[str, ...]) -> None:
        self._market = market
        self._fields = tuple(field for field in dict.fromkeys(fields) if field in FIELDS)
        self._sent: dict[str, str | int] = {}
        self._next: float | None = None

    def poll(self, now: float, wall_ms: int) -> bytes | None:
        """The frame due at ``now``, stamped ``wall_ms``; None when no field changed."""
        if self._next is not None and now < self._next:
            return None
        first = self._next is None
        self._next = now + SAMPLED_EVERY
        self._market.advance(now)
        values = {field: FIELDS[field](self._market) for field in self._fields}
        changed = {key: value for key, value in values.items() if self._sent.get(key) != value}
        if not changed and not first:
            return None
        self._sent = values
        conid = self._market.contract.conid
        head: dict[str, str | int] = {
            "topic": f"smd+{conid}",
            "conid": conid,
            "conidEx": str(conid),
            "server_id": "q0",
            "6119": "q0",
            "_updated": wall_ms,
        }
        return msgspec.json.encode(head | changed)
