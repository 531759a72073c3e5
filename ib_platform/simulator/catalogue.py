"""The simulated futures: products, their listed months, conids, ticks and price texts.

Pure: the listing is a function of a date. The front month is one that expires no earlier than
``NEVER_WITHIN`` after that date, so that no contract expires while a demo runs. Conids are a
function of product and month: every simulator process names the same contract alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

NEVER_WITHIN = timedelta(days=45)
LISTED_MONTHS = 4
_EXPIRY_DAY = 18
_FIRST_CONID = 700_000_000
_CONIDS_A_PRODUCT = 10_000
_FIRST_YEAR = 2020
_MONTH_LETTERS = "FGHJKMNQUVXZ"
_QUARTERS = (3, 6, 9, 12)
_EVERY_MONTH = tuple(range(1, 13))
_EVEN_MONTHS = (2, 4, 6, 8, 10, 12)


@dataclass(frozen=True, slots=True)
class Product:
    """One futures product. ``start_price`` and ``tick`` are in price units, ``typical_size`` is
    the mean size of a level in contracts, ``cycle`` the months of the year that are listed."""

    symbol: str
    exchange: str
    name: str
    tick: Decimal
    multiplier: str
    start_price: Decimal
    typical_size: int
    cycle: tuple[int, ...]
    underlying_conid: int


@dataclass(frozen=True, slots=True)
class SimulatedContract:
    """One listed month of a product."""

    product: Product
    conid: int
    expiry: date

    @property
    def local_symbol(self) -> str:
        """Exchange code of the month, like ``ESZ6``."""
        letter = _MONTH_LETTERS[self.expiry.month - 1]
        return f"{self.product.symbol}{letter}{self.expiry.year % 10}"

    @property
    def start_tick(self) -> int:
        """Price at which its market begins, in ticks."""
        return int(self.product.start_price / self.product.tick)

    def price_text(self, ticks: int) -> str:
        """A price as IBKR shows it: all decimals of the tick, thousands commas."""
        price = self.product.tick * ticks
        digits = -int(self.product.tick.as_tuple().exponent)
        return f"{price:,.{digits}f}"


def _product(line: str, cycle: tuple[int, ...]) -> Product:
    symbol, exchange, tick, multiplier, start, size, underlying, name = line.split(maxsplit=7)
    return Product(
        symbol=symbol,
        exchange=exchange,
        name=name,
        tick=Decimal(tick),
        multiplier=multiplier,
        start_price=Decimal(start),
        typical_size=int(size),
        cycle=cycle,
        underlying_conid=int(underlying),
    )


# A product's position gives its conids: append only.
PRODUCTS: tuple[Product, ...] = (
    _product("CL NYMEX 0.01 1000 58.30 14 600000001 Light Sweet Crude Oil", _EVERY_MONTH),
    _product("ES CME 0.25 50 6780.00 40 600000002 E-mini S&P 500", _QUARTERS),
    _product("NQ CME 0.25 20 25050.00 6 600000003 E-mini NASDAQ 100", _QUARTERS),
    _product("GC COMEX 0.1 100 4120.0 9 600000004 Gold", _EVEN_MONTHS),
    _product("ZN CBOT 0.015625 1000 112.500000 900 600000005 10 Year US Treasury Note", _QUARTERS),
    _product("NG NYMEX 0.001 10000 4.350 11 600000006 Henry Hub Natural Gas", _EVERY_MONTH),
    _product("YM CBOT 1 5 47200 5 600000007 Mini Dow Jones Industrial Average", _QUARTERS),
    _product("RTY CME 0.1 50 2410.0 8 600000008 E-mini Russell 2000", _QUARTERS),
)


class Catalogue:
    """All contracts that are listed on a date, by conid and by symbol."""

    def __init__(self, contracts: Iterable[SimulatedContract]) -> None:
        self._by_conid = {contract.conid: contract for contract in contracts}

    @classmethod
    def on(cls, day: date) -> Catalogue:
        """The listing of ``day``: the front month and the three after it of every product."""
        return cls(
            contract
            for position, product in enumerate(PRODUCTS)
            for contract in _listed(product, position, day)
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.product.symbol for c in self._by_conid.values()))

    def get(self, conid: int) -> SimulatedContract | None:
        return self._by_conid.get(conid)

    def months_of(self, symbol: str) -> tuple[SimulatedContract, ...]:
        """Listed months of ``symbol``, nearest first; none for an unknown symbol."""
        found = [c for c in self._by_conid.values() if c.product.symbol == symbol]
        return tuple(sorted(found, key=lambda contract: contract.expiry))

    def with_front_conid(self, symbol: str, conid: int) -> Catalogue:
        """A catalogue whose front month of ``symbol`` has this conid; KeyError if unknown."""
        months = self.months_of(symbol)
        if not months:
            raise KeyError(symbol)
        front = months[0]
        return Catalogue(
            replace(contract, conid=conid) if contract is front else contract
            for contract in self._by_conid.values()
        )


def _listed(product: Product, position: int, day: date) -> Iterator[SimulatedContract]:
    year, found = day.year, 0
    while True:
        for month in product.cycle:
            expiry = date(year, month, _EXPIRY_DAY)
            if expiry < day + NEVER_WITHIN:
                continue
            number = (year - _FIRST_YEAR) * 12 + month
            yield SimulatedContract(
                product, _FIRST_CONID + position * _CONIDS_A_PRODUCT + number, expiry
            )
            found += 1
            if found == LISTED_MONTHS:
                return
        year += 1
