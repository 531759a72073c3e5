"""Exact prices and sizes out of IBKR's display strings.

A price is an integer count of 1e-9 (``nanos``), the scale of the tables' Decimal(18, 9) columns, so
no binary rounding can enter the record. IBKR writes prices as ``"58.28"``, with thousands commas
(``"4,501.00"``), and for the last trade's row as ``"3 @ 58.28"`` (size @ price): observed page,
points 2 and 6. Numbers instead of strings are accepted too.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

NANOS_PER_UNIT = 1_000_000_000
_SCALE_DIGITS = 9
_LARGEST = 10**18
_PLAIN = re.compile(r"([+-]?)(\d{1,9})(?:\.(\d{0,12}))?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(?:,\d{3})+(?:\.\d*)?", re.ASCII)
_COUNT = re.compile(r"\d{1,10}", re.ASCII)
_LONG_COUNT = re.compile(r"\d{1,19}", re.ASCII)
_ROUNDED = re.compile(r"[\d,]+(?:\.\d*)?[KMB]", re.ASCII)
_LARGEST_SIZE = 2**31 - 1
_LARGEST_COUNT = 2**63 - 1


class Unreadable(ValueError):
    """A string that is not the number it should be. ``reason`` is a word for counting."""

    def __init__(self, reason: str, text: object) -> None:
        super().__init__(f"{reason}: {str(text)[:60]!r}")
        self.reason = reason


def _ungroup(text: str) -> str:
    return text.replace(",", "") if "," in text and _GROUPED.fullmatch(text) else text


@lru_cache(maxsize=8192)
def _price_nanos(text: str) -> int:
    match = _PLAIN.fullmatch(_ungroup(text.strip()))
    if match is None:
        raise Unreadable("bad_price", text)
    sign, whole, fraction = match[1], match[2], (match[3] or "").rstrip("0")
    if len(fraction) > _SCALE_DIGITS:
        raise Unreadable("price_too_fine", text)
    nanos = int(whole) * NANOS_PER_UNIT + int(fraction.ljust(_SCALE_DIGITS, "0"))
    return -nanos if sign == "-" else nanos


def price_nanos(value: str | int | float) -> int:
    """Price in 1e-9 units. Raises Unreadable, never rounds."""
    if isinstance(value, str):
        return _price_nanos(value)
    if value != value or abs(value) >= _LARGEST / NANOS_PER_UNIT:
        raise Unreadable("bad_price", value)
    # repr of a float is the shortest text that means it: what the sender wrote.
    return _price_nanos(format(Decimal(repr(value)), "f"))


@lru_cache(maxsize=8192)
def _size(text: str) -> int:
    digits = _ungroup(text.strip())
    if _COUNT.fullmatch(digits) is None or int(digits) > _LARGEST_SIZE:
        raise Unreadable("bad_size", text)
    return int(digits)


def size_of(value: str | int | float) -> int:
    """Whole, non-negative size in contracts. Raises Unreadable."""
    if isinstance(value, str):
        return _size(value)
    if value != value or value < 0 or value > _LARGEST_SIZE or value != int(value):
        raise Unreadable("bad_size", value)
    return int(value)


def count_of(value: str | int | float) -> int | None:
    """Whole, non-negative count of up to 64 bits; None for one that is shown rounded (``1.2M``).

    Raises Unreadable for what is no count.
    """
    if not isinstance(value, str):
        if value != value or value < 0 or value > _LARGEST_COUNT or value != int(value):
            raise Unreadable("bad_size", value)
        return int(value)
    text = value.strip()
    if _ROUNDED.fullmatch(text):
        return None
    digits = _ungroup(text)
    if _LONG_COUNT.fullmatch(digits) is None or int(digits) > _LARGEST_COUNT:
        raise Unreadable("bad_size", value)
    return int(digits)


def last_trade_and_price(value: str | int | float) -> tuple[int | None, int]:
    """``"3 @ 58.28"`` -> (3, price); ``"58.28"`` -> (None, price). Raises Unreadable."""
    if isinstance(value, str) and "@" in value:
        size, _, price = value.partition("@")
        return _size(size), _price_nanos(price)
    return None, price_nanos(value)


def to_decimal(nanos: int) -> Decimal:
    """Nanos as the Decimal that the tables hold."""
    return Decimal(nanos).scaleb(-_SCALE_DIGITS)
