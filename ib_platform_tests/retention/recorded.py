"""Three recorded, finished trade dates, sixty days old, and a retention that drops everything."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.retention.plan import TABLES
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

DATES = (date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18))
FIRST, MIDDLE, LAST = DATES
FINISHED = datetime(2026, 11, 19, tzinfo=UTC)
NOW = datetime(2027, 1, 18, 12, tzinfo=UTC)
PAYLOADS = (b"\x00\xff not UTF-8", b"", "\u20ac".encode(), b"x" * 1000)


def config_of(warehouse: ClickHouse, folder: Path, **ages: int | None) -> PlatformConfig:
    """Every table after 30 days, into ``folder``/export; ``ages`` change that."""
    retention = {
        **dict.fromkeys(TABLES, 30),
        **ages,
        "export_folder": folder / "export",
    }
    return make_config(folder, clickhouse=warehouse.model_dump(), retention=retention)


def record(client: Any, days: Iterable[date] = DATES, run_id: str = "run") -> Recorder:
    """One run with a ladder frame every hour, over the borders of its dates."""
    chosen = list(days)
    begin = to_ns(trade_date_span(chosen[0])[0])
    end = to_ns(trade_date_span(chosen[-1])[1])
    assign(client, [("CL.NYMEX.front", "alpha", 1)], begin - 60 * SECOND)
    recorder = Recorder(run_id)
    recorder.event(begin, StreamEventKind.RUN_STARTED)
    for at in range(begin + SECOND, end, 3600 * SECOND):
        recorder.ladder(at, 1, full(r9=-7, r11=5, r12=at // SECOND % 50))
    recorder.frames = [
        (*row[:9], PAYLOADS[number % len(PAYLOADS)], *row[10:])
        for number, row in enumerate(recorder.frames)
    ]
    received = {"received": recorder.seq, "spooled": recorder.seq}
    recorder.event(recorder.last_at, StreamEventKind.RUN_STOPPED, None, None, **received)
    recorder.insert(client)
    return recorder


def finish(client: Any, config: PlatformConfig, days: Iterable[date] = DATES) -> None:
    for day in days:
        finalize(client, config, day, now=FINISHED)


def count(client: Any, table: str, day: date | None = None) -> int:
    where = "" if day is None else " WHERE trade_date = {day:Date}"
    sql = f"SELECT count() FROM {table}{where}"
    return int(client.query(sql, {} if day is None else {"day": day}).result_rows[0][0])


def content(client: Any, table: str) -> list[Any]:
    """Every row as text, sorted."""
    sql = f"SELECT formatRow('JSONEachRow', *) AS line FROM {table} ORDER BY line"
    return [row[0] for row in client.query(sql).result_rows]
