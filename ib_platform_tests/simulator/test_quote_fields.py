"""Numbered fields: texts of prices and sizes, prefixes, and what an entitlement lets through."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.marketdata.prices import price_nanos
from ib_platform.marketdata.quotes import QUOTE_FIELDS, Quote, decode_quote
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.market import Market
from ib_platform.simulator.quote_fields import (
    DESCRIPTIVE,
    FIELDS,
    abbreviated,
    field_values,
    open_interest,
)
from ib_platform.simulator.scripted import ScriptedMarket, load_script
from ib_platform.simulator.shapes import encode
from ib_platform.simulator.synthetic import SyntheticMarket

CATALOGUE = Catalogue.on(date(2026, 11, 23))
ES = CATALOGUE.months_of("ES")[0]
ALL = tuple(sorted(FIELDS))


def market(seed: int = 1) -> Market:
    subject = SyntheticMarket(ES, seed=seed, start=0.0)
    subject.advance(50.0)
    return subject


def scripted(folder: Path, text: str) -> Market:
    path = folder / "book.yaml"
    path.write_text(text)
    contract = CATALOGUE.months_of("CL")[0]
    return ScriptedMarket(contract, load_script(path, contract.product), start=0.0)


def test_the_values_are_those_of_the_market() -> None:
    subject = market()
    values = field_values(subject, ALL, "RB")
    assert set(values) == FIELDS
    assert price_nanos(values["31"]) == subject.last * 250_000_000  # type: ignore[operator]
    assert price_nanos(values["84"]) < price_nanos(values["86"])
    assert values["85"] == str(-subject.size_at(subject.best_ask)), "85 is the ask's size"
    assert values["88"] == str(subject.size_at(subject.best_bid)), "88 is the bid's"
    assert values["7762"] == str(subject.volume)
    assert price_nanos(values["71"]) <= price_nanos(values["31"]) <= price_nanos(values["70"])
    assert values["55"] == "ES"
    assert values["7094"] == f"{ES.conid}@CME"
    assert values["7220"] == ES.local_symbol


def test_all_but_the_conid_are_strings() -> None:
    values = field_values(market(), ALL, "RB")
    assert {key for key, value in values.items() if not isinstance(value, str)} == {"6008"}


def test_prices_have_commas_and_all_decimals() -> None:
    values = field_values(market(), ("31", "84", "86", "70", "71"), "RB")
    assert all(re.fullmatch(r"\d,\d{3}\.\d\d", str(value)) for value in values.values())


def test_the_order_is_that_of_the_question() -> None:
    wanted = ("86", "31", "6509", "55", "84")
    assert tuple(field_values(market(), wanted, "RB")) == wanted


@pytest.mark.parametrize("availability", ["N", "O", "i", ""])
def test_without_entitlement_only_the_contract_is_told(availability: str) -> None:
    values = field_values(market(), ALL, availability)
    assert set(values) == DESCRIPTIVE | {"6509"}
    assert values["6509"] == availability


@pytest.mark.parametrize("availability", ["RB", "RpB", "DB", "ZB", "YP"])
def test_delayed_and_frozen_data_come(availability: str) -> None:
    values = field_values(market(), ALL, availability)
    assert set(values) == FIELDS
    assert values["6509"] == availability


@pytest.mark.parametrize(
    ("phase", "prefix"),
    [
        (MarketPhase.OPEN, ""),
        (MarketPhase.HALTED, "H"),
        (MarketPhase.CLOSED, "C"),
        (MarketPhase.HOLIDAY, "C"),
        (MarketPhase.MAINTENANCE, "C"),
        (MarketPhase.PRE_OPEN, "C"),
    ],
)
def test_the_last_price_tells_whether_anything_trades(phase: MarketPhase, prefix: str) -> None:
    plain, marked = (field_values(market(), QUOTE_FIELDS, "RB", p) for p in (phase.OPEN, phase))
    assert marked == plain | {"31": f"{prefix}{plain['31']}"}
    quote = decode_quote(encode(marked))
    assert isinstance(quote, Quote)
    assert quote.problem is None
    assert quote.last_prefix == (prefix or None)


def test_before_any_price_nothing_is_invented(tmp_path: Path) -> None:
    values = field_values(scripted(tmp_path, "states:\n  - at: 0\n"), ALL, "RB")
    assert set(values) == DESCRIPTIVE | {"6509", "87", "7697", "7762"}
    assert values["87"] == values["7762"] == "0"


def test_one_side_of_the_book_is_missing(tmp_path: Path) -> None:
    subject = scripted(tmp_path, "states:\n  - at: 0\n    bids: {58.27: 5}\n")
    subject.advance(1.0)
    values = field_values(subject, ("31", "84", "88", "86", "85", "70"), "RB")
    assert values == {"84": "58.27", "88": "5"}


@given(st.lists(st.text(max_size=6), max_size=8))
def test_unknown_fields_are_left_out(fields: list[str]) -> None:
    assert set(field_values(market(), fields, "RB")) == FIELDS & set(fields)


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_000, "1.00K"),
        (12_345, "12.3K"),
        (999_999, "999K"),
        (1_234_567, "1.23M"),
        (55_000_000, "55.0M"),
        (2_500_000_000, "2500M"),
    ],
)
def test_volumes_are_abbreviated(count: int, text: str) -> None:
    assert abbreviated(count) == text


@given(st.integers(0, 10**10))
def test_an_abbreviated_volume_is_never_too_large(count: int) -> None:
    text = abbreviated(count)
    unit = {"K": 1_000, "M": 1_000_000}.get(text[-1], 1)
    value = float(text.rstrip("KM")) * unit
    assert value <= count + 1e-3
    assert value >= count * 0.989


def test_open_interest_is_steady_and_differs() -> None:
    contracts = [month for symbol in CATALOGUE.symbols for month in CATALOGUE.months_of(symbol)]
    numbers = [open_interest(contract) for contract in contracts]
    assert min(numbers) > 0
    assert len(set(numbers)) == len(numbers)
    assert numbers == [open_interest(contract) for contract in contracts]
