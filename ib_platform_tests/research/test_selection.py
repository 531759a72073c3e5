"""Pieces and filters in SQL against twins in plain Python, on records made by chance."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.research import selection as module
from ib_platform.research.api import Warehouse
from ib_platform.research.columns import Table
from ib_platform.research.contracts import Contracts
from ib_platform.research.selection import Selection, pieces_of
from ib_platform.research.span import span_between
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.research.conftest import CL, NOON_NS, WEDNESDAY, instants

DAYS = [day for n in range(14) if (day := date(2026, 11, 2) + timedelta(days=n)).weekday() < 5]
CONTRACT_COLUMNS = ["contract", "conid", "symbol", "exchange", "calendar", "resolved_at"]


def resolve(client: Any, conid: int, at: int) -> None:
    row = (CL, conid, "CL", "NYMEX", "always_open", at // 1_000_000)
    client.insert("contracts", [row], column_names=CONTRACT_COLUMNS)


@dataclass(frozen=True)
class Window:
    run_id: str
    begin: int
    end: int

    def doubts(self, run_id: str, at: int) -> bool:
        """One that lasts for no time doubts what is at its instant."""
        return run_id == self.run_id and (self.begin <= at < self.end or at == self.begin)


@pytest.mark.parametrize("seed", range(4))
def test_suspect_windows_that_overlap_in_any_way(warehouse: ClickHouse, seed: int) -> None:
    random = Random(seed)
    runs = ("run-a", "run-b")
    states = [(run_id, NOON_NS + at) for run_id in runs for at in range(60)]
    windows = {
        Window(random.choice(runs), NOON_NS + begin, NOON_NS + begin + length)
        for begin, length in (
            (random.randrange(60), random.choice((0, 0, 1, 2, 5, 9))) for _ in range(12)
        )
    }
    flagged = {state for state in states if random.random() < 0.1}
    with closing(connect(warehouse)) as client:
        resolve(client, 1, NOON_NS)
        client.insert(
            "depth",
            [
                (WEDNESDAY, at, 1, run_id, number, (run_id, at) in flagged, [0] * 21)
                for number, (run_id, at) in enumerate(states)
            ],
            column_names=[
                "trade_date", "received_at", "conid", "run_id", "seq", "suspect", "sizes",
            ],
        )  # fmt: skip
        client.insert(
            "suspect_windows",
            [(WEDNESDAY, 1, w.begin, w.end, "unknown", w.run_id) for w in windows]
            # Of another contract: doubts nothing here.
            + [(WEDNESDAY, 2, NOON_NS, NOON_NS + 60, "unknown", "run-a")],
            column_names=["trade_date", "conid", "begin", "end", "cause", "run_id"],
        )
        client.insert(
            "builds", [(WEDNESDAY, "", "")], column_names=["trade_date", "run_id", "input"]
        )
    kept = sorted(
        (at, run_id)
        for run_id, at in states
        if (run_id, at) not in flagged and not any(w.doubts(run_id, at) for w in windows)
    )
    assert 0 < len(kept) < len(states)
    with Warehouse(warehouse) as opened:
        table = opened.depth(CL, WEDNESDAY, drop_suspect=True).arrow()
        found = list(zip(instants(table, "received_at"), table["run_id"].to_pylist(), strict=True))
        assert found == kept
        assert opened.depth(CL, WEDNESDAY).at_most == len(states)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("piece_rows", [1, 6, 1000])
def test_pieces_hold_every_row_once(
    warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, seed: int, piece_rows: int
) -> None:
    """Conids that come and go, dates without rows, dates that are not wanted."""
    monkeypatch.setattr(module, "PIECE_ROWS", piece_rows)
    random = Random(seed)
    rows = Counter({
        (day, conid): random.choice((0, 1, 2, 5)) for day in DAYS for conid in (1, 2, 3)
    })  # fmt: skip
    unwanted = set(random.sample(DAYS, 3))
    with closing(connect(warehouse)) as client:
        for number, day in enumerate(DAYS):
            if number == 0 or random.random() < 0.4:
                resolve(client, random.choice((1, 2, 3)), to_ns(trade_date_span(day)[0]))
        client.insert(
            "bars",
            [
                (day, conid, "1m", trade_date_span(day)[0] + timedelta(minutes=minute))
                for (day, conid), count in rows.items()
                for minute in range(count)
            ],
            column_names=["trade_date", "conid", "bar_size", "bar_start"],
        )
        named = Contracts.read(client).find(CL)
        span = span_between(DAYS[0], DAYS[-1])
        pieces = pieces_of(
            client, Selection(Table.BARS, named, span), lambda day: day not in unwanted
        )
    wanted = {
        day: rows[day, named.conid_on(day)]
        for day in DAYS
        if day not in unwanted and rows[day, named.conid_on(day)]
    }
    assert sum(piece.at_most for piece in pieces) == sum(wanted.values())
    covered = [
        day
        for piece in pieces
        for day in DAYS
        if piece.first_date <= day <= piece.last_date and rows[day, piece.conid]
    ]
    assert covered == sorted(wanted), "in order, each once, and none besides"
    for piece in pieces:
        assert piece.at_most <= piece_rows or piece.first_date == piece.last_date
    with Warehouse(warehouse) as opened:
        table = opened.bars(CL, "1m", DAYS[0], DAYS[-1]).arrow()
    every = {day: rows[day, named.conid_on(day)] for day in DAYS}
    assert Counter(table["trade_date"].to_pylist()) == +Counter(every)
    assert table["bar_start"].to_pylist() == sorted(table["bar_start"].to_pylist())
