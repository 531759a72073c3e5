"""What the account's topics answer: orders, trades, profit, summary, ledger. Pure.

The simulated accounts are empty and trade nothing: subscriptions are accepted, orders and trades
stay silent as they do at IBKR while there are none, the others send one plausible message
(Web API page, section 3.2: not needed by a recorder, but clients subscribe to them).
"""

from __future__ import annotations

from ib_platform.simulator.shapes import Json
from ib_platform.simulator.users import SimulatedUser

_BALANCE = 1_000_000.0


def account_answer(topic: str, user: SimulatedUser, wall_ms: int) -> Json | None:
    """The answer to a subscription of ``spl``, ``ssd`` or ``sld``; None for the silent ones.
    ``wall_ms``: unix milliseconds."""
    match topic:
        case "spl":
            return {"topic": "spl", "args": {f"{user.account}.Core": _profit()}}
        case "ssd":
            result: list[Json] = [_balance("NetLiquidation", wall_ms)]
            return {"topic": f"ssd+{user.account}", "result": [*result, _account_code(user)]}
        case "sld":
            return {"topic": f"sld+{user.account}", "result": [_ledger(user, wall_ms)]}
        case _:
            return None


def _profit() -> Json:
    return {"rowType": 1, "dpl": 0.0, "nl": _BALANCE, "upl": 0.0, "uel": _BALANCE, "mv": 0.0}


def _balance(key: str, wall_ms: int) -> Json:
    return {
        "key": key,
        "timestamp": wall_ms // 1000,
        "currency": "USD",
        "monetaryValue": _BALANCE,
        "severity": 0,
    }


def _account_code(user: SimulatedUser) -> Json:
    return {"key": "AccountCode", "value": user.account, "severity": 0}


def _ledger(user: SimulatedUser, wall_ms: int) -> Json:
    return {
        "acctCode": user.account,
        "cashbalance": _BALANCE,
        "exchangeRate": 1.0,
        "key": "LedgerListUSD",
        "netLiquidationValue": _BALANCE,
        "secondKey": "USD",
        "settledCash": _BALANCE,
        "severity": 0,
        "timestamp": wall_ms // 1000,
    }
