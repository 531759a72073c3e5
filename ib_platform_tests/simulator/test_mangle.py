"""Content faults: what becomes of the rows, over many markets, and what must not."""

from __future__ import annotations

import copy
import json
from datetime import date
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.ladder_rows import Row, encode_ladder
from ib_platform.simulator.ladder_view import LadderParameters, LadderView
from ib_platform.simulator.mangle import (
    CONTENT_FAULTS,
    crossed,
    duplicated,
    encode_mangled,
    mangled,
    numeric,
    reordered,
)
from ib_platform.simulator.synthetic import SyntheticMarket

CATALOGUE = Catalogue.on(date(2026, 11, 22))
SYMBOLS = st.sampled_from(CATALOGUE.symbols)
SEEDS = st.integers(0, 2**32)
AT_ONCE = LadderParameters(
    answer_delay=(0.0, 0.0), depth_delay=(0.3, 0.3), early_depth_share=0.0, around_zero_share=0.0
)


def market_of(symbol: str, seed: int) -> SyntheticMarket:
    return SyntheticMarket(CATALOGUE.months_of(symbol)[0], seed=seed, start=0.0)


def frames_of(market: SyntheticMarket, seed: int, count: int = 40) -> list[list[Row]]:
    view = LadderView(market, seed=seed, parameters=AT_ONCE)
    view.request(0.0)
    polled = [view.poll(step * 0.3) for step in range(count)]
    return [rows for rows in polled if rows is not None]


def applied(book: LadderBook, payload: bytes) -> None:
    rows = decode_ladder(payload)
    assert isinstance(rows, LadderRows), rows
    assert isinstance(book.apply(rows), LadderUpdate)


def wire(rows: list[Row]) -> list[dict[str, Any]]:
    return [dict(row) for row in json.loads(encode_ladder("A", 1, rows))["data"]]


@settings(max_examples=30, deadline=None)
@given(SYMBOLS, SEEDS)
def test_every_crossed_frame_leaves_a_crossed_book(symbol: str, seed: int) -> None:
    market, book = market_of(symbol, seed), LadderBook()
    view = LadderView(market, seed=seed, parameters=AT_ONCE)
    view.request(0.0)
    states = 0
    for step in range(40):
        if (rows := view.poll(step * 0.3)) is None:
            continue
        applied(book, encode_ladder("A", 1, crossed(rows, market)))
        touch = book.touch()
        if step > 2:
            # Two ticks of room: the touch itself may stand in the first or last row.
            states += 1
            assert touch.crossed
    assert states > 3


def test_without_rows_or_without_prices_nothing_is_crossed() -> None:
    market = market_of("CL", 1)
    assert crossed([], market) == []
    around_zero = [Row(number, 0, f"0.{10 - number:02}") for number in range(11)]
    assert crossed(around_zero, market) == around_zero


def test_the_wrong_row_replaces_the_right_one_and_keeps_its_price() -> None:
    market = market_of("ES", 3)
    (rows,) = frames_of(market, 3, count=1)
    wrong = crossed(rows, market)
    assert sorted(row.row for row in wrong) == [row.row for row in rows]
    before = {row.row: row.price for row in rows}
    assert {row.row: row.price for row in wrong} == before
    (changed,) = [row for row in wrong if row not in rows]
    assert (changed.bid, changed.ask) == ("1", None)


@given(st.integers(0, 21), SEEDS)
def test_duplicated_rows_are_the_rows_and_some_of_them_again(count: int, seed: int) -> None:
    rows = [{"row": number, "price": str(number)} for number in range(count)]
    before = copy.deepcopy(rows)
    twice = duplicated(rows, Random(seed))
    assert rows == before
    assert {row["row"] for row in twice} == set(range(count))
    assert len(twice) > count or not rows
    seen: list[dict[str, Any]] = []
    for row in twice:
        if row not in seen:
            seen.append(row)
    assert seen == rows, "a copy never stands before its original"


@given(st.integers(0, 21), SEEDS)
def test_reordered_rows_are_the_same_rows_in_another_order(count: int, seed: int) -> None:
    rows = [{"row": number} for number in range(count)]
    other = reordered(rows, Random(seed))
    assert sorted(row["row"] for row in other) == list(range(count))
    assert other != rows or count < 2


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"row": 3, "focus": 0, "price": "4,501.25", "ask": "31"}, {"price": 4501.25, "ask": 31}),
        ({"row": 3, "focus": 0, "price": "58.30", "bid": "7"}, {"price": 58.3, "bid": 7}),
        ({"row": 3, "focus": 1, "price": "3 @ 58.28"}, {"price": "3 @ 58.28"}),
    ],
)
def test_numbers_instead_of_strings(row: dict[str, Any], expected: dict[str, Any]) -> None:
    before = dict(row)
    assert numeric(row) == row | expected
    assert row == before


@settings(max_examples=30, deadline=None)
@given(SYMBOLS, SEEDS, st.sets(st.sampled_from(CONTENT_FAULTS)).filter(bool))
def test_all_but_crossing_mean_the_same_to_a_tolerant_client(
    symbol: str, seed: int, kinds: set[FaultKind]
) -> None:
    market, luck = market_of(symbol, seed), Random(seed)
    book, disturbed = LadderBook(), LadderBook()
    for rows in frames_of(market, seed):
        applied(book, encode_ladder("DU1000001", 42, rows))
        kept = kinds - {FaultKind.CROSSED_BOOK}
        payload = encode_mangled("DU1000001", 42, mangled(rows, kept, market, luck))
        assert payload.startswith(b'{"topic":"sbd+DU1000001+42","data":[')
        if FaultKind.DUPLICATED_ROWS in kinds or len(rows) != len(json.loads(payload)["data"]):
            # How often a row may come is the client's business: only its content must agree.
            rows_of = {row["row"]: row for row in json.loads(payload)["data"]}
            assert rows_of.keys() == {row.row for row in rows}
            continue
        applied(disturbed, payload)
        assert disturbed.touch() == book.touch()


def test_without_kinds_nothing_changes() -> None:
    market = market_of("CL", 1)
    for rows in frames_of(market, 1):
        assert mangled(rows, (), market, Random(1)) == wire(rows)
