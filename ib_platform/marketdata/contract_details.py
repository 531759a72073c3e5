"""What IBKR says about one contract beside its dates. PURE.

Source: ``GET /iserver/contract/{conid}/info-and-rules`` (``ibkr_web_api.md`` section 2.2); the
tick size is ``rules.increment``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from ib_platform.marketdata.prices import Unreadable, price_nanos, to_decimal

_CONTRACT_MONTH = re.compile(r"(20\d\d)(0[1-9]|1[0-2])", re.ASCII)


@dataclass(frozen=True, slots=True)
class ContractDetails:
    """None = not said. ``tick`` is in price units, ``delivery_month`` reads like ``2027-01``,
    ``local_symbol`` is the exchange's code, like ``CLF7``."""

    exchange: str | None = None
    multiplier: float | None = None
    tick: Decimal | None = None
    delivery_month: str | None = None
    local_symbol: str | None = None


def details_of(answer: Mapping[str, Any]) -> ContractDetails:
    """Read an answer; keys that are absent or of another type are not said."""
    rules = answer.get("rules")
    multiplier = _positive(answer.get("multiplier"))
    return ContractDetails(
        exchange=_text(answer.get("exchange")),
        multiplier=None if multiplier is None else float(multiplier),
        tick=_positive(rules.get("increment")) if isinstance(rules, dict) else None,
        delivery_month=_month(answer.get("contract_month")),
        local_symbol=_text(answer.get("local_symbol")),
    )


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _positive(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = to_decimal(price_nanos(value))
    except Unreadable:
        return None
    return number if number > 0 else None


def _month(value: object) -> str | None:
    match = _CONTRACT_MONTH.fullmatch(str(value))
    return None if match is None else f"{match[1]}-{match[2]}"
