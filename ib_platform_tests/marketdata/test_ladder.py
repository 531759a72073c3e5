"""Ladder frames become typed rows, or a value that says why not."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.ladder import LadderRow, LadderRows, decode_ladder
from ib_platform_tests.support import capture_ladder_payloads


def frame(*rows: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"topic": "sbd+DU1000001+700000001", "data": list(rows)})


def rows_of(payload: bytes) -> tuple[LadderRow, ...]:
    decoded = decode_ladder(payload)
    assert isinstance(decoded, LadderRows), decoded
    return decoded.rows


def test_bid_is_positive_ask_is_negative_and_neither_is_empty() -> None:
    assert rows_of(
        frame(
            {"row": 9, "focus": 0, "price": "58.29", "ask": "20"},
            {"row": 10, "focus": 1, "price": "3 @ 58.28"},
            {"row": 11, "focus": 0, "price": "58.27", "bid": "1,018"},
        )
    ) == (
        LadderRow(9, 58_290_000_000, -20, False, None),
        LadderRow(10, 58_280_000_000, 0, True, 3),
        LadderRow(11, 58_270_000_000, 1018, False, None),
    )


def test_numbers_are_accepted_instead_of_strings_and_unknown_keys_are_ignored() -> None:
    assert rows_of(frame({"row": 3, "price": 4501.25, "bid": 7, "colour": "red"})) == (
        LadderRow(3, 4_501_250_000_000, 7, False, None),
    )


def test_rows_come_back_in_row_order() -> None:
    rows = rows_of(frame({"row": 5, "price": "1.0"}, {"row": 2, "price": "1.3"}))
    assert [row.row for row in rows] == [2, 5]


def test_the_last_trade_is_the_focus_rows() -> None:
    decoded = decode_ladder(
        frame({"row": 0, "price": "1.1"}, {"row": 1, "focus": 1, "price": "4 @ 1.0"})
    )
    assert isinstance(decoded, LadderRows)
    assert decoded.last_trade == (1_000_000_000, 4)
    assert not decoded.is_full


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "not_json"),
        (b"{", "not_json"),
        (b'{"topic":"sbd+a+1"}', "bad_shape"),
        (b'{"data":{}}', "bad_shape"),
        (b'{"data":[{"row":"0","price":"1"}]}', "bad_shape"),
        (b'{"data":[{"row":0}]}', "bad_shape"),
        (b'{"data":[{"row":0,"price":null}]}', "bad_shape"),
        (b'{"data":[]}', "no_rows"),
        (frame({"row": 21, "price": "1"}), "row_out_of_range"),
        (frame({"row": -1, "price": "1"}), "row_out_of_range"),
        (frame({"row": 0, "focus": 2, "price": "1"}), "bad_focus"),
        (frame({"row": 0, "price": "one"}), "bad_price"),
        (frame({"row": 0, "price": "1", "bid": "x"}), "bad_size"),
        (frame({"row": 0, "price": "1", "ask": "-3"}), "bad_size"),
        (frame({"row": 0, "price": "1", "bid": "1", "ask": "1"}), "bid_and_ask"),
        (frame({"row": 0, "price": "1"}, {"row": 0, "price": "1"}), "row_twice"),
        (
            frame({"row": 0, "focus": 1, "price": "1"}, {"row": 1, "focus": 1, "price": "0"}),
            "two_focus_rows",
        ),
    ],
)
def test_what_cannot_be_read_says_why(payload: bytes, reason: str) -> None:
    decoded = decode_ladder(payload)
    assert isinstance(decoded, Undecodable)
    assert decoded.reason == reason
    assert decoded.detail


@given(st.binary(max_size=300))
def test_no_bytes_raise(payload: bytes) -> None:
    assert isinstance(decode_ladder(payload), LadderRows | Undecodable)


def test_text_and_bytes_decode_alike() -> None:
    for payload in capture_ladder_payloads()[:50]:
        assert decode_ladder(payload) == decode_ladder(payload.decode())


def test_every_recorded_ladder_frame_decodes() -> None:
    decoded = [decode_ladder(payload) for payload in capture_ladder_payloads()]
    assert len(decoded) == 1525
    frames = [item for item in decoded if isinstance(item, LadderRows)]
    assert len(frames) == 1525
    assert sum(item.is_full for item in frames) == 196
