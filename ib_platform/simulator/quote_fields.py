"""IBKR's numbered market data fields, as far as the simulator knows them. Pure.

Shared by websocket quotes and REST snapshots, so that both tell the same. All values are strings,
prices with thousands commas and all decimals of the tick (Web API page, section 2.2). A last price
reads ``C58.28`` while nothing trades (then it is the close) and ``H58.28`` while trading is halted.
The real numbers cross over: 85 is the ask's size, 88 the bid's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.market import Market

AVAILABILITY = "6509"
MARKER = "6119"
_LAST = "31"
_PREFIXES = {MarketPhase.OPEN: "", MarketPhase.HALTED: "H"}
_CLOSED_PREFIX = "C"
_WITH_VALUES = ("R", "D", "Z", "Y")
"""First letters of 6509 with which values come: real-time, delayed, frozen, both. The others are N
(not subscribed), O (the yearly acknowledgement is missing), i (incomplete)."""

_FROM_CONTRACT: Mapping[str, Callable[[SimulatedContract], str | int]] = {
    "55": lambda contract: contract.product.symbol,
    "6004": lambda contract: contract.product.exchange,
    "6008": lambda contract: contract.conid,
    "6070": lambda _: "FUT",
    "6457": lambda contract: str(contract.product.underlying_conid),
    "7051": lambda contract: contract.product.name,
    "7094": lambda contract: f"{contract.conid}@{contract.product.exchange}",
    "7219": lambda contract: f"{contract.product.symbol} {contract.expiry:%b%d'%y}",
    "7220": lambda contract: contract.local_symbol,
    "7221": lambda contract: contract.product.exchange,
    "7714": lambda contract: f"{contract.expiry:%Y%m%d}",
}
_FROM_MARKET: Mapping[str, Callable[[Market], str]] = {
    _LAST: lambda market: market.price_text(market.last),
    "70": lambda market: market.price_text(_or_last(market.high, market)),
    "71": lambda market: market.price_text(_or_last(market.low, market)),
    "84": lambda market: market.price_text(market.best_bid),
    "85": lambda market: _size(market, market.best_ask),
    "86": lambda market: market.price_text(market.best_ask),
    "87": lambda market: abbreviated(market.volume),
    "88": lambda market: _size(market, market.best_bid),
    "7059": lambda market: "" if market.last is None else str(market.last_size),
    "7697": lambda market: abbreviated(open_interest(market.contract)),
    "7762": lambda market: str(market.volume),
}
DESCRIPTIVE = frozenset(_FROM_CONTRACT)
"""Fields that describe the contract: known to everybody, and before its market is."""
FIELDS = frozenset({AVAILABILITY, *_FROM_CONTRACT, *_FROM_MARKET})
"""What the simulator knows; other fields are left out of an answer."""


def field_values(
    market: Market,
    fields: Iterable[str],
    availability: str,
    phase: MarketPhase = MarketPhase.OPEN,
) -> dict[str, str | int]:
    """Values by field number, in the order asked for.

    ``availability`` is 6509 and decides what comes at all. What is unknown, has no value yet or is
    not subscribed is left out.
    """
    entitled = availability.startswith(_WITH_VALUES)
    values: dict[str, str | int] = {}
    for field in fields:
        if field == AVAILABILITY:
            values[field] = availability
        elif field in _FROM_CONTRACT:
            values[field] = _FROM_CONTRACT[field](market.contract)
        elif entitled and field in _FROM_MARKET and (text := _FROM_MARKET[field](market)):
            prefix = _PREFIXES.get(phase, _CLOSED_PREFIX) if field == _LAST else ""
            values[field] = prefix + text
    return values


def abbreviated(count: int) -> str:
    """Three digits and a letter, as field 87 shows volumes: 999, 12.3K, 1.23M."""
    for unit, letter in ((1_000_000, "M"), (1_000, "K")):
        if count >= unit:
            # Cut, not rounded: 999,999 must not read 1000K.
            digits = max(0, 3 - len(str(count // unit)))
            scale = 10**digits
            return f"{count * scale // unit / scale:.{digits}f}{letter}"
    return str(count)


def open_interest(contract: SimulatedContract) -> int:
    """Outstanding contracts: invented once for each contract, steady, larger for busy products."""
    return contract.product.typical_size * 1_000 + contract.conid * 7_919 % 9_973


def _or_last(tick: int | None, market: Market) -> int | None:
    return market.last if tick is None else tick


def _size(market: Market, tick: int | None) -> str:
    return "" if tick is None else str(abs(market.size_at(tick)))
