"""The simulated contracts: listing, expiry and roll, conids, price texts."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.simulator.catalogue import PRODUCTS, Catalogue, CatalogueParameters
from ib_platform.simulator.expiries import EXPIRY_RULES, is_business_day

DAYS = st.dates(date(2024, 1, 1), date(2060, 12, 31))
GUARDS = st.integers(0, 90)
SYMBOLS = [product.symbol for product in PRODUCTS]


def on(day: date, guard: int = 45) -> Catalogue:
    return Catalogue.on(day, CatalogueParameters(roll_guard_days=guard))


@given(DAYS, GUARDS)
def test_no_listed_month_expires_within_the_guard(day: date, guard: int) -> None:
    catalogue = on(day, guard)
    assert catalogue.symbols == tuple(SYMBOLS)
    for symbol in catalogue.symbols:
        months = catalogue.months_of(symbol)
        assert len(months) == 4
        assert months[0].expiry >= day + timedelta(days=guard)
        assert [m.expiry for m in months] == sorted({m.expiry for m in months})


@given(DAYS, GUARDS)
def test_conids_are_unique(day: date, guard: int) -> None:
    catalogue = on(day, guard)
    conids = [m.conid for symbol in catalogue.symbols for m in catalogue.months_of(symbol)]
    assert len(set(conids)) == len(conids)


@settings(max_examples=20, deadline=None)
@given(DAYS, GUARDS)
def test_a_month_lives_until_it_expires_and_keeps_its_conid(day: date, guard: int) -> None:
    """Also when the listing has rolled to the next one: only its expiry ends its ladder."""
    today, tomorrow = on(day, guard), on(day + timedelta(days=1), guard)
    for symbol in today.symbols:
        for month in today.months_of(symbol):
            gone = month.expiry == day
            assert tomorrow.get(month.conid) == (None if gone else month)
            assert on(month.expiry, guard).get(month.conid) == month
            assert on(month.expiry + timedelta(days=1), guard).get(month.conid) is None


def test_the_front_month_rolls_on_the_day_after_its_expiry() -> None:
    expiry = date(2026, 12, 18)
    assert on(expiry, 0).months_of("ES")[0].local_symbol == "ESZ6"
    assert on(expiry + timedelta(days=1), 0).months_of("ES")[0].local_symbol == "ESH7"
    assert on(expiry - timedelta(days=45), 45).months_of("ES")[0].local_symbol == "ESZ6"
    assert on(expiry - timedelta(days=44), 45).months_of("ES")[0].local_symbol == "ESH7"


@pytest.mark.parametrize(
    ("symbol", "month", "expiry"),
    [
        ("ES", date(2025, 12, 1), date(2025, 12, 19)),
        ("NQ", date(2026, 3, 1), date(2026, 3, 20)),
        ("CL", date(2025, 12, 1), date(2025, 11, 20)),
        ("CL", date(2026, 3, 1), date(2026, 2, 20)),
        ("CL", date(2026, 5, 1), date(2026, 4, 21)),  # 25 April is a Saturday
        ("CL", date(2026, 1, 1), date(2025, 12, 19)),  # 25 December: no business day
        ("NG", date(2026, 4, 1), date(2026, 3, 27)),
        ("NG", date(2026, 6, 1), date(2026, 5, 27)),
        ("GC", date(2025, 12, 1), date(2025, 12, 29)),
        ("GC", date(2026, 4, 1), date(2026, 4, 28)),
        ("ZN", date(2026, 3, 1), date(2026, 3, 20)),
    ],
)
def test_last_trading_days_by_the_rules(symbol: str, month: date, expiry: date) -> None:
    assert EXPIRY_RULES[symbol](month) == expiry


@given(DAYS, st.sampled_from(SYMBOLS))
def test_contracts_expire_on_business_days_near_their_month(day: date, symbol: str) -> None:
    month = day.replace(day=1)
    expiry = EXPIRY_RULES[symbol](month)
    assert timedelta(days=-15) <= expiry - month <= timedelta(days=31)
    assert is_business_day(expiry) or symbol in ("ES", "NQ", "YM", "RTY"), "Good Friday may be it"


def test_every_product_has_a_rule() -> None:
    assert set(EXPIRY_RULES) == set(SYMBOLS)


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
    crude = catalogue.months_of("CL")[0]
    assert (crude.local_symbol, crude.expiry) == ("CLG7", date(2027, 1, 20))
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
