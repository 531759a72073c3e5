"""Two recorded trade dates without an assignment, long closed, and what was built of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, full

DATES = (date(2025, 11, 12), date(2025, 11, 13))
TABLES = (
    "depth",
    "spells",
    "phases",
    "bars",
    "gaps",
    "suspect_windows",
    "quality_report",
    "quality_checks",
    "builds",
)
EVERY = 2 * 3600 * SECOND


def config_of(warehouse: ClickHouse, folder: Path) -> PlatformConfig:
    return make_config(folder, clickhouse=warehouse.model_dump())


def record(client: Any, run_id: str = "run-a", conid: int = 1) -> Recorder:
    """One run with a ladder frame every two hours over both dates, stored."""
    begin = to_ns(trade_date_span(DATES[0])[0])
    end = to_ns(trade_date_span(DATES[-1])[1])
    recorder = Recorder(run_id)
    recorder.event(begin, StreamEventKind.RUN_STARTED)
    for at in range(begin + SECOND, end, EVERY):
        recorder.ladder(at, conid, full(r9=-7, r11=5, r12=at // SECOND % 50))
    recorder.event(recorder.last_at, StreamEventKind.RUN_STOPPED)
    recorder.insert(client)
    return recorder


def late_frame(client: Any, day: date, run_id: str = "run-late") -> None:
    """A frame of another run that comes after the date was built."""
    recorder = Recorder(run_id, paper_user="beta")
    recorder.ladder(to_ns(trade_date_span(day)[0]) + 5 * SECOND, 2, full(r9=-3, r11=4))
    recorder.insert(client)


def contents(client: Any, day: date, *without: str) -> dict[str, list[Any]]:
    """All rows of a date by table, without ``built_at``."""
    aside = ", ".join(("built_at", *without))
    return {
        table: client.query(
            f"SELECT * EXCEPT ({aside if table in ('quality_report', 'builds') else 'built_at'}) "
            f"FROM {table} WHERE trade_date = {{day:Date}} ORDER BY ALL",
            {"day": day},
        ).result_rows
        for table in TABLES
    }


def stages(client: Any) -> list[str]:
    return [row[0] for row in client.query("SHOW TABLES LIKE '%stage%'").result_rows]


def changed(
    before: dict[date, dict[str, list[Any]]], after: dict[date, dict[str, list[Any]]]
) -> list[tuple[date, str, list[Any]]]:
    """Where two contents differ: date, table, the rows that only one of them has."""
    found = []
    for day, tables in before.items():
        for table, rows in tables.items():
            now = after[day][table]
            if rows != now:
                only = [row for row in (*rows, *now) if (row in rows) != (row in now)]
                found.append((day, table, only))
    return found
