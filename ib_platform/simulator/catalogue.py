"""The simulated futures: products, their listed months, conids, ticks and price texts.

Pure: the listing is a function of a date. Months expire by the exchanges' rules (``expiries``) and
are gone on the day after. The front month is one that expires no earlier than ``roll_guard_days``
after the date, so that no demo meets an expiry unless it wants to. Conids are a function of product
and month: every simulator process names the same contract alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal

from ib_platform.simulator.expiries import EXPIRY_RULES
from ib_platform.simulator.parameters import Days, parameters

LISTED_MONTHS = 4
_FIRST_CONID = 700_000_000
_CONIDS_A_PRODUCT = 10_000
_FIRST_YEAR = 2020
_MONTH_LETTERS = "FGHJKMNQUVXZ"
_QUARTERS = (3, 6, 9, 12)
_EVERY_MONTH = tuple(range(1, 13))
_EVEN_MONTHS = (2, 4, 6, 8, 10, 12)


@parameters
class CatalogueParameters:
    """``roll_guard_days``: the front month of the listing has at least so many days to live;
    0 lists a contract until it expires. Months between expiry and guard are known by conid, their
    ladders stream, but they are not listed."""

    roll_guard_days: Days = 45


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
    """One month of a product. ``month``: first day of the contract month; ``expiry``: last
    trading day, for some products in the month before."""

    product: Product
    conid: int
    month: date
    expiry: date

    @property
    def local_symbol(self) -> str:
        """Exchange code of the month, like ``ESZ6``."""
        letter = _MONTH_LETTERS[self.month.month - 1]
        return f"{self.product.symbol}{letter}{self.month.year % 10}"

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
    """The contracts of a date, by conid and by symbol. ``listed_from``: months that expire earlier
    are known by conid alone."""

    def __init__(
        self,
        contracts: Iterable[SimulatedContract],
        listed_from: date,
        always: frozenset[int] = frozenset(),
    ) -> None:
        self._by_conid = {contract.conid: contract for contract in contracts}
        self._listed_from = listed_from
        self._always = always
        """Conids that are listed however soon they expire."""

    @classmethod
    def on(cls, day: date, parameters: CatalogueParameters | None = None) -> Catalogue:
        """What is listed on ``day``: the front month and the three after it of every product."""
        guard = (parameters or CatalogueParameters()).roll_guard_days
        listed_from = day + timedelta(days=guard)
        return cls(
            (
                contract
                for position, product in enumerate(PRODUCTS)
                for contract in _alive(product, position, day, listed_from)
            ),
            listed_from,
        )

    @property
    def symbols(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(c.product.symbol for c in self._by_conid.values()))

    def get(self, conid: int) -> SimulatedContract | None:
        return self._by_conid.get(conid)

    def months_of(self, symbol: str) -> tuple[SimulatedContract, ...]:
        """Listed months of ``symbol``, nearest first; none for an unknown symbol."""
        found = [
            contract
            for contract in self._by_conid.values()
            if contract.product.symbol == symbol
            and (contract.expiry >= self._listed_from or contract.conid in self._always)
        ]
        return tuple(sorted(found, key=lambda contract: contract.expiry))

    def with_front_conid(self, symbol: str, conid: int) -> Catalogue:
        """A catalogue whose front month of ``symbol`` has this conid; KeyError if unknown."""
        months = self.months_of(symbol)
        if not months:
            raise KeyError(symbol)
        front = months[0]
        contracts = self._by_conid.values()
        return Catalogue(
            (replace(known, conid=conid) if known is front else known for known in contracts),
            self._listed_from,
            self._always,
        )

    def with_listed(self, contract: SimulatedContract) -> Catalogue:
        """A catalogue that lists this contract too. Months of its symbol that do not expire after
        it are gone, unless they were added like this: it is the nearest but for those."""
        kept = (
            known
            for known in self._by_conid.values()
            if known.conid != contract.conid
            and (
                known.product.symbol != contract.product.symbol
                or known.expiry > contract.expiry
                or known.conid in self._always
            )
        )
        always = self._always | {contract.conid}
        return Catalogue((*kept, contract), self._listed_from, always)


def _alive(
    product: Product, position: int, day: date, listed_from: date
) -> Iterator[SimulatedContract]:
    """Months that have not expired on ``day``, to the last one that is listed."""
    alive = (month for month in _months(product, position, day.year) if month.expiry >= day)
    listed = 0
    for contract in alive:
        yield contract
        listed += contract.expiry >= listed_from
        if listed == LISTED_MONTHS:
            return


def _months(product: Product, position: int, year: int) -> Iterator[SimulatedContract]:
    """All months of a product from ``year`` on, for ever."""
    while True:
        for number in product.cycle:
            month = date(year, number, 1)
            serial = (year - _FIRST_YEAR) * 12 + number
            yield SimulatedContract(
                product=product,
                conid=_FIRST_CONID + position * _CONIDS_A_PRODUCT + serial,
                month=month,
                expiry=EXPIRY_RULES[product.symbol](month),
            )
        year += 1
