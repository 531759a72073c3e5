"""Facts of recorded contracts, and the catalogue that lists them."""

from __future__ import annotations

import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_format import Exchange
from ib_platform.marketdata.contracts import ContractKey, FutureMonth, choose_month
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.recorded_facts import (
    RecordedContract,
    listed,
    recorded_facts,
    require_listable,
)
from ib_platform_tests.ibkr.test_capture_format import AT

TODAY = date(2026, 11, 23)
FUTURES = {"HO": [{"conid": 42, "expirationDate": 20261231, "ltd": 20261230}]}
INFO = {
    "con_id": 42,
    "symbol": "HO",
    "exchange": "NYMEX",
    "multiplier": "42000",
    "company_name": "Heating Oil",
    "underlying_con_id": 17,
}
RULES = {"rules": {"increment": 0.0001}}
HEATING_OIL = RecordedContract(
    42,
    "HO",
    "NYMEX",
    "Heating Oil",
    Decimal("0.0001"),
    "42000",
    date(2026, 12, 30),
    17,
    Decimal("2.1"),
)


def exchange(path: str, body: Any, status: int | None = 200) -> Exchange:
    text = body if isinstance(body, str) else json.dumps(body)
    return Exchange(t=AT, ns=0, took_ns=0, method="GET", path=path, status=status, body=text)


def front(catalogue: Catalogue, symbol: str, word: str = "front") -> int:
    """The conid that a streamer would choose."""
    months = tuple(
        FutureMonth(symbol, contract.conid, contract.expiry)
        for contract in catalogue.months_of(symbol)
    )
    return choose_month(ContractKey(symbol, "X", word), {symbol: months}, TODAY).conid


def test_facts_come_together_from_several_answers() -> None:
    facts = recorded_facts(
        [
            exchange("/trsrv/futures", FUTURES),
            exchange("/iserver/contract/42/info", INFO),
            exchange("/iserver/contract/42/info-and-rules", INFO | RULES),
        ]
    )
    assert list(facts) == [42]
    expected = (42, "HO", "NYMEX", "Heating Oil", Decimal("0.0001"), "42000", date(2026, 12, 30))
    found = facts[42]
    assert (
        found.conid,
        found.symbol,
        found.exchange,
        found.name,
        found.tick,
        found.multiplier,
        found.expiry,
    ) == expected
    assert found.is_described


def test_a_later_answer_that_says_less_takes_nothing_away() -> None:
    answers = [INFO | RULES, {"con_id": 42, "symbol": "HO", "exchange": None}]
    facts = recorded_facts(exchange("/iserver/contract/42/info", answer) for answer in answers)
    assert facts[42].exchange == "NYMEX"
    assert facts[42].tick == Decimal("0.0001")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "not json",
        "[]",
        {"con_id": "42", "symbol": "HO"},
        {"con_id": True, "symbol": "HO"},
        {"con_id": 42, "symbol": ""},
        {"con_id": 42},
    ],
)
def test_odd_answers_are_passed_over(answer: Any) -> None:
    assert recorded_facts([exchange("/iserver/contract/42/info", answer)]) == {}
    assert recorded_facts([exchange("/trsrv/futures", answer)]) == {}


@pytest.mark.parametrize("status", [None, 404, 500])
def test_failed_calls_tell_nothing(status: int | None) -> None:
    assert recorded_facts([exchange("/iserver/contract/42/info", INFO | RULES, status)]) == {}


@pytest.mark.parametrize("tick", [0, -1, True, None, "x", "1e999", "Infinity", 1e-30, "1e5", [1]])
def test_a_tick_that_is_none(tick: Any) -> None:
    body = INFO | {"rules": {"increment": tick}}
    assert recorded_facts([exchange("/iserver/contract/42/info-and-rules", body)])[42].tick is None


def test_an_unknown_symbol_is_listed_as_recorded() -> None:
    catalogue = listed(Catalogue.on(TODAY), [HEATING_OIL], TODAY)
    contract = catalogue.get(42)
    assert contract is not None
    assert (contract.product.symbol, contract.product.exchange) == ("HO", "NYMEX")
    assert (contract.product.tick, contract.product.multiplier) == (Decimal("0.0001"), "42000")
    assert contract.expiry == date(2026, 12, 30)
    assert contract.price_text(contract.start_tick) == "2.1000"
    assert front(catalogue, "HO") == 42
    assert front(catalogue, "CL") == front(Catalogue.on(TODAY), "CL"), "others stay"


def test_a_known_symbol_gets_the_recorded_facts() -> None:
    recorded = RecordedContract(42, "CL", "NYMEX", tick=Decimal("0.01"), expiry=date(2026, 12, 18))
    catalogue = listed(Catalogue.on(TODAY), [recorded], TODAY)
    assert front(catalogue, "CL") == 42, "although it expires within the roll guard"
    contract = catalogue.get(42)
    assert contract is not None
    assert contract.expiry == date(2026, 12, 18)
    assert contract.product.multiplier == "1000", "what the recording does not say"


def test_a_contract_that_is_past_is_listed_all_the_same() -> None:
    past = RecordedContract(42, "CL", "NYMEX", tick=Decimal("0.01"), expiry=date(2025, 11, 20))
    unknown = RecordedContract(43, "HO", "NYMEX", tick=Decimal("0.01"), expiry=date(2025, 11, 20))
    catalogue = listed(Catalogue.on(TODAY), [past, unknown], TODAY)
    assert front(catalogue, "CL") == 42
    assert front(catalogue, "HO") == 43


def test_two_months_of_a_symbol_keep_their_order() -> None:
    later = RecordedContract(43, "CL", "NYMEX", tick=Decimal("0.01"), expiry=date(2027, 1, 20))
    sooner = RecordedContract(42, "CL", "NYMEX", tick=Decimal("0.01"), expiry=date(2026, 12, 18))
    catalogue = listed(Catalogue.on(TODAY), [later, sooner], TODAY)
    assert front(catalogue, "CL") == 42
    assert front(catalogue, "CL", "next") == 43


def test_without_facts_the_front_month_is_taken() -> None:
    catalogue = listed(Catalogue.on(TODAY), [RecordedContract(42, "CL")], TODAY)
    assert front(catalogue, "CL") == 42
    before = Catalogue.on(TODAY).months_of("CL")[0]
    after = catalogue.get(42)
    assert after is not None
    assert after.expiry == before.expiry


@given(st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), min_size=1, max_size=3, unique=True))
def test_whatever_was_recorded_is_tradable(expiries: list[date]) -> None:
    contracts = [
        RecordedContract(number, "HO", "NYMEX", tick=Decimal("0.01"), expiry=expiry)
        for number, expiry in enumerate(expiries, start=1)
    ]
    catalogue = listed(Catalogue.on(TODAY), contracts, TODAY)
    months = catalogue.months_of("HO")
    assert {month.conid for month in months} == set(range(1, len(expiries) + 1))
    assert all(month.expiry >= TODAY for month in months)


def test_what_cannot_be_listed() -> None:
    path = Path("c.jsonl")
    require_listable([HEATING_OIL, RecordedContract(1, "CL")], path)
    with pytest.raises(ConfigurationError, match=r"c\.jsonl: plays HO \(conid 42\)"):
        require_listable([RecordedContract(42, "HO")], path)
