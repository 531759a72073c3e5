"""What info-and-rules says about a contract."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from ib_platform.marketdata.contract_details import ContractDetails, details_of
from ib_platform.simulator.catalogue import PRODUCTS, Catalogue
from ib_platform.simulator.shapes_contracts import contract_info, contract_rules
from ib_platform_tests.marketdata.test_roll import FIRST


@pytest.mark.parametrize("symbol", [product.symbol for product in PRODUCTS])
def test_ticks_are_exact_for_every_product_of_the_simulator(symbol: str) -> None:
    contract = Catalogue.on(FIRST).months_of(symbol)[0]
    details = details_of(contract_info(contract) | {"rules": contract_rules(contract)})
    assert details == ContractDetails(
        contract.product.exchange,
        float(contract.product.multiplier),
        contract.product.tick,
        f"{contract.month:%Y-%m}",
        contract.local_symbol,
    )


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"exchange": "", "multiplier": None, "contract_month": None, "rules": None},
        {"exchange": 5, "multiplier": "x", "contract_month": 202613, "rules": []},
        {"multiplier": True, "contract_month": "Dec", "rules": {"increment": 0}},
        {"multiplier": "0", "local_symbol": None, "rules": {"increment": -0.01}},
    ],
)
def test_what_is_not_said_is_unknown(answer: dict[str, Any]) -> None:
    assert details_of(answer) == ContractDetails()


def test_numbers_and_texts_of_numbers() -> None:
    details = details_of({"multiplier": 50, "contract_month": 202701, "rules": {"increment": "1"}})
    assert details == ContractDetails(None, 50.0, Decimal(1), "2027-01", None)
