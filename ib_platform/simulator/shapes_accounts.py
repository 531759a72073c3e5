"""Bodies about accounts and portfolios, of an account that holds cash and no position. Pure.

Sources: Web API page, section 2.2; summary, ledger and metadata as other people's clients have
recorded them. This product sends no orders, so nothing here ever changes.
"""

from __future__ import annotations

from ib_platform.simulator.shapes import Json
from ib_platform.simulator.users import SimulatedUser

CASH = 1_000_000.0
"""What a paper account begins with, in USD."""
_LEDGER_VALUES = (
    "commoditymarketvalue",
    "futuremarketvalue",
    "corporatebondsmarketvalue",
    "warrantsmarketvalue",
    "interest",
    "unrealizedpnl",
    "stockmarketvalue",
    "moneyfunds",
    "realizedpnl",
    "funds",
    "issueroptionsmarketvalue",
    "stockoptionmarketvalue",
    "futuresonlypnl",
    "tbondsmarketvalue",
    "futureoptionmarketvalue",
    "cashbalancefxsegment",
    "tbillsmarketvalue",
    "dividends",
    "cryptocurrencyvalue",
)
_SUMMARY_CASH = (
    "availablefunds",
    "buyingpower",
    "equitywithloanvalue",
    "excessliquidity",
    "fullavailablefunds",
    "netliquidation",
    "totalcashvalue",
)
_SUMMARY_ZERO = (
    "accruedcash",
    "fullinitmarginreq",
    "fullmaintmarginreq",
    "grosspositionvalue",
    "initmarginreq",
    "maintmarginreq",
)


def portfolio_account(user: SimulatedUser) -> Json:
    """An entry of ``/portfolio/accounts`` and ``/portfolio/subaccounts``, and ``meta``."""
    account = user.account
    parent = {
        "mmc": [],
        "accountId": "",
        "isMParent": False,
        "isMChild": False,
        "isMultiplex": False,
    }
    return {
        "id": account,
        "accountId": account,
        "accountVan": account,
        "accountTitle": "",
        "displayName": account,
        "accountAlias": None,
        "accountStatus": 1_644_814_800_000,
        "currency": "USD",
        "type": "DEMO" if user.is_paper else "INDIVIDUAL",
        "tradingType": "PMRGN",
        "ibEntity": "IBLLC-US",
        "clearingStatus": "O",
        "faclient": False,
        "covestor": False,
        "brokerageAccess": True,
        "parent": parent,
        "desc": account,
    }


def subaccounts_page(user: SimulatedUser, page: int) -> Json:
    """``/portfolio/subaccounts2``: everything is on page 0."""
    accounts = [portfolio_account(user)] if page == 0 else []
    return {
        "metadata": {"total": 1, "pageSize": 20, "pageNum": page},
        "subaccounts": accounts,
    }


def summary(user: SimulatedUser, wall_ms: int) -> Json:
    """``/portfolio/{account}/summary``: each value an object with its own time stamp."""

    def entry(amount: float, value: str | None = None) -> Json:
        return {
            "amount": amount,
            "currency": "USD" if value is None else None,
            "isNull": False,
            "timestamp": wall_ms,
            "value": value,
            "severity": 0,
        }

    texts = {
        "accountcode": entry(0.0, user.account),
        "accountready": entry(0.0, "true"),
        "accounttype": entry(0.0, "INDIVIDUAL"),
    }
    cash = {name: entry(CASH) for name in _SUMMARY_CASH}
    return texts | cash | {name: entry(0.0) for name in _SUMMARY_ZERO}


def ledger(user: SimulatedUser, wall_ms: int) -> Json:
    """``/portfolio/{account}/ledger``: one entry a currency, and the sum as ``BASE``. Its time
    stamps are seconds."""

    def entry(currency: str) -> Json:
        return dict.fromkeys(_LEDGER_VALUES, 0.0) | {
            "settledcash": CASH,
            "exchangerate": 1,
            "sessionid": 1,
            "cashbalance": CASH,
            "netliquidationvalue": CASH,
            "currency": currency,
            "acctcode": user.account,
            "key": "LedgerList",
            "timestamp": wall_ms // 1000,
            "severity": 0,
            "secondkey": currency,
        }

    return {currency: entry(currency) for currency in ("USD", "BASE")}


def allocation() -> Json:
    """``/portfolio/{account}/allocation``: all of it is cash."""
    return {
        "assetClass": {"long": {"CASH": CASH}, "short": {}},
        "sector": {"long": {}, "short": {}},
        "group": {"long": {}, "short": {}},
    }


def account_summary() -> Json:
    """``/iserver/account/{account}/summary``."""
    return {
        "accountType": "",
        "status": "",
        "balance": CASH,
        "SMA": 0.0,
        "buyingPower": CASH,
        "availableFunds": CASH,
        "excessLiquidity": CASH,
        "netLiquidationValue": CASH,
        "equityWithLoanValue": CASH,
        "regTLoan": 0.0,
        "securitiesGVP": 0.0,
        "totalCashValue": CASH,
        "accruedInterest": 0.0,
        "regTMargin": 0.0,
        "initialMargin": 0.0,
        "maintenanceMargin": 0.0,
        "cashBalances": [{"currency": "USD", "balance": CASH, "settledCash": CASH}],
    }


def partitioned_profit(user: SimulatedUser) -> Json:
    """``/iserver/account/pnl/partitioned``."""
    row = {"rowType": 1, "dpl": 0.0, "nl": CASH, "upl": 0.0, "el": CASH, "mv": 0.0}
    return {"upnl": {f"{user.account}.Core": row}}
