"""Cells of tables and of CSV: nothing is lost, nothing is made up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from io import StringIO

import pandas
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from ib_platform.config import ClickHouse
from ib_platform.research.rows import Rows
from ib_platform.research.show import ProgressBar, show
from ib_platform.research.words import cells, flat
from ib_platform_tests.support import PATIENT

PRICE = pa.decimal128(18, 9)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


def batch(**columns: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict(columns)


@PATIENT
@given(st.lists(st.none() | st.integers(1 - 10**18, 10**18 - 1), min_size=1))
def test_a_price_in_words_is_the_price(units: list[int | None]) -> None:
    prices = [None if unit is None else Decimal(unit).scaleb(-9) for unit in units]
    shown = [row[0] for row in cells(batch(p=pa.array(prices, PRICE)))]
    assert [None if word == "-" else Decimal(word) for word in shown] == prices
    assert not [word for word in shown if "." in word and word.endswith(("0", "."))]


@pytest.mark.parametrize(
    ("price", "word"),
    [
        ("0", "0"),
        ("60", "60"),
        ("100", "100"),
        ("-0.5", "-0.5"),
        ("59.910", "59.91"),
        ("0.000000001", "1E-9"),
        ("-1200.25", "-1200.25"),
    ],
)
def test_prices(price: str, word: str) -> None:
    assert cells(batch(p=pa.array([Decimal(price)], PRICE))) == [[word]]


@PATIENT
@given(st.integers(0, 2**62), st.sampled_from(["s", "ms", "us", "ns"]))
def test_an_instant_in_words_is_the_instant(at: int, unit: str) -> None:
    exact = at // {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}[unit]
    column = pa.array([exact], pa.timestamp(unit, "UTC"))
    ((word,),) = cells(batch(t=column))
    assert pandas.Timestamp(word) == pandas.Timestamp(exact, unit=unit, tz="UTC")
    assert word.endswith("Z")


def test_whole_seconds_keep_their_zeros() -> None:
    at = datetime(2026, 11, 18, 18, 0, 0, tzinfo=UTC)
    for unit in ("s", "ns"):
        column = pa.array([at], pa.timestamp(unit, "UTC"))
        assert cells(batch(t=column)) == [["2026-11-18 18:00:00Z"]]


def test_other_cells() -> None:
    found = cells(
        batch(
            flag=pa.array([True, False, None]),
            share=pa.array([0.123456789, 1.0, None]),
            count=pa.array([0, 7, None], pa.int32()),
            sizes=pa.array([[1, -2], [], None], pa.list_(pa.int32())),
            by_cause=pa.array([[("a", 1.5)], [], None], pa.map_(pa.string(), pa.float64())),
        )
    )
    assert found == [
        ["yes", "0.123457", "0", "[1, -2]", '{"a": 1.5}'],
        ["no", "1", "7", "[]", "{}"],
        ["-", "-", "-", "-", "-"],
    ]


@PATIENT
@given(st.lists(st.none() | st.lists(TEXTS, max_size=3), min_size=1))
def test_lists_are_json(lists: list[list[str] | None]) -> None:
    column = pa.array(lists, pa.list_(pa.string()))
    found = flat(batch(reasons=column, n=pa.array(range(len(lists)))))
    words = found["reasons"].to_pylist()
    assert [None if word is None else json.loads(word) for word in words] == lists
    assert found["n"].to_pylist() == list(range(len(lists)))


class OneBatch(Rows):
    """Rows that need no server."""

    given: pa.RecordBatch

    @property
    def at_most(self) -> int:
        return self.given.num_rows

    def batches(self, rows: int = 2, *, floats: bool = False) -> Iterator[pa.RecordBatch]:
        for first in range(0, self.given.num_rows, rows):
            yield self.given.slice(first, rows)


def rows_of(given: pa.RecordBatch) -> Rows:
    rows = OneBatch(None, ClickHouse(), given.schema, ())  # type: ignore[arg-type]
    object.__setattr__(rows, "given", given)
    return rows


@pytest.mark.parametrize(("limit", "more"), [(1, True), (4, True), (5, False), (6, False)])
def test_a_limit_of_rows(limit: int, more: bool, capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=StringIO(), width=80)
    show(rows_of(batch(n=pa.array([101, 102, 103, 104, 105]))), limit, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert [n for n in range(101, 106) if str(n) in printed] == list(range(101, 106))[:limit]
    assert ("of at most 5" in capsys.readouterr().err) is more


def test_brackets_are_no_markup() -> None:
    console = Console(file=StringIO(), width=80)
    texts = ["[bold]x[/bold]", "[/nothing]", "[red]"]
    show(rows_of(batch(text=pa.array(texts))), 10, console)
    printed = console.file.getvalue()  # type: ignore[attr-defined]
    assert all(text in printed for text in texts)


def test_no_bar_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    passed = list(ProgressBar("bars")([batch(n=pa.array([1]))], 1))
    assert [part.num_rows for part in passed] == [1]
    assert capsys.readouterr() == ("", "")
