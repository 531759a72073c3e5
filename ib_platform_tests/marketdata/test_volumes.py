"""Traded volumes out of market data snapshots."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.volumes import decode_volumes, volume_of
from ib_platform.simulator.quote_fields import abbreviated


@pytest.mark.parametrize(
    ("value", "volume"),
    [
        ("0", 0),
        ("999", 999),
        ("1,234", 1234),
        ("12.3K", 12_300),
        ("1.23M", 1_230_000),
        ("2B", 2_000_000_000),
        (57, 57),
        (None, None),
        ("", None),
        ("K", None),
        ("-5", None),
        ("1.5", None),
        ("many", None),
        (True, None),
        (float("nan"), None),
        (["5"], None),
    ],
)
def test_as_ibkr_shows_it(value: object, volume: int | None) -> None:
    assert volume_of(value) == volume


@given(st.integers(0, 10**9 - 1))
def test_a_short_volume_is_cut_after_three_digits(count: int) -> None:
    volume = volume_of(abbreviated(count))
    assert volume is not None
    assert volume <= count
    assert count - volume <= count / 100


def test_the_full_field_wins_and_what_is_not_said_is_left_out() -> None:
    entries = [
        {"conid": 1, "conidEx": "1"},
        {"conid": 2, "7762": "12345", "87": "12.3K", "6509": "RpB"},
        {"conid": 3, "87": "1.23M"},
        {"conid": 4, "7762": "x", "87": "7"},
        {"conidEx": "5", "7762": "9"},
    ]
    assert decode_volumes(json.dumps(entries).encode()) == {2: 12345, 3: 1_230_000, 4: 7}


@pytest.mark.parametrize("payload", [b"", b"{}", b'{"error":"x"}', b"[5]", b"\xff"])
def test_an_answer_of_another_shape(payload: bytes) -> None:
    with pytest.raises(ValueError, match="marketdata/snapshot"):
        decode_volumes(payload)
