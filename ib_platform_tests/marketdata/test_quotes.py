"""Quote frames become typed fields; what a frame does not carry stays unknown."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.quotes import Quote, decode_quote
from ib_platform_tests.support import capture_messages


def quote(**fields: object) -> Quote:
    decoded = decode_quote(msgspec.json.encode({"topic": "smd+1", **fields}))
    assert isinstance(decoded, Quote), decoded
    return decoded


def test_all_fields() -> None:
    fields = {"31": "4,500.25", "84": "4,500.00", "88": "12", "86": "4500.25", "85": "9"}
    more = {"7059": "1", "7762": "1,204,311", "6509": "RpB", "_updated": 1795330222000}
    assert quote(**fields, **more) == Quote(
        updated_ms=1795330222000,
        last=4_500_250_000_000,
        last_prefix=None,
        last_size=1,
        bid=4_500_000_000_000,
        bid_size=12,
        ask=4_500_250_000_000,
        ask_size=9,
        volume=1_204_311,
        availability="RpB",
    )


def test_what_is_absent_or_empty_is_unknown_not_zero() -> None:
    assert quote(**{"31": ""}) == Quote(*[None] * 10)


@pytest.mark.parametrize(("text", "prefix"), [("C58.28", "C"), ("H58.28", "H"), ("58.28", None)])
def test_a_prefix_of_the_last_price_is_kept_apart(text: str, prefix: str | None) -> None:
    decoded = quote(**{"31": text})
    assert (decoded.last, decoded.last_prefix) == (58_280_000_000, prefix)


GOOD = {"84": "58.27", "86": "58.28", "88": "12", "85": "9", "6509": "RpB"}


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("31", {}, "bad_shape"),
        ("31", "x", "bad_price"),
        ("31", True, "bad_shape"),
        ("7059", "x", "bad_size"),
        ("7059", 2**31, "bad_size"),
        ("7762", "-1", "bad_size"),
        ("7762", "1.2", "bad_size"),
        ("7762", str(2**63), "bad_size"),
        ("_updated", "soon", "bad_time"),
        ("_updated", 99999999999999999, "bad_time"),
    ],
)
def test_one_odd_field_does_not_cost_the_others(field: str, value: object, reason: str) -> None:
    decoded = quote(**GOOD, **{field: value})
    assert decoded.problem is not None
    assert (decoded.problem.reason, f"field {field}" in decoded.problem.detail) == (reason, True)
    good = quote(**GOOD)
    assert (decoded.bid, decoded.ask, decoded.bid_size, decoded.ask_size) == (
        good.bid,
        good.ask,
        good.bid_size,
        good.ask_size,
    )
    assert (decoded.last, decoded.last_size, decoded.volume) == (None, None, None)
    assert (decoded.updated_ms, decoded.availability) == (None, "RpB")


@pytest.mark.parametrize("shown", ["1.2M", "49.9K", "1,204.3K", "3B"])
def test_a_rounded_volume_is_unknown_and_no_defect(shown: str) -> None:
    decoded = quote(**GOOD, **{"7762": shown})
    assert (decoded.volume, decoded.problem) == (None, None)


@pytest.mark.parametrize("volume", [2**31, 2**63 - 1])
def test_a_volume_has_64_bits(volume: int) -> None:
    assert quote(**{"7762": volume}).volume == volume
    assert quote(**{"7762": f"{volume:,}"}).volume == volume


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[]", "bad_shape"),
        (b'{"31"', "not_json"),
    ],
)
def test_what_cannot_be_read_says_why(payload: bytes, reason: str) -> None:
    decoded = decode_quote(payload)
    assert isinstance(decoded, Undecodable)
    assert decoded.reason == reason


@given(st.binary(max_size=200))
def test_no_bytes_raise(payload: bytes) -> None:
    assert isinstance(decode_quote(payload), Quote | Undecodable)


def test_every_recorded_quote_decodes_and_the_entitlement_change_is_seen() -> None:
    quotes = [
        decode_quote(message["msg"])
        for message in capture_messages()
        if message["dir"] == "in" and '"topic":"smd+' in message["msg"]
    ]
    assert len(quotes) == 790
    assert {q.availability for q in quotes if isinstance(q, Quote)} == {None, "DB", "RB"}
