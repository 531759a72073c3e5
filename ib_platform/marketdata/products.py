"""Which calendar a CME product follows. PURE.

Symbols are IBKR's (``EUR`` for what CME calls 6E). Sources: CME Group's product groups, and IBKR's
symbols of ``/trsrv/futures``.
"""

from __future__ import annotations

from collections.abc import Mapping

from ib_platform.marketdata.sessions import CalendarName

_BY_EXCHANGE: Mapping[str, CalendarName] = {
    "NYMEX": CalendarName.CME_ENERGY_METALS,
    "COMEX": CalendarName.CME_ENERGY_METALS,
}
_SYMBOLS: Mapping[CalendarName, str] = {
    CalendarName.CME_EQUITY: "ES MES NQ MNQ RTY M2K YM MYM EMD NKD NIY",
    CalendarName.CME_FX: "EUR JPY GBP CAD AUD CHF NZD MXP BRE M6E M6A M6B MCD MJY MSF E7 J7",
    CalendarName.CME_RATES: "ZN ZB ZF ZT TN UB Z3N SR1 SR3 ZQ 2YY 5YY 10Y 30Y",
    CalendarName.CME_GRAINS: "ZC ZS ZW ZM ZL ZO KE",
    CalendarName.CME_LIVESTOCK: "LE HE GF",
}
_BY_SYMBOL = {symbol: name for name, symbols in _SYMBOLS.items() for symbol in symbols.split()}
_EXCHANGES = frozenset({"CME", "CBOT"})


def calendar_of(symbol: str, exchange: str) -> CalendarName:
    """The calendar of a product.

    Raises:
        ValueError: it is not known here. A wrong calendar would make gaps of closed hours.
    """
    if exchange in _BY_EXCHANGE:
        return _BY_EXCHANGE[exchange]
    if exchange in _EXCHANGES and symbol in _BY_SYMBOL:
        return _BY_SYMBOL[symbol]
    raise ValueError(
        f"the trading hours of {symbol} on {exchange} are not known: check the symbol (IBKR's, "
        "EUR and not 6E) and the exchange (CME, CBOT, NYMEX, COMEX), or name a calendar, like "
        "`calendar: cme_globex` (docs/calendars.md)"
    )
