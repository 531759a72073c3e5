"""A crossed book is in doubt while the market is open; in the pre-open it is proper."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config import ClickHouse
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.crossed import crossed_while_open, seconds_by_conid
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

DAY = date(2026, 11, 18)
OPEN = to_ns(datetime(2026, 11, 17, 23, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
CL = "CL.NYMEX.front"


def crossed_book() -> Any:
    return full(r9=5, r11=-7)


def row(conid: int, begin: int, end: int) -> dict[str, Any]:
    return {"conid": conid, "run_id": "r", "begin": begin, "end": end}


def test_states_are_cut_to_the_open_market() -> None:
    markets = {1: [Span(10, 20), Span(30, 40)]}
    rows = [
        row(1, 5, 12),
        row(1, 15, 35),
        row(1, 20, 30),
        row(1, 10, 10),
        row(1, 20, 20),
        row(2, 10, 20),
    ]
    kept = [(r["begin"], r["end"]) for r in crossed_while_open(rows, markets)]
    assert kept == [(10, 12), (15, 20), (30, 35), (10, 10)]


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 9)), max_size=8))
def test_what_is_counted_is_what_is_open(states: list[tuple[int, int]]) -> None:
    market = Span(10, 30)
    rows = [row(1, begin, begin + length) for begin, length in states]
    units = sum(
        10 <= unit < 30 for begin, length in states for unit in range(begin, begin + length)
    )
    found = seconds_by_conid(crossed_while_open(rows, {1: [market]}))
    assert found.get(1, 0.0) == units / SECOND


def test_by_sql_from_the_record(warehouse: ClickHouse, tmp_path: Path) -> None:
    """Crossed from 30 s before the open until 2 s after it, then for 3 s an hour later."""
    config = make_config(tmp_path).model_copy(update={"clickhouse": warehouse})
    run = Recorder("alpha-1")
    run.ladder(OPEN - 30 * SECOND, 1, crossed_book())
    run.ladder(OPEN + 2 * SECOND, 1, full())
    run.ladder(OPEN + 3600 * SECOND, 1, crossed_book())
    run.ladder(OPEN + 3603 * SECOND, 1, full())
    with closing(connect(warehouse)) as client:
        assign(client, [(CL, "alpha", 1)], OPEN - 60 * SECOND, calendar="cme_energy_metals")
        run.insert(client)
        finalize(client, config, DAY, now=AFTER)
        windows = client.query(
            "SELECT toUnixTimestamp64Nano(begin), toUnixTimestamp64Nano(end) FROM suspect_windows "
            "WHERE cause = 'crossed_book' ORDER BY begin"
        ).result_rows
        ((seconds, states),) = client.query(
            "SELECT crossed_seconds, crossed FROM quality_report"
        ).result_rows
    assert [((b - OPEN) / SECOND, (e - OPEN) / SECOND) for b, e in windows] == [
        (0, 2),
        (3600, 3603),
    ]
    assert (seconds, states) == (5, 2)
