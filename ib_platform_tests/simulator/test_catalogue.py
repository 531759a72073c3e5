"""The simulated contracts: listing, expiry, conids, price texts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.catalogue import NEVER_WITHIN, PRODUCTS, Catalogue

DAYS = st.dates(date(2024, 1, 1), date(2060, 12, 31))


@given(DAYS)
def test_nothing_expires_during_a_demo(day: date) -> None:
    catalogue = Catalogue.on(day)
    for symbol in catalogue.symbols:
        months = catalogue.months_of(symbol)
        assert len(months) >= 2
        assert months[0].expiry >= day + NEVER_WITHIN
        assert [m.expiry for m in months] == sorted({m.expiry for m in months})


@given(DAYS)
def test_conids_are_unique(day: date) -> None:
    catalogue = Catalogue.on(day)
    conids = [m.conid for symbol in catalogue.symbols for m in catalogue.months_of(symbol)]
    assert len(set(conids)) == len(conids)


@given(DAYS)
def test_a_month_keeps_its_conid_from_day_to_day(day: date) -> None:
    today, tomorrow = Catalogue.on(day), Catalogue.on(day + timedelta(days=1))
    for symbol in today.symbols:
        later = {month.expiry: month.conid for month in tomorrow.months_of(symbol)}
        for month in today.months_of(symbol):
            assert later.get(month.expiry, month.conid) == month.conid


@pytest.mark.parametrize(
    ("symbol", "exchange", "tick"),
    [
        ("CL", "NYMEX", "0.01"),
        ("ES", "CME", "0.25"),
        ("NQ", "CME", "0.25"),
        ("GC", "COMEX", "0.1"),
        ("ZN", "CBOT", "0.015625"),
    ],
)
def test_the_products_that_a_demo_needs(symbol: str, exchange: str, tick: str) -> None:
    front = Catalogue.on(date(2026, 11, 22)).months_of(symbol)[0]
    assert front.product.exchange == exchange
    assert front.product.tick == Decimal(tick)


def test_every_start_price_is_a_whole_number_of_ticks() -> None:
    for product in PRODUCTS:
        assert product.start_price % product.tick == 0, product.symbol


def test_months_and_codes_of_a_date() -> None:
    catalogue = Catalogue.on(date(2026, 11, 22))
    assert [m.local_symbol for m in catalogue.months_of("ES")] == ["ESH7", "ESM7", "ESU7", "ESZ7"]
    assert catalogue.months_of("CL")[0].expiry == date(2027, 1, 18)
    assert catalogue.months_of("XX") == ()


def test_price_texts_look_like_ibkrs() -> None:
    catalogue = Catalogue.on(date(2026, 11, 22))
    texts = {s: catalogue.months_of(s)[0] for s in ("CL", "ES", "ZN", "YM")}
    assert texts["CL"].price_text(5828) == "58.28"
    assert texts["CL"].price_text(5830) == "58.30"
    assert texts["ES"].price_text(18004) == "4,501.00"
    assert texts["ZN"].price_text(7201) == "112.515625"
    assert texts["YM"].price_text(47016) == "47,016"


def test_the_front_month_can_take_a_recorded_conid() -> None:
    before = Catalogue.on(date(2026, 11, 22))
    after = before.with_front_conid("CL", 304037393)
    old, new = before.months_of("CL"), after.months_of("CL")
    assert new[0].conid == 304037393
    assert new[0].expiry == old[0].expiry
    assert new[1:] == old[1:]
    assert after.get(old[0].conid) is None
    assert after.months_of("ES") == before.months_of("ES")
    with pytest.raises(KeyError):
        before.with_front_conid("XX", 1)
