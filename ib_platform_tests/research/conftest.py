"""One small warehouse that all tests of the read API share, since they only read it.

Contract key CL.NYMEX.front: conid 1 on Tuesday (a whole day, available), conid 2 on Wednesday (a
crossed state, a frame that was lost, a long gap: degraded), conid 2 on Thursday, still open.
CL.NYMEX rolls from 1 to 2 on Wednesday; on Tuesday 2 has one-minute bars 25 cents above those of 1.
ES.CME.front: assigned to a pod that never came. conid.77: recorded, never assigned.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.research.api import Warehouse
from ib_platform.states import StreamEventKind
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform.warehouse.rolls import plan_of_record, write_changes
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, State, assign, full
from ib_platform_tests.warehouse.series import resolve

TUESDAY, WEDNESDAY, THURSDAY = (date(2026, 11, day) for day in (17, 18, 19))
BEGIN = {day: to_ns(trade_date_span(day)[0]) for day in (TUESDAY, WEDNESDAY, THURSDAY)}
NOON = datetime(2026, 11, 18, 18, tzinfo=UTC)
NOON_NS = to_ns(NOON)
THURSDAY_NOON = datetime(2026, 11, 19, 18, tzinfo=UTC)
CL, ES = "CL.NYMEX.front", "ES.CME.front"


@dataclass
class Recorded:
    """What is in the warehouse: settings, and the states that were recorded, by trade date."""

    settings: ClickHouse
    config: PlatformConfig
    states: dict[date, list[State]] = field(default_factory=dict)


def instants(table: pa.Table, column: str) -> list[int]:
    """Nanoseconds since the UTC epoch."""
    return table[column].cast(pa.timestamp("ns", "UTC")).cast(pa.int64()).to_pylist()  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def recorded(
    clickhouse_server: ClickHouse, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Recorded]:
    settings = clickhouse_server.model_copy(update={"database": f"test_{secrets.token_hex(6)}"})
    migrate(settings)
    config = make_config(tmp_path_factory.mktemp("research"), clickhouse=settings.model_dump())
    record = Recorded(settings, config)
    with closing(connect(settings)) as client:
        _fill(client, record)
    yield record
    with closing(connect(settings, role="tests", database="default")) as client:
        client.command("DROP DATABASE {name:Identifier} SYNC", {"name": settings.database})


@pytest.fixture
def warehouse_of_record(recorded: Recorded) -> Iterator[Warehouse]:
    with Warehouse(recorded.settings) as opened:
        yield opened


@pytest.fixture(scope="session")
def config_file(recorded: Recorded, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ib_platform.config import dump_config

    file = tmp_path_factory.mktemp("config") / "ib_platform.yaml"
    file.write_text(dump_config(recorded.config), encoding="utf-8")
    return file


def _fill(client: object, record: Recorded) -> None:
    first = [(CL, "alpha", 1), (ES, "beta", 9)]
    assign(client, first, BEGIN[TUESDAY] - 3600 * SECOND)
    assign(client, [(CL, "alpha", 2), (ES, "beta", 9)], BEGIN[WEDNESDAY] + SECOND, generation=2)
    tuesday, wednesday, thursday = _tuesday(), _wednesday(), _thursday()
    stray = Recorder("run-stray", paper_user="beta")
    stray.ladder(NOON_NS, 77, full())
    for recorder in (tuesday, wednesday, thursday, stray):
        recorder.insert(client)
    for day, recorder in ((TUESDAY, tuesday), (WEDNESDAY, wednesday), (THURSDAY, thursday)):
        border = BEGIN[day]
        record.states[day] = [state for state in recorder.states if state.at >= border]
    _quotes(client)
    now = datetime(2026, 11, 19, 18, 5, tzinfo=UTC)
    for day in (TUESDAY, WEDNESDAY):
        finalize(client, record.config, day, now=now)  # type: ignore[arg-type]
    build_open_date(client, record.config, THURSDAY, now=now)  # type: ignore[arg-type]
    _rolls(client, record.config, now)


def _rolls(client: Any, config: PlatformConfig, now: datetime) -> None:
    """What a pod that streams the next month too would have left of it, and the rolls."""
    for conid, day, expiry in ((1, TUESDAY, TUESDAY), (2, WEDNESDAY, date(2026, 12, 17))):
        resolve(client, "front", conid, day, expiry=expiry, hour=2, product="CL.NYMEX")
    client.command(
        "INSERT INTO bars SELECT * REPLACE (2 AS conid, b.mid_close + 0.25 AS mid_close) "
        "FROM bars AS b WHERE b.trade_date = {day:Date} AND b.conid = 1 AND b.bar_size = '1m'",
        {"day": TUESDAY},
    )
    write_changes(client, plan_of_record(client, config, now), "tests", now)


def _tuesday() -> Recorder:
    recorder = Recorder("run-tuesday")
    for at in range(BEGIN[TUESDAY] - 20 * SECOND, BEGIN[WEDNESDAY], 20 * SECOND):
        recorder.ladder(at, 1, full(r8=-1, r9=-7, r11=5))
    recorder.event(recorder.last_at + SECOND, StreamEventKind.RUN_STOPPED)
    return recorder


def _wednesday() -> Recorder:
    recorder = Recorder("run-wednesday")
    for second in range(0, 120, 2):
        recorder.ladder(NOON_NS + second * SECOND, 2, full(r8=-3, r9=-7, r11=5, r12=second))
    recorder.ladder(NOON_NS + 120 * SECOND, 2, full(r9=4, r11=-4))
    recorder.broken(NOON_NS + 121 * SECOND, 2)
    recorder.ladder(NOON_NS + 122 * SECOND, 2, full(r12=1))
    recorder.event(NOON_NS + 123 * SECOND, StreamEventKind.DISCONNECTED, "competing_login")
    return recorder


def _thursday() -> Recorder:
    recorder = Recorder("run-thursday")
    at = to_ns(THURSDAY_NOON)
    for second in range(0, 60, 3):
        recorder.ladder(at + second * SECOND, 2, full(r8=-3, r9=-7, r11=5, r12=second))
    return recorder


def _quotes(client: object) -> None:
    rows = [
        (
            WEDNESDAY, NOON_NS + second * SECOND, 2, "alpha", "run-wednesday", 1000 + second,
            NOON_NS // 1_000_000, Decimal("60.05"), None, 3, None, None, None, None,
            500 + second, "R", 1,
        )
        for second in range(5)
    ]  # fmt: skip
    client.insert("quote_frames", rows)  # type: ignore[attr-defined]
    # Decoded once more: one row only when it is read.
    again = [(*rows[0][:7], Decimal("60.06"), *rows[0][8:16], 2)]
    client.insert("quote_frames", again)  # type: ignore[attr-defined]
