"""Bodies about contracts: listings, search, definitions, rules. Pure.

Sources: Web API page, section 2.2; keys beyond it as in answers that other people's clients have
recorded. The same thing has other names and types in each of them, as at IBKR: a conid is a number
here and a string there, a date ``20261218`` or ``"20261218"``.
"""

from __future__ import annotations

from collections.abc import Iterable

from ib_platform.simulator.catalogue import Product, SimulatedContract
from ib_platform.simulator.shapes import Json

FUTURE = "FUT"
_INDEX = "IND"
_FUTURE_OPTION = "FOP"
_ORDER_TYPES = ("limit", "market", "stop", "stop_limit", "trailing_stop", "trailing_stop_limit")
_TIME_IN_FORCE = ("DAY/o", "GTC/o", "IOC/LMT,STP,STPLMT,MKT")


def futures(months: Iterable[SimulatedContract]) -> list[Json]:
    """Entries of ``/trsrv/futures`` for one symbol, farthest first: IBKR does not sort them.

    Dates are integers YYYYMMDD; there is no exchange."""
    ordered = sorted(months, key=lambda contract: contract.expiry, reverse=True)
    return [
        {
            "symbol": contract.product.symbol,
            "conid": contract.conid,
            "underlyingConid": contract.product.underlying_conid,
            "expirationDate": int(_day(contract)),
            "ltd": int(_day(contract)),
            "shortFuturesCutOff": int(_day(contract)),
            "longFuturesCutOff": int(_day(contract)),
        }
        for contract in ordered
    ]


def search_entry(product: Product, months: Iterable[SimulatedContract]) -> Json:
    """One hit of ``secdef/search``. ``conid`` is the underlying's, and a string."""
    names = ";".join(month_name(contract) for contract in months)
    return {
        "conid": str(product.underlying_conid),
        "companyHeader": f"{product.name} - {product.exchange}",
        "companyName": product.name,
        "symbol": product.symbol,
        "description": product.exchange,
        "restricted": None,
        "sections": [
            {"secType": _INDEX},
            {"secType": FUTURE, "months": names, "exchange": product.exchange},
            {"secType": _FUTURE_OPTION, "months": names, "exchange": product.exchange},
        ],
    }


def _valid_exchanges(product: Product) -> str:
    """A list with commas: algorithms have an exchange of their own at IBKR."""
    return f"{product.exchange},QBALGO"


def month_name(contract: SimulatedContract) -> str:
    """The contract month as search and info name it: ``DEC26``."""
    return f"{contract.month:%b%y}".upper()


def definition(contract: SimulatedContract) -> Json:
    """One entry of ``secdef/info``."""
    product = contract.product
    return {
        "conid": contract.conid,
        "symbol": product.symbol,
        "secType": FUTURE,
        "exchange": product.exchange,
        "listingExchange": None,
        "right": "?",
        "strike": 0.0,
        "currency": "USD",
        "cusip": None,
        "coupon": "No Coupon",
        "desc1": product.symbol,
        "desc2": f"{contract.expiry:%b %d '%y}".upper(),
        "maturityDate": _day(contract),
        "multiplier": product.multiplier,
        "tradingClass": product.symbol,
        "validExchanges": _valid_exchanges(product),
    }


def contract_info(contract: SimulatedContract) -> Json:
    """``/iserver/contract/{conid}/info``: snake case, many nulls."""
    product = contract.product
    return {
        "cfi_code": "",
        "symbol": product.symbol,
        "cusip": None,
        "expiry_full": f"{contract.month:%Y%m}",
        "con_id": contract.conid,
        "maturity_date": _day(contract),
        "industry": None,
        "instrument_type": FUTURE,
        "has_related_contracts": False,
        "trading_class": product.symbol,
        "valid_exchanges": _valid_exchanges(product),
        "allow_sell_long": False,
        "is_zero_commission_security": False,
        "local_symbol": contract.local_symbol,
        "contract_clarification_type": None,
        "contract_month": f"{contract.month:%Y%m}",
        "company_name": product.name,
        "classifier": None,
        "currency": "USD",
        "text": None,
        "underlying_con_id": product.underlying_conid,
        "r_t_h": False,
        "multiplier": product.multiplier,
        "underlying_issuer": None,
        "smart_available": False,
        "exchange": product.exchange,
        "category": None,
    }


def contract_rules(contract: SimulatedContract) -> Json:
    """``rules`` of info-and-rules. ``increment`` is the tick; orders are not simulated."""
    tick = float(contract.product.tick)
    return {
        "algoEligible": False,
        "overnightEligible": False,
        "costReport": False,
        "canTradeAcctIds": [],
        "error": None,
        "orderTypes": list(_ORDER_TYPES),
        "tifTypes": list(_TIME_IN_FORCE),
        "defaultSize": 1,
        "sizeIncrement": 1,
        "cashSize": 0.0,
        "cashCcy": "USD",
        "limitPrice": None,
        "stopprice": None,
        "preview": True,
        "increment": tick,
        "incrementDigits": -int(contract.product.tick.as_tuple().exponent),
        "incrementRules": [{"lowerEdge": 0.0, "increment": tick}],
        "negativeCapable": False,
    }


def security_definition(contract: SimulatedContract) -> Json:
    """One entry of ``/trsrv/secdef``; ``multiplier`` is a number here."""
    product = contract.product
    tick = float(product.tick)
    return {
        "conid": contract.conid,
        "currency": "USD",
        "time": 0,
        "chineseName": None,
        "allExchanges": product.exchange,
        "listingExchange": product.exchange,
        "countryCode": "US",
        "name": product.name,
        "assetClass": FUTURE,
        "expiry": _day(contract),
        "lastTradingDay": _day(contract),
        "group": None,
        "putOrCall": None,
        "sector": None,
        "sectorGroup": None,
        "strike": "0",
        "ticker": product.symbol,
        "undConid": product.underlying_conid,
        "multiplier": float(product.multiplier),
        "type": None,
        "hasOptions": False,
        "fullName": f"{product.symbol} {contract.expiry:%b%d'%y}",
        "isUS": True,
        "isEventContract": False,
        "incrementRules": [{"lowerEdge": 0.0, "increment": tick}],
        "displayRule": {
            "magnification": 0,
            "displayRuleStep": [
                {
                    "decimalDigits": -int(product.tick.as_tuple().exponent),
                    "lowerEdge": 0.0,
                    "wholeDigits": 4,
                }
            ],
        },
    }


def _day(contract: SimulatedContract) -> str:
    return f"{contract.expiry:%Y%m%d}"
