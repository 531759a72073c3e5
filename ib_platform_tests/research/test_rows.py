"""Bars, depth, quotes, gaps and reports: what is read, its types, its order, its filters."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest

from ib_platform.config import ClickHouse
from ib_platform.errors import NothingRecordedError, SelectionError
from ib_platform.marketdata.bars import BarSize
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.research import selection
from ib_platform.research.api import Warehouse
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.research.conftest import (
    CL,
    ES,
    NOON,
    THURSDAY,
    TUESDAY,
    WEDNESDAY,
    Recorded,
    instants,
)

HOUR = timedelta(hours=1)


def test_bars_of_a_trade_date(warehouse_of_record: Warehouse) -> None:
    table = warehouse_of_record.bars(CL, "1m", WEDNESDAY).arrow()
    assert table.schema.field("bar_start").type == pa.timestamp("s", "UTC")
    assert table.schema.field("bar_size").type == pa.string()
    assert table.schema.field("mid_open").type == pa.decimal128(18, 9)
    assert set(table["bar_size"].to_pylist()) == {"1m"}
    assert table["conid"].to_pylist() == [2, 2, 2]
    assert table["bar_start"].to_pylist() == [NOON + timedelta(minutes=n) for n in range(3)]
    assert table["mid_open"][0].as_py() == Decimal("59.9")


def test_bars_carry_volume_and_verdict_of_their_date(warehouse_of_record: Warehouse) -> None:
    columns = ["trade_date", "volume", "volume_seconds", "verdict"]
    table = warehouse_of_record.bars(CL, "1d", TUESDAY, THURSDAY, columns=columns).arrow()
    assert table.to_pylist() == [
        dict(zip(columns, row, strict=True))
        for row in (
            (TUESDAY, None, 0.0, "available"),
            (WEDNESDAY, 4, 4.0, "degraded"),
            (THURSDAY, None, 0.0, "pending"),
        )
    ]


def test_every_column_of_the_table_is_there(
    warehouse_of_record: Warehouse, recorded: Recorded
) -> None:
    with closing(connect(recorded.settings)) as client:
        for table, rows in {
            "bars": warehouse_of_record.bars(CL, BarSize.HOUR, WEDNESDAY),
            "depth": warehouse_of_record.depth(CL, WEDNESDAY),
            "quote_frames": warehouse_of_record.quotes(CL, WEDNESDAY),
            "gaps": warehouse_of_record.gaps(CL, WEDNESDAY),
            "quality_report": warehouse_of_record.quality(CL, WEDNESDAY),
        }.items():
            names = [row[0] for row in client.query(f"DESCRIBE TABLE {table}").result_rows]
            assert rows.schema.names == names
            answer = rows.arrow()
            assert answer.schema == rows.schema
            assert 0 < answer.num_rows <= rows.at_most


def test_a_key_is_followed_over_the_roll(warehouse_of_record: Warehouse) -> None:
    table = warehouse_of_record.bars(CL, "1h", TUESDAY, WEDNESDAY).arrow()
    assert table["conid"].to_pylist() == [1] * 25 + [2]
    starts = instants(table, "bar_start")
    assert starts == sorted(starts)
    by_conid = warehouse_of_record.bars(1, "1h", TUESDAY, WEDNESDAY).arrow()
    assert by_conid.to_pylist() == table.slice(0, 25).to_pylist()
    assert warehouse_of_record.bars("conid.1", "1h", TUESDAY).arrow() == by_conid


def test_depth_is_what_was_recorded(warehouse_of_record: Warehouse, recorded: Recorded) -> None:
    table = warehouse_of_record.depth(CL, WEDNESDAY).arrow()
    states = recorded.states[WEDNESDAY]
    assert instants(table, "received_at") == [state.at for state in states]
    assert table["sizes"].to_pylist() == [list(state.book) for state in states]
    assert table.schema.field("received_at").type == pa.timestamp("ns", "UTC")
    assert set(table["role"].to_pylist()) == {"full"}
    assert table["inputs_version"].null_count == 0


def test_depth_of_an_open_date_comes_from_the_record(
    warehouse_of_record: Warehouse, recorded: Recorded
) -> None:
    rows = warehouse_of_record.depth(CL, WEDNESDAY, THURSDAY)
    table = rows.arrow()
    states = recorded.states[WEDNESDAY] + recorded.states[THURSDAY]
    assert instants(table, "received_at") == [state.at for state in states]
    assert table["sizes"].to_pylist() == [list(state.book) for state in states]
    assert table.schema == rows.schema
    assert table["inputs_version"].null_count == len(recorded.states[THURSDAY])
    assert table["built_at"].null_count == len(recorded.states[THURSDAY])
    assert rows.at_most == len(states)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [
        (NOON, NOON + timedelta(seconds=4), [0, 2]),
        (NOON + timedelta(seconds=2), NOON + timedelta(seconds=5), [2, 4]),
        ("2026-11-18T12:00:00-06:00", "2026-11-18T18:00:02.000001Z", [0, 2]),
        (NOON - HOUR, NOON, []),
    ],
)
def test_a_span_is_half_open(
    warehouse_of_record: Warehouse, begin: Any, end: Any, expected: list[int]
) -> None:
    table = warehouse_of_record.depth(CL, begin, end).arrow()
    found = [(at - to_ns(NOON)) // 1_000_000_000 for at in instants(table, "received_at")]
    assert found == expected


def test_quotes_without_repetitions(warehouse_of_record: Warehouse) -> None:
    rows = warehouse_of_record.quotes(CL, WEDNESDAY)
    table = rows.arrow()
    assert (table.num_rows, rows.at_most) == (5, 5)
    assert table["last"][0].as_py() == Decimal("60.06"), "the newest decoding"
    assert table["bid"].null_count == 5
    assert table.schema.field("updated_at").type == pa.timestamp("ms", "UTC")


def test_gaps_that_touch_the_span(warehouse_of_record: Warehouse) -> None:
    table = warehouse_of_record.gaps(CL, WEDNESDAY).arrow()
    assert table["cause"].to_pylist()[-1] == "competing_login"
    last = table.slice(table.num_rows - 1).to_pylist()[0]
    inside = NOON + HOUR
    assert warehouse_of_record.gaps(CL, inside, inside + HOUR).arrow().to_pylist() == [last]
    during = warehouse_of_record.gaps(CL, NOON, NOON + timedelta(seconds=100)).arrow()
    assert during.num_rows == 0
    assert during.schema == table.schema
    everyone = warehouse_of_record.gaps(None, WEDNESDAY).arrow()
    assert set(everyone["contract"].to_pylist()) == {CL, ES}
    starts = instants(everyone, "begin")
    assert starts == sorted(starts)
    assert warehouse_of_record.gaps(2, WEDNESDAY).arrow() == table


def test_quality_reports(warehouse_of_record: Warehouse) -> None:
    table = warehouse_of_record.quality(CL, TUESDAY, THURSDAY).arrow()
    assert table["trade_date"].to_pylist() == [TUESDAY, WEDNESDAY, THURSDAY]
    assert table["verdict"].to_pylist() == ["available", "degraded", "degraded"]
    everyone = warehouse_of_record.quality(None, NOON, NOON + HOUR).arrow()
    assert everyone["contract"].to_pylist() == [CL, ES, "conid.77"]
    best = warehouse_of_record.quality(None, TUESDAY, THURSDAY, min_verdict="available").arrow()
    assert best["contract"].to_pylist() == [CL]
    assert warehouse_of_record.quality(77, WEDNESDAY).arrow()["conid"].to_pylist() == [77]


def test_quality_checks(warehouse_of_record: Warehouse) -> None:
    table = warehouse_of_record.quality_checks(CL, TUESDAY, WEDNESDAY).arrow()
    codes = [f"Q{number:02}" for number in range(1, 34)]
    assert table["code"].to_pylist() == codes * 2
    assert table["trade_date"].to_pylist() == [TUESDAY] * 33 + [WEDNESDAY] * 33
    verdicts = table["verdict"].to_pylist()
    assert "fail" not in verdicts[:33]
    assert "fail" in verdicts[33:]
    assert set(verdicts) <= {"pass", "warn", "fail", "report", "not_applicable", "unknown"}
    few = warehouse_of_record.quality_checks(77, WEDNESDAY, columns=["contract", "value"]).arrow()
    assert few.schema.names == ["contract", "value"]
    assert set(few["contract"].to_pylist()) == {"conid.77"}
    everyone = warehouse_of_record.quality_checks(None, WEDNESDAY)
    assert everyone.at_most == 33 * 3


def test_checks_of_reports_that_are_older_than_them(warehouse: ClickHouse) -> None:
    with closing(connect(warehouse)) as client:
        client.insert(
            "contracts", [(CL, 1, "CL", "NYMEX", "always_open", 0)],
            column_names=["contract", "conid", "symbol", "exchange", "calendar", "resolved_at"],
        )  # fmt: skip
        client.insert(
            "quality_report", [(TUESDAY, CL, 1, "available")],
            column_names=["trade_date", "contract", "conid", "verdict"],
        )  # fmt: skip
    with Warehouse(warehouse) as opened:
        with pytest.raises(NothingRecordedError, match="1 reports from 2026-11-17.*`ib-platform c"):
            opened.quality_checks(CL, TUESDAY, WEDNESDAY)
        with pytest.raises(SelectionError, match="no trade date from .* was built"):
            opened.quality_checks(CL, WEDNESDAY)


@pytest.mark.parametrize(
    ("minimum", "dates"),
    [
        ("available", {TUESDAY}),
        ("degraded", {TUESDAY, WEDNESDAY, THURSDAY}),
        ("missing", {TUESDAY, WEDNESDAY, THURSDAY}),
    ],
)
def test_only_dates_that_are_good_enough(
    warehouse_of_record: Warehouse, minimum: str, dates: set[date]
) -> None:
    for rows in (
        warehouse_of_record.bars(CL, "1m", TUESDAY, THURSDAY, min_verdict=minimum),
        warehouse_of_record.depth(CL, TUESDAY, THURSDAY, min_verdict=minimum),
    ):
        assert set(rows.arrow()["trade_date"].to_pylist()) == dates
    nothing = warehouse_of_record.bars(CL, "1m", WEDNESDAY, min_verdict="available").arrow()
    assert nothing.num_rows == 0
    assert "mid_open" in nothing.schema.names


def test_bars_without_suspect_ones_and_gaps(warehouse_of_record: Warehouse) -> None:
    everything = warehouse_of_record.bars(CL, "1s", WEDNESDAY).arrow().to_pylist()
    kept = warehouse_of_record.bars(CL, "1s", WEDNESDAY, drop_suspect=True).arrow().to_pylist()
    assert kept == [row for row in everything if not row["suspect"] and not row["gap"]]
    assert 0 < len(kept) < len(everything)


def test_depth_without_suspect_windows(warehouse_of_record: Warehouse, recorded: Recorded) -> None:
    """Against a twin in plain Python that looks at every window."""
    with closing(connect(recorded.settings)) as client:
        windows = client.query(
            "SELECT run_id, toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end) "
            "FROM suspect_windows WHERE conid = 2"
        ).result_rows
    assert {cause for cause in windows}
    everything = warehouse_of_record.depth(CL, WEDNESDAY, THURSDAY).arrow()
    expected = [
        at
        for at, run_id, flag in zip(
            instants(everything, "received_at"),
            everything["run_id"].to_pylist(),
            everything["suspect"].to_pylist(),
            strict=True,
        )
        if not flag and not any(run == run_id and (b <= at < e or at == b) for run, b, e in windows)
    ]
    kept = warehouse_of_record.depth(CL, WEDNESDAY, THURSDAY, drop_suspect=True).arrow()
    assert instants(kept, "received_at") == expected
    assert 0 < len(expected) < everything.num_rows


def test_chosen_columns_in_their_order(warehouse_of_record: Warehouse) -> None:
    rows = warehouse_of_record.bars(CL, "1m", WEDNESDAY, columns=["mid_close", "bar_start"])
    assert rows.arrow().schema.names == ["mid_close", "bar_start"]
    assert repr(rows) == "<at most 3 rows of mid_close, bar_start>"


@pytest.mark.parametrize("batch_rows", [1, 7, 1000, 10_000])
def test_batches_are_bounded(warehouse_of_record: Warehouse, batch_rows: int) -> None:
    rows = warehouse_of_record.depth(CL, TUESDAY, THURSDAY)
    sizes, schemas, at = [], set(), []
    for batch in rows.batches(batch_rows):
        sizes.append(batch.num_rows)
        schemas.add(batch.schema.equals(rows.schema))
        at += instants(pa.table(batch), "received_at")
        if batch_rows == 1 and len(sizes) == 50:
            break
    assert max(sizes) <= batch_rows
    assert schemas == {True}
    assert all(earlier < later for earlier, later in pairwise(at))
    if batch_rows > 1:
        assert sum(sizes) == rows.at_most


def test_a_long_span_is_read_in_pieces(
    warehouse_of_record: Warehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = warehouse_of_record.bars(CL, "1m", TUESDAY, THURSDAY)
    monkeypatch.setattr(selection, "PIECE_ROWS", 1)
    split = warehouse_of_record.bars(CL, "1m", TUESDAY, THURSDAY)
    assert len(whole.statements) == 2, "one for each conid"
    assert len(split.statements) == 3, "one for each trade date"
    assert [s.at_most for s in split.statements] == [1440, 3, 1]
    assert split.arrow() == whole.arrow()


def test_a_century_is_asked_like_a_day(warehouse_of_record: Warehouse) -> None:
    always = warehouse_of_record.bars(CL, "1m", "1970-01-01", "2100-12-31").arrow()
    assert always == warehouse_of_record.bars(CL, "1m", TUESDAY, THURSDAY).arrow()
    assert warehouse_of_record.quality(None, "1970-01-01", "2100-12-31").at_most == 7
    assert warehouse_of_record.gaps(None, "1970-01-01", "2100-12-31").at_most >= 4


def test_a_date_that_is_not_good_enough_is_left_out_between_others(
    warehouse: ClickHouse,
) -> None:
    """One piece must not reach over it: a piece is a span of dates."""
    days = [date(2026, 11, day) for day in (16, 17, 18, 19, 20)]
    words = ["available", "degraded", "available", "available", "missing"]
    with closing(connect(warehouse)) as client:
        client.insert(
            "contracts", [(CL, 1, "CL", "NYMEX", "always_open", 0)],
            column_names=["contract", "conid", "symbol", "exchange", "calendar", "resolved_at"],
        )  # fmt: skip
        for day, word in zip(days, words, strict=True):
            client.insert(
                "bars", [(day, 1, "1d", trade_date_span(day)[0])],
                column_names=["trade_date", "conid", "bar_size", "bar_start"],
            )  # fmt: skip
            client.insert(
                "quality_report", [(day, CL, 1, word)],
                column_names=["trade_date", "contract", "conid", "verdict"],
            )  # fmt: skip
    with Warehouse(warehouse) as opened:
        for minimum, expected in (
            ("available", [days[0], days[2], days[3]]),
            ("pending", days[:4]),
            ("missing", days),
        ):
            rows = opened.bars(CL, "1d", days[0], days[-1], min_verdict=minimum)
            assert rows.arrow()["trade_date"].to_pylist() == expected
            assert rows.at_most == len(expected)
        good = opened.bars(CL, "1d", days[0], days[-1], min_verdict="available")
        assert [statement.at_most for statement in good.statements] == [1, 2]


def test_a_reader_that_stops_early_leaves_the_connection_usable(
    warehouse_of_record: Warehouse,
) -> None:
    rows = warehouse_of_record.depth(CL, TUESDAY)
    batches = rows.batches(10)
    assert next(batches).num_rows == 10
    assert warehouse_of_record.bars(CL, "1d", TUESDAY).arrow().num_rows == 1, "while it is open"
    batches.close()
    assert rows.arrow().num_rows == rows.at_most


def test_a_batch_needs_a_row(warehouse_of_record: Warehouse) -> None:
    with pytest.raises(ValueError, match="a batch of 0 rows"):
        next(warehouse_of_record.depth(CL, TUESDAY).batches(0))


def test_a_reader_for_other_libraries(warehouse_of_record: Warehouse) -> None:
    rows = warehouse_of_record.depth(CL, WEDNESDAY)
    assert rows.reader(floats=True).read_all() == rows.arrow(floats=True)
    assert rows.arrow(floats=True).schema.field("best_bid").type == pa.float64()
    exact = [price and float(price) for price in rows.arrow()["best_bid"].to_pylist()]
    assert rows.arrow(floats=True)["best_bid"].to_pylist() == exact


def test_the_last_instant_of_a_trade_date_belongs_to_it(warehouse_of_record: Warehouse) -> None:
    day = warehouse_of_record.depth(CL, TUESDAY).arrow()
    border = datetime(2026, 11, 17, 22, 30, tzinfo=UTC)
    before = warehouse_of_record.depth(CL, border - HOUR, border).arrow()
    assert before.num_rows == 180
    assert before["trade_date"].to_pylist() == [TUESDAY] * 180
    assert instants(before, "received_at") == instants(day, "received_at")[-180:]
