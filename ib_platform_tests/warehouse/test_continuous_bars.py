"""The view ``continuous_bars``: by hand over two rolls, against a twin, what must always hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import count, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ib_platform.config import ClickHouse
from ib_platform.marketdata.continuous import next_trade_date
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.rolls import RollPlan, RollRow, write_changes
from ib_platform_tests.warehouse.series import (
    PRICES,
    TRADES,
    WHEN,
    Bar,
    closes,
    insert_bars,
    roll,
)
from ib_platform_tests.warehouse.twin_continuous import continuous

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 9, day) for day in (21, 22, 23))
_PRODUCT = count()


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Any]:
    with closing(connect(warehouse)) as opened:
        yield opened


def write(client: Any, *rolls: RollRow, minutes: int = 0) -> None:
    write_changes(client, RollPlan((), rolls, ()), "test", WHEN + timedelta(minutes=minutes))


BEGINS = roll(MONDAY, None, 1, None)
TO_2 = roll(TUESDAY, 1, 2, "50")
TO_3 = roll(WEDNESDAY, 2, 3, "-4.5")
BARS = [
    Bar(1, MONDAY, 0, "6500"), Bar(1, MONDAY, 1, "6501"), Bar(2, MONDAY, 1, "6551"),
    Bar(1, TUESDAY, 0, "6510"), Bar(2, TUESDAY, 0, "6561"), Bar(3, TUESDAY, 0, "6556.5"),
    Bar(2, WEDNESDAY, 0, "6570"), Bar(3, WEDNESDAY, 0, "6566.25"), Bar(3, WEDNESDAY, 1, None),
]  # fmt: skip


def test_two_rolls_by_hand(client: Any) -> None:
    write(client, BEGINS, TO_2, TO_3)
    insert_bars(client, BARS)
    assert closes(client) == [
        ("ES.CME.1", Decimal(6500)), ("ES.CME.1", Decimal(6501)), ("ES.CME.2", Decimal(6561)),
        ("ES.CME.3", Decimal("6566.25")), ("ES.CME.3", None),
    ]  # fmt: skip
    # 6500 + 50 - 4.5, 6501 + 50 - 4.5, 6561 - 4.5, and the newest contract as it is.
    assert [row[1] for row in closes(client, "back_adjusted_mid_close")] == [
        Decimal("6545.5"), Decimal("6546.5"), Decimal("6556.5"), Decimal("6566.25"), None,
    ]  # fmt: skip
    assert [row[1] for row in closes(client, "adjustment")] == [
        Decimal("45.5"), Decimal("45.5"), Decimal("-4.5"), Decimal(0), Decimal(0),
    ]  # fmt: skip


def test_every_price_is_adjusted_alike(client: Any) -> None:
    write(client, BEGINS, TO_2)
    insert_bars(client, [Bar(1, MONDAY, 0, "6500.25")])
    (row,) = client.query("SELECT * FROM continuous_bars").named_results()
    for column in (*PRICES, *TRADES):
        assert row[f"back_adjusted_{column}"] == row[column] + 50, column
    assert row["back_adjusted_microprice_close"] == row["microprice_close"] + 50
    adjusted = {name for name in row if name.startswith("back_adjusted_")}
    assert len(adjusted) == len((*PRICES, *TRADES)) + 1


def test_an_unknown_difference_makes_what_is_before_it_unknown_never_unadjusted(
    client: Any,
) -> None:
    write(client, BEGINS, roll(TUESDAY, 1, 2, None), TO_3)
    insert_bars(client, BARS)
    assert [row[1] for row in closes(client, "back_adjusted_mid_close")] == [
        None, None, Decimal("6556.5"), Decimal("6566.25"), None,
    ]  # fmt: skip
    assert [row[1] for row in closes(client, "back_adjusted_microprice_close")][:2] == [None, None]
    assert closes(client)[0] == ("ES.CME.1", Decimal(6500))


def test_the_newest_decision_counts(client: Any) -> None:
    write(client, BEGINS, TO_2, TO_3)
    insert_bars(client, BARS)
    write(client, roll(TUESDAY, 1, 2, "60"), minutes=1)
    assert closes(client, "adjustment")[0][1] == Decimal("55.5")
    write(client, roll(WEDNESDAY, 2, 3, "-4.5", withdrawn=True), minutes=2)
    assert [row[0][-1] for row in closes(client)] == ["1", "1", "2", "2"]
    assert closes(client, "adjustment")[0][1] == Decimal(60)


def test_without_rolls_there_is_no_series(client: Any) -> None:
    insert_bars(client, BARS)
    assert closes(client) == []


def test_the_view_has_every_column_of_bars(client: Any) -> None:
    """A migration that gives ``bars`` a column has to make the view anew."""
    columns = [
        [row[0] for row in client.query(f"DESCRIBE TABLE {table}").result_rows]
        for table in ("bars", "continuous_bars")
    ]
    assert [name for name in columns[0] if name not in columns[1]] == []


def test_a_span_reads_its_trade_dates_only(client: Any) -> None:
    write(client, BEGINS, TO_2)
    insert_bars(client, BARS)
    plan = client.query(
        "EXPLAIN indexes = 1 SELECT t.mid_close FROM continuous_bars AS t "
        "WHERE t.conid = 1 AND t.trade_date = {day:Date}",
        {"day": MONDAY},
    ).result_rows
    parts = [row[0].strip(" │") for row in plan if "Parts:" in row[0]]
    assert "Parts: 1/3" in parts, plan


@dataclass(frozen=True)
class Case:
    bars: list[Bar]
    rolls: list[RollRow]


cents = st.integers(-20_000, 20_000).map(lambda c: Decimal(c) / 100)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Some contracts of one product, each with bars before, in and after its time."""
    product = next(_PRODUCT)
    contracts = [product * 100 + number for number in range(draw(st.integers(1, 4)))]
    days = [date(2026, 9, 1)]
    for _ in range(8):
        days.append(next_trade_date(days[-1]))
    dates = sorted(draw(st.permutations(days))[: len(contracts)])
    known = draw(st.lists(st.none() | cents, min_size=4, max_size=4))
    rolls = [
        roll(
            day, contracts[n - 1] if n else None, conid,
            None if not n or known[n] is None else str(known[n]), product=f"P{product}.X",
        )
        for n, (day, conid) in enumerate(zip(dates, contracts, strict=True))
    ]  # fmt: skip
    keys = st.tuples(st.sampled_from(contracts), st.sampled_from(days), st.integers(0, 3))
    closes = draw(st.dictionaries(keys, st.none() | cents, min_size=1, max_size=30))
    return Case(
        [Bar(*key, None if close is None else str(close)) for key, close in closes.items()], rolls
    )


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(case=cases())
def test_the_view_is_the_twin_and_rolls_add_nothing_to_the_contracts_own_moves(
    client: Any, case: Case
) -> None:
    write(client, *case.rolls)
    insert_bars(client, case.bars)
    found = client.query(
        "SELECT contract, conid, trade_date, bar_start, mid_close, adjustment, "
        "back_adjusted_mid_close FROM continuous_bars WHERE product = {product:String} "
        "ORDER BY bar_start, conid",
        {"product": case.rolls[0].product},
    ).result_rows
    expected = []
    for contract, bar, adjustment in continuous(case.bars, case.rolls):
        close = None if bar.close is None else Decimal(bar.close)
        adjusted = None if close is None or adjustment is None else close + adjustment
        expected.append((contract, bar.conid, close, adjustment, adjusted))
    assert [(row[0], row[1], *row[4:]) for row in found] == expected
    _newest_is_unadjusted(case, found)
    _moves_are_the_contracts_own(case, found)


def _newest_is_unadjusted(case: Case, found: Any) -> None:
    for row in found:
        if row[1] == case.rolls[-1].to_conid:
            assert row[6] == row[4]


def _moves_are_the_contracts_own(case: Case, found: Any) -> None:
    """Inside a contract an adjusted move is the move; over rolls it is that less what the contracts
    differ by."""
    differences = {roll.to_conid: roll.difference for roll in case.rolls}
    for before, after in pairwise(row for row in found if row[6] is not None):
        rolled = [differences[conid] for conid in range(before[1] + 1, after[1] + 1)]
        assert None not in rolled
        assert after[6] - before[6] == after[4] - before[4] - sum(rolled)
