"""Scripted books: the file format, its refusals, and what a ladder shows of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.simulator.ladder_view import LadderParameters, LadderView
from ib_platform.simulator.scripted import (
    BookScript,
    BookState,
    ScriptedMarket,
    load_script,
    load_scripts,
)

CONTRACT = Catalogue.on(date(2026, 11, 22)).months_of("CL")[0]
EXAMPLE = """\
repeat_every: 30
states:
  - at: 0
  - at: 2
    bids: {58.27: 5, 58.26: 12}
    asks: {58.29: 4}
  - at: 2.5
    last: {price: 58.29, size: 3}
    asks: {58.29: 1, 58.30: 7}
  - at: 4
    bids: {}
"""
QUICK = LadderParameters(
    answer_delay=(0, 0), depth_delay=(0.1, 0.1), early_depth_share=0, one_side_share=0,
    no_side_share=0, around_zero_share=0, zero_delay=(0, 0),
)  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "book.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def loaded(folder: Path, text: str = EXAMPLE) -> BookScript:
    return load_script(written(folder, text), CONTRACT.product)


def playing(folder: Path, text: str = EXAMPLE, start: float = 100.0) -> ScriptedMarket:
    return ScriptedMarket(CONTRACT, loaded(folder, text), start=start)


def test_the_documented_example(tmp_path: Path) -> None:
    script = loaded(tmp_path)
    assert script.repeat_every == 30
    assert script.states == (
        BookState(0.0, {}),
        BookState(2.0, {5827: 5, 5826: 12, 5829: -4}),
        BookState(2.5, {5827: 5, 5826: 12, 5829: -1, 5830: -7}, (5829, 3)),
        BookState(4.0, {5829: -1, 5830: -7}),
    )


def test_it_plays_at_its_times_and_counts_trades(tmp_path: Path) -> None:
    market = playing(tmp_path)
    seen = []
    for now in (99.0, 100.0, 101.9, 102.0, 102.5, 103.9, 104.0, 129.9):
        market.advance(now)
        seen.append((market.best_bid, market.best_ask, market.last, market.volume, market.version))
    assert seen == [
        (None, None, None, 0, 0),
        (None, None, None, 0, 1),
        (None, None, None, 0, 1),
        (5827, 5829, None, 0, 2),
        (5827, 5829, 5829, 3, 3),
        (5827, 5829, 5829, 3, 3),
        (None, 5829, 5829, 3, 4),
        (None, 5829, 5829, 3, 4),
    ]


def test_it_repeats(tmp_path: Path) -> None:
    market = playing(tmp_path)
    market.advance(130.0)
    assert market.best_ask is None, "begun again"
    market.advance(132.5)
    assert (market.best_bid, market.volume) == (5827, 6)
    market.advance(100.0 + 30 * 1_000_000 + 2.0)
    assert market.best_bid == 5827
    assert market.version < 30, "rounds that nobody watched are not played"


def test_without_repeating_the_last_state_stays(tmp_path: Path) -> None:
    market = playing(tmp_path, EXAMPLE.replace("repeat_every: 30\n", ""))
    market.advance(1e9)
    assert (market.best_bid, market.best_ask, market.volume) == (None, 5829, 3)


@given(st.lists(st.floats(0, 25), max_size=20))
def test_how_often_somebody_looks_does_not_matter(instants: list[float]) -> None:
    states = tuple(BookState(float(n), {100 + n: 1}, (100 + n, 1)) for n in range(9))
    often, once = (ScriptedMarket(CONTRACT, BookScript(states, 10.0), start=0.0) for _ in range(2))
    for now in sorted(instants):
        often.advance(now)
    once.advance(0.0)
    for now in range(0, 26, 9):
        once.advance(now)
    for market in (often, once):
        market.advance(25.0)
    assert (often.best_bid, often.last) == (once.best_bid, once.last) == (105, 105)


def test_a_ladder_of_a_script(tmp_path: Path) -> None:
    """Around zero before any price, then priced without focus, then the trade, then one-sided."""
    view = LadderView(playing(tmp_path, start=0.0), seed=1, parameters=QUICK)
    view.request(0.0)
    zero = view.poll(0.0)
    assert zero is not None
    assert zero[0].price == "0.10"
    assert all(not row.has_size and not row.focus for row in zero)
    assert view.poll(1.0) is None, "no price is known yet"
    priced = view.poll(2.0)
    assert priced is not None
    shown = {row.price: (row.bid, row.ask) for row in priced if row.has_size}
    assert shown["58.27"] == ("5", None)
    assert shown["58.29"] == (None, "4")
    assert all(row.focus == 0 for row in priced)
    view.poll(2.4)
    traded = view.poll(2.5)
    assert traded is not None
    assert {row.price for row in traded} == {"3 @ 58.29", "58.30"}
    emptied = view.poll(4.0)
    assert emptied is not None
    assert {(row.price, row.has_size) for row in emptied} == {("58.27", False), ("58.26", False)}


def test_a_crossed_book_can_be_written(tmp_path: Path) -> None:
    text = "states: [{at: 0, bids: {58.30: 1}, asks: {58.28: 2}, last: {price: 58.29, size: 1}}]"
    market = playing(tmp_path, text, start=0.0)
    market.advance(0.0)
    assert (market.best_bid, market.best_ask) == (5830, 5828)
    rows = market.windows.around(5829)
    assert {row.row: (row.bid, row.ask) for row in rows if row.has_size} == {
        9: ("1", None),
        11: (None, "2"),
    }


def test_only_the_ten_best_levels_of_a_side_are_shown(tmp_path: Path) -> None:
    bids = ", ".join(f"{Decimal(5829 - n) / 100}: {n + 1}" for n in range(11))
    market = playing(tmp_path, f"states: [{{at: 0, bids: {{{bids}}}}}]", start=0.0)
    market.advance(0.0)
    shown = [row for row in market.windows.around(5829) if row.has_size]
    assert [row.bid for row in shown] == [str(n) for n in range(1, 11)]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("states: []", "line 1: states:"),
        ("repeat_every: 30", "states: Field required"),
        ("states:\n  - at: 0\n    bid: {58.27: 1}", "line 3: states.0.bid: Extra inputs"),
        ("states:\n  - at: soon", "line 2: states.0.at"),
        ("states:\n  - at: -1", "line 2: states.0.at"),
        ("states:\n  - at: 1\n  - at: 1", "line 3: states.1: at 1 s does not come after 1 s"),
        ("states:\n  - at: 0\n    asks: {58.275: 1}", "58.275 is no multiple of CL's tick 0.01"),
        ("states:\n  - at: 0\n    asks: {58.27: 0}", "line 3: states.0.asks.58.27"),
        ("states:\n  - at: 0\n    asks: {58.27: many}", "line 3: states.0.asks.58.27"),
        ("states:\n  - at: 0\n    asks: {high: 1}", "line 3: states.0.asks.high"),
        ("states:\n  - at: 0\n    asks: {.nan: 1}", "states.0"),
        ("states:\n  - at: 0\n    last: {price: 58.27}", "states.0.last.size: Field required"),
        (
            "states:\n  - at: 0\n    bids: {58.27: 1}\n  - at: 1\n    asks: {58.27: 1}",
            "line 4: states.1: price 58.27 has a bid and an ask",
        ),
        ('states:\n  - at: 0\n    bids: {"1e60": 5}', "line 2: states.0: "),
        ("states:\n  - at: .inf", "line 2: states.0.at"),
        ("repeat_every: 3\nstates:\n  - at: 0\n  - at: 4", "line 1: repeat_every: 3 s is over"),
        ("states:\n  - at: 0\n  at: 3", "not valid YAML"),
        ("- at: 0", "expected a mapping"),
        ("states:\n  - at: 0\nstates: []", "line 3: key 'states' appears twice"),
    ],
)
def test_mistakes_are_refused_with_file_line_and_reason(
    tmp_path: Path, text: str, complaint: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigurationError) as refused:
        load_script(path, CONTRACT.product)
    assert str(path) in str(refused.value)
    assert complaint in str(refused.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_script(tmp_path / "missing.yaml", CONTRACT.product)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_script(binary, CONTRACT.product)


def test_scripts_of_several_symbols(tmp_path: Path) -> None:
    path = written(tmp_path, EXAMPLE)
    assert load_scripts({"CL": path}) == {"CL": loaded(tmp_path)}
    assert load_scripts({}) == {}
    with pytest.raises(ConfigurationError, match="no product 'XX' to script; known: CL, ES"):
        load_scripts({"CL": path, "XX": path})
    with pytest.raises(ConfigurationError, match="tick 0.25"):
        load_scripts({"ES": path})
