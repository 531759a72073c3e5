"""What a capture tells about the contracts that it plays. Pure.

The facts stand in the recorded answers of ``/trsrv/futures`` and ``/iserver/contract``; a capture
without them (version 1) names at least the symbol in its quotes (field 55). With facts a contract
can be listed whose symbol the simulator does not know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec

from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_format import Exchange
from ib_platform.marketdata.contracts import decode_futures
from ib_platform.simulator.catalogue import PRODUCTS, Catalogue, Product, SimulatedContract

_FUTURES = "/trsrv/futures"
_CONTRACT = "/iserver/contract/"
_SIZE = 10
_FIRST_STAND_IN = timedelta(days=60)
_NEXT_STAND_IN = timedelta(days=30)
_MOST_DIGITS = 12


@dataclass(frozen=True, slots=True)
class RecordedContract:
    """One contract of a capture; None = the capture does not say. ``expiry``: last trading day."""

    conid: int
    symbol: str
    exchange: str | None = None
    name: str | None = None
    tick: Decimal | None = None
    multiplier: str | None = None
    expiry: date | None = None
    underlying_conid: int | None = None
    price: Decimal | None = None
    """A price of the recording: where other users' synthetic market of it begins."""

    @property
    def is_described(self) -> bool:
        """Whether enough is known to list it under any symbol."""
        return self.exchange is not None and self.tick is not None


def recorded_facts(exchanges: Iterable[Exchange]) -> dict[int, RecordedContract]:
    """Contracts by conid that the recorded REST answers describe. Odd answers are passed over."""
    facts: dict[int, RecordedContract] = {}
    for exchange in exchanges:
        if exchange.status != 200:
            continue
        if exchange.path == _FUTURES:
            for known in _listed_futures(exchange.body):
                facts[known.conid] = _merged(facts.get(known.conid), known)
        elif exchange.path.startswith(_CONTRACT):
            described = _described(exchange.body)
            if described is not None:
                facts[described.conid] = _merged(facts.get(described.conid), described)
    return facts


def require_listable(contracts: Iterable[RecordedContract], path: Path) -> None:
    """Raises ConfigurationError for a contract that ``listed`` could not list."""
    known = sorted(product.symbol for product in PRODUCTS)
    for contract in contracts:
        if not contract.is_described and contract.symbol not in known:
            raise ConfigurationError(
                f"{path}: plays {contract.symbol} (conid {contract.conid}), which the simulator "
                "does not list and no recorded answer of /iserver/contract/.../info-and-rules "
                f"describes. Known symbols: {', '.join(known)}"
            )


def listed(catalogue: Catalogue, contracts: Sequence[RecordedContract], today: date) -> Catalogue:
    """The catalogue as the capture's user has to see it: its contracts are the nearest months of
    their symbols. A month that is past gets the expiry of one that is not."""
    known = {product.symbol: product for product in PRODUCTS}

    def order(contract: RecordedContract) -> tuple[str, date]:
        return contract.symbol, contract.expiry or date.max

    for symbol, group in groupby(sorted(contracts, key=order), key=lambda c: c.symbol):
        months = catalogue.months_of(symbol)
        undescribed = True
        for position, contract in enumerate(group):
            if contract.is_described:
                expiry = contract.expiry
                if expiry is None or expiry < today:
                    expiry = _stand_in(months, position, today)
                built = _simulated(contract, known.get(symbol), expiry)
                catalogue = catalogue.with_listed(built)
            elif undescribed:
                catalogue = catalogue.with_front_conid(symbol, contract.conid)
                undescribed = False
    return catalogue


def _stand_in(months: Sequence[SimulatedContract], position: int, today: date) -> date:
    if position < len(months):
        return months[position].expiry
    return today + _FIRST_STAND_IN + position * _NEXT_STAND_IN


def _simulated(
    contract: RecordedContract, product: Product | None, expiry: date
) -> SimulatedContract:
    assert contract.exchange is not None
    assert contract.tick is not None
    start = contract.price or contract.tick * 100
    product = product or Product(
        symbol=contract.symbol,
        exchange=contract.exchange,
        name=contract.name or contract.symbol,
        tick=contract.tick,
        multiplier="1",
        start_price=start,
        typical_size=_SIZE,
        cycle=tuple(range(1, 13)),
        underlying_conid=0,
    )
    product = replace(
        product,
        exchange=contract.exchange,
        name=contract.name or product.name,
        tick=contract.tick,
        multiplier=contract.multiplier or product.multiplier,
        start_price=start,
        underlying_conid=contract.underlying_conid or product.underlying_conid,
    )
    return SimulatedContract(product, contract.conid, expiry.replace(day=1), expiry)


def _listed_futures(body: str) -> list[RecordedContract]:
    try:
        months = decode_futures(body.encode())
    except ValueError:
        return []
    return [
        RecordedContract(month.conid, symbol, expiry=month.last_day)
        for symbol, listed_months in months.items()
        for month in listed_months
    ]


def _described(body: str) -> RecordedContract | None:
    """Answer of ``info`` or ``info-and-rules``."""
    try:
        answer: Any = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    if not isinstance(answer, dict):
        return None
    conid, symbol = answer.get("con_id"), answer.get("symbol")
    if type(conid) is not int or not isinstance(symbol, str) or not symbol:
        return None
    rules = answer.get("rules")
    underlying = answer.get("underlying_con_id")
    return RecordedContract(
        conid,
        symbol,
        exchange=_text(answer.get("exchange")),
        name=_text(answer.get("company_name")),
        tick=_positive(rules.get("increment")) if isinstance(rules, dict) else None,
        multiplier=_text(answer.get("multiplier")),
        underlying_conid=underlying if type(underlying) is int else None,
    )


def _merged(old: RecordedContract | None, new: RecordedContract) -> RecordedContract:
    """What the new answer says over what was known; what it does not say stays."""
    if old is None:
        return new
    fields = RecordedContract.__dataclass_fields__
    told = {name: value for name in fields if (value := getattr(new, name)) is not None}
    return replace(old, **told)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _positive(value: object) -> Decimal | None:
    """A number or its text, exactly as it was written."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        return None
    if not number.is_finite() or number <= 0 or number.adjusted() > _MOST_DIGITS:
        return None
    # 5 and not 5E+0 or 1E+1: the digits behind the point are read from the exponent.
    exponent = int(number.as_tuple().exponent)
    return number if -_MOST_DIGITS <= exponent <= 0 else None
