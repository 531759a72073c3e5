"""Records of many contracts at once, each with one thing wrong: one build shows every check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from ib_platform.states import StreamEventKind
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import SECOND, Recorder, full, rows_of, trade_date

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
DURING = datetime(2026, 11, 18, 18, 5, tzinfo=UTC)
SECONDS = 200
TOP = 60 * SECOND
TENTH = SECOND // 10
BID, ASK = TOP - 11 * 10_000_000, TOP - 9 * 10_000_000
"""Touch of a clean ladder, in nanos."""


@dataclass(frozen=True)
class Fact:
    """A contract as it is assigned, and what IBKR has told of it."""

    contract: str
    paper_user: str
    conid: int
    tick: str | None = "0.01"
    last_trade_date: date | None = date(2026, 12, 18)


def assign(client: Any, facts: Sequence[Fact], at: int = NOON - 60 * SECOND) -> None:
    """One generation with all of them, due with their first frame, and their facts."""
    ms = at // 1_000_000
    client.insert(
        "assignments",
        [
            (
                1, 1, ms, ms + 60_000, [f.contract for f in facts], [f.paper_user for f in facts],
                ["always_open" for _ in facts],
            )
        ],
    )  # fmt: skip
    client.insert(
        "contracts",
        [
            (
                f.contract, f.conid, *f.contract.split(".")[:2], "always_open", ms, trade_date(at),
                f.tick, f.last_trade_date,
            )
            for f in facts
        ],
        column_names=[
            "contract", "conid", "symbol", "exchange", "calendar", "resolved_at", "trade_date",
            "tick", "last_trade_date",
        ],
    )  # fmt: skip


def levels(second: int) -> dict[int, int]:
    """Rows of a healthy ladder, whose sizes change on both sides."""
    return {8: -3 - second % 5, 9: -7 - second % 3, 11: 5 + second % 4, 12: 4 + second % 2}


def healthy(recorder: Recorder, second: int, conid: int) -> None:
    """The frame of one second: the first is full, the others are deltas."""
    at = NOON + second * SECOND
    if second == 0:
        recorder.ladder(at, conid, full(**{f"r{row}": size for row, size in levels(0).items()}))
    else:
        recorder.ladder(at, conid, rows_of(TOP, levels(second)))


Step = Callable[[Recorder, int, int], None]


def play(
    run_id: str,
    steps: Mapping[int, Step],
    *,
    paper_user: str,
    seconds: int = SECONDS,
    each: Callable[[Recorder, int], None] | None = None,
    source: str | None = "ibkr",
) -> Recorder:
    """One run in which every conid does its step each second; ``each`` comes before them."""
    recorder = Recorder(run_id, paper_user)
    detail = {} if source is None else {"source": source}
    recorder.event(NOON - SECOND, StreamEventKind.RUN_STARTED, None, None, **detail)
    for second in range(seconds):
        if each is not None:
            each(recorder, second)
        for conid, step in steps.items():
            step(recorder, second, conid)
    return recorder


def checks_of(client: Any, day: date = DAY) -> dict[str, dict[str, dict[str, Any]]]:
    """Rows of ``quality_checks`` by contract and code."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in client.query(
        "SELECT * FROM quality_checks WHERE trade_date = {day:Date}", {"day": day}
    ).named_results():
        found.setdefault(row["contract"], {})[row["code"]] = row
    return found


def broken(rows: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Codes that warn or fail, each with its verdict."""
    return {
        code: row["verdict"]
        for code, row in sorted(rows.items())
        if row["verdict"] in ("warn", "fail")
    }
