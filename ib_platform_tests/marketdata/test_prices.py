"""Prices and sizes are read exactly, or refused with a reason."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.prices import (
    Unreadable,
    last_trade_and_price,
    price_nanos,
    size_of,
    to_decimal,
)


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("58.28", 58_280_000_000),
        ("4,501.00", 4_501_000_000_000),
        ("1,234,567.5", 1_234_567_500_000_000),
        ("0.00", 0),
        ("-0.05", -50_000_000),
        ("-37.63", -37_630_000_000),
        ("+1.5", 1_500_000_000),
        ("110.015625", 110_015_625_000),
        ("100", 100_000_000_000),
        ("100.", 100_000_000_000),
        ("1.100000000000", 1_100_000_000),
        (58.28, 58_280_000_000),
        (4501, 4_501_000_000_000),
        (1e-7, 100),
    ],
)
def test_a_price_is_exact(text: str | float, nanos: int) -> None:
    assert price_nanos(text) == nanos
    assert to_decimal(nanos) == Decimal(str(text).replace(",", "").rstrip("."))


@pytest.mark.parametrize(
    "text",
    ["", " ", "abc", "1.2.3", "1,23", "12,34.5", "0x1", "1e5", "NaN", "112'16", "--1", "٣.٥"],
)
def test_what_is_not_a_price_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as refused:
        price_nanos(text)
    assert refused.value.reason == "bad_price"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e18])
def test_numbers_that_are_no_prices_are_refused(value: float) -> None:
    with pytest.raises(Unreadable, match="bad_price"):
        price_nanos(value)


def test_a_price_finer_than_the_tables_is_refused_rather_than_rounded() -> None:
    with pytest.raises(Unreadable, match="price_too_fine"):
        price_nanos("0.0000000001")


@given(st.decimals(min_value=-(10**8), max_value=10**8, places=9))
def test_every_price_of_the_tables_scale_survives(price: Decimal) -> None:
    assert to_decimal(price_nanos(format(price, "f"))) == price
    assert to_decimal(price_nanos(format(price, ",f"))) == price


@pytest.mark.parametrize(
    ("text", "size"), [("0", 0), ("17", 17), ("1,204", 1204), (3, 3), (3.0, 3)]
)
def test_a_size_is_a_whole_number(text: str | float, size: int) -> None:
    assert size_of(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5", "12K", "2147483648", "1,2", -1, 1.5, 2**31])
def test_what_is_not_a_size_is_refused(text: str | float) -> None:
    with pytest.raises(Unreadable, match="bad_size"):
        size_of(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("3 @ 58.28", (3, 58_280_000_000)),
        ("1,204 @ 4,500.25", (1204, 4_500_250_000_000)),
        ("12@7", (12, 7_000_000_000)),
        ("58.28", (None, 58_280_000_000)),
        (58.28, (None, 58_280_000_000)),
    ],
)
def test_the_last_trades_row_shows_size_and_price(
    text: str | float, expected: tuple[int | None, int]
) -> None:
    assert last_trade_and_price(text) == expected


@pytest.mark.parametrize("text", ["@", "3 @", "@ 58.28", "a @ 58.28", "3 @ b", "1 @ 2 @ 3"])
def test_a_broken_last_trade_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        last_trade_and_price(text)
