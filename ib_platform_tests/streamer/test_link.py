"""Intake and housekeeping without a network: what a full disk or a stalled loop leaves behind."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.errors import SpoolError
from ib_platform.health import FrameCounts, LoaderHealth, StreamerHealth
from ib_platform.ibkr.session import Judgement
from ib_platform.marketdata.schedule import TradingDay
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.paths import PodPaths
from ib_platform.states import Cause, PodState, StreamEventKind
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.contract_facts import ContractRow
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.housekeeping import RowWriter, sync_regularly
from ib_platform.streamer.intake import Intake
from ib_platform.streamer.journal import MOST_WAITING, cause_of_refusal
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.records import RecordKind, decode_event
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.app_bench import events_of, query, records_of
from ib_platform_tests.support import make_config, wait_until

AT = datetime(2026, 11, 24, 12, 0, 0, 123456, tzinfo=UTC)
HEALTH = StreamerHealth(
    paper_user="alpha",
    run_id="run",
    pid=1,
    state=PodState.STREAMING,
    since=AT,
    reason="",
    started_at=AT,
    frames=FrameCounts(4, 3, 2, 1),
    loader=LoaderHealth(lag_seconds=None, pending_bytes=9),
    assignment_generation=1,
    assignment_source="clickhouse",
    contracts={},
)
ROW = ContractRow(
    "CL.NYMEX.front",
    7,
    "CL",
    "NYMEX",
    "always_open",
    date(2026, 12, 1),
    None,
    None,
    AT,
    date(2026, 11, 24),
)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    folder = PodPaths(tmp_path, "alpha").spool
    spool = Spool.open(folder, "alpha", "alpha-run", segment_bytes=1 << 20)
    yield spool
    spool.close()


@pytest.fixture
def state(spool: Spool, tmp_path: Path) -> StreamerState:
    settings = ClickHouse(port=free_port())
    loader = Loader(spool, settings, Limits())
    watcher = AssignmentWatcher(settings, PodPaths(tmp_path, "alpha"))
    return StreamerState(spool, loader, watcher, Tracker(30))


class FullDisk:
    """Stands between the journal and a real spool, and refuses while ``full``."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.full = False

    def append_frame(self, *arguments: object) -> int:
        self._refuse()
        return self._spool.append_frame(*arguments)  # type: ignore[arg-type]

    def append_event(self, *arguments: object, **fields: object) -> int:
        self._refuse()
        return self._spool.append_event(*arguments, **fields)  # type: ignore[arg-type]

    def require_room(self) -> None:
        self._refuse()

    def _refuse(self) -> None:
        if self.full:
            reason = OSError(errno.ENOSPC, "No space left on device")
            raise SpoolError("the disk is full") from reason


@pytest.fixture
def disk(state: StreamerState, spool: Spool) -> FullDisk:
    disk = FullDisk(spool)
    state.journal._spool = disk  # type: ignore[assignment]
    return disk


def test_frames_that_the_disk_refuses_are_counted_and_reported_before_the_next(
    state: StreamerState, spool: Spool, disk: FullDisk, tmp_path: Path
) -> None:
    intake = Intake(state)
    assert intake.take(b'{"topic":"system","hb":1}')[0] == "system"
    disk.full = True
    assert [intake.take(b"{}")[0], intake.take(b'{"topic":"sts","args":{}}')[0]] == [
        "undecodable",
        "sts",
    ]
    assert "2 frames are lost: the disk is full" in state.health().reason
    disk.full = False
    assert intake.take(b'{"topic":"sts","args":{}}')[0] == "sts"
    assert (state.received, spool.frames_written, state.journal.lost) == (4, 2, 2)
    assert "lost" not in state.health().reason
    config = make_config(tmp_path)
    records = records_of(config)
    assert [r.kind for r in records] == [RecordKind.FRAME, RecordKind.EVENT, RecordKind.FRAME]
    (loss,) = events_of(config)
    assert (loss.kind, loss.cause) == (StreamEventKind.FRAMES_LOST, Cause.DISK_FULL)
    assert loss.detail["lost_frames"] == 2
    assert loss.detail["begin"] < loss.detail["end"]
    assert state.journal.take_recovery() is Cause.DISK_FULL
    assert state.journal.take_recovery() is None


def test_lost_frames_make_the_trackers_books_suspect(state: StreamerState, disk: FullDisk) -> None:
    state.tracker.assign({"CL.NYMEX.front": CalendarName.ALWAYS_OPEN}, 0)
    disk.full = True
    Intake(state).take(b"{}")
    assert state.tracker.contracts["CL.NYMEX.front"].book.suspect


def test_a_disk_that_does_not_work_is_another_cause() -> None:
    error = SpoolError("no")
    assert cause_of_refusal(error) is Cause.DISK_FULL
    error.__cause__ = OSError(errno.EIO, "Input/output error")
    assert cause_of_refusal(error) is Cause.SPOOL_DAMAGED


def test_events_wait_for_a_full_disk_in_order_and_keep_their_stamps(
    state: StreamerState, spool: Spool, disk: FullDisk, tmp_path: Path
) -> None:
    disk.full = True
    state.session_is(Judgement(PodState.COMPETING, "c"))
    after_event = time.time_ns()
    state.journal.event(StreamEventKind.CONNECTED, connection=1)
    intake = Intake(state)
    intake.take(b"{}")
    with pytest.raises(SpoolError):
        state.journal.event_now(StreamEventKind.SUBSCRIBE_REQUESTED)
    disk.full = False
    intake.take(b"{}")
    records = records_of(make_config(tmp_path))
    kinds = [decode_event(r.payload).kind for r in records[:-1]]
    assert kinds == ["session_changed", "connected", "frames_lost"]
    assert records[0].received_ns <= after_event <= records[1].received_ns
    assert records[-1].kind is RecordKind.FRAME


def test_only_the_newest_of_too_many_events_wait(
    state: StreamerState, disk: FullDisk, tmp_path: Path
) -> None:
    disk.full = True
    for number in range(MOST_WAITING + 5):
        state.journal.event(StreamEventKind.CONNECTED, connection=number)
    disk.full = False
    state.journal.catch_up()
    events = events_of(make_config(tmp_path))
    assert len(events) == MOST_WAITING
    assert events[0].detail == {"events_dropped": 5}
    assert events[1].detail == {}


def test_only_a_changed_session_is_an_event(
    state: StreamerState, spool: Spool, tmp_path: Path
) -> None:
    for judgement in (
        Judgement(PodState.AUTHENTICATED, "a"),
        Judgement(PodState.AUTHENTICATED, "b"),
        Judgement(PodState.COMPETING, "c"),
    ):
        state.session_is(judgement)
    assert state.session.reason == "c"
    changes = [(e.detail["state"], e.cause) for e in events_of(make_config(tmp_path))]
    assert changes == [("AUTHENTICATED", None), ("COMPETING", Cause.COMPETING_LOGIN)]


def test_health_before_anything_happened(state: StreamerState) -> None:
    health = state.health()
    assert health.state is PodState.STARTING
    assert health.frames == FrameCounts()
    probes = state.probes()
    assert (probes.startup(), probes.live(), probes.ready()) == (True, True, False)


async def test_the_spool_is_synced_regularly(spool: Spool) -> None:
    syncs = 0
    real = spool.sync

    def counted() -> None:
        nonlocal syncs
        syncs += 1
        real()

    spool.sync = counted  # type: ignore[method-assign]
    task = asyncio.create_task(sync_regularly(spool, 0.01))
    await asyncio.to_thread(wait_until, lambda: syncs >= 3, "three syncs")
    task.cancel()


def test_rows_are_written(warehouse: ClickHouse) -> None:
    rows = RowWriter(warehouse, every=0.05)
    rows.start()
    rows.contract(ROW)
    rows.observed(HEALTH)
    wait_until(lambda: query(warehouse, "SELECT 1 FROM heartbeats"), "a heartbeat")
    rows.stop()
    (heartbeat,) = query(
        warehouse,
        "SELECT DISTINCT paper_user, run_id, state, received, spooled, stored, undecodable, "
        "lag_seconds, spool_bytes FROM heartbeats",
    )
    assert heartbeat == ("alpha", "run", "STREAMING", 4, 3, 2, 1, None, 9)
    (contract,) = query(
        warehouse,
        "SELECT contract, conid, last_trade_date, trade_date, tick, multiplier, schedule_known_at, "
        "schedule_dates, schedule_opens FROM contracts",
    )
    day = date(2026, 11, 24)
    assert contract == ("CL.NYMEX.front", 7, None, day, None, None, None, [], [])


def test_tick_and_trading_hours_are_written(warehouse: ClickHouse) -> None:
    opens, closes = datetime(2026, 11, 23, 23, tzinfo=UTC), datetime(2026, 11, 24, 22, tzinfo=UTC)
    rows = RowWriter(warehouse, every=0.05)
    rows.contract(ROW)
    rows.contract(
        replace(
            ROW,
            tick=Decimal("0.015625"),
            multiplier=1000.0,
            schedule_known_at=AT,
            schedule=(TradingDay(date(2026, 11, 24), opens, closes),),
        )
    )
    # The same key: the row with more in it stays.
    rows.contract(replace(ROW, conid=8, trade_date=date(2026, 11, 25)))
    rows.start()
    wait_until(lambda: query(warehouse, "SELECT 1 FROM contracts"), "the rows")
    rows.stop()
    first, second = query(
        warehouse,
        "SELECT conid, trade_date, tick, multiplier, schedule_known_at, schedule_dates, "
        "schedule_opens, schedule_closes FROM contracts FINAL ORDER BY conid",
    )
    at = AT.replace(microsecond=123000)
    assert first[:4] == (7, date(2026, 11, 24), Decimal("0.015625"), 1000.0)
    assert [v.replace(tzinfo=UTC) for v in (first[4], *first[6], *first[7])] == [at, opens, closes]
    assert first[5] == [date(2026, 11, 24)]
    assert second == (8, date(2026, 11, 25), None, None, None, [], [], [])


def test_contract_rows_wait_for_the_database(warehouse: ClickHouse, tmp_path: Path) -> None:
    """The password file appears later, as at the first start of the embedded server."""
    password = tmp_path / "password"
    settings = warehouse.model_copy(update={"password_file": password})
    rows = RowWriter(settings, every=0.05)
    rows.contract(ROW)
    rows.observed(HEALTH)
    rows.start()
    wait_until(lambda: rows._failing, "a failed try")
    assert warehouse.password_file is not None
    password.write_text(warehouse.password_file.read_text())
    wait_until(lambda: query(warehouse, "SELECT 1 FROM contracts"), "the row")
    rows.stop()
    assert query(warehouse, "SELECT count() FROM contracts") == [(1,)]


def test_the_row_writer_survives_an_error_that_nobody_expected(
    warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = RowWriter(warehouse, every=0.05)
    broken = True
    real = rows._insert

    def insert(*arguments: object) -> None:
        if broken:
            raise ValueError("nobody expected this")
        real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(rows, "_insert", insert)
    rows.observed(HEALTH)
    rows.start()
    wait_until(lambda: rows._failing, "a failed try")
    broken = False
    wait_until(lambda: query(warehouse, "SELECT 1 FROM heartbeats"), "a heartbeat")
    rows.stop()


def test_a_session_that_stays_down_is_told_again_now_and_then(spool: Spool, tmp_path: Path) -> None:
    """Gaps of a date are explained by what was told some days before it at most."""
    now = 10**9
    clocks = Clocks(lambda: now, lambda: now)
    settings = ClickHouse(port=free_port())
    watcher = AssignmentWatcher(settings, PodPaths(tmp_path, "alpha"))
    loader = Loader(spool, settings, Limits())
    state = StreamerState(spool, loader, watcher, Tracker(30), clocks)
    state.session_is(Judgement(PodState.LOCKED, "three logins were refused"))
    for _ in range(48):
        now += 3600 * 10**9
        state.remind_of_session()
    state.session_is(Judgement(PodState.AUTHENTICATED, "again"))
    for _ in range(48):
        now += 3600 * 10**9
        state.remind_of_session()
    told = [e.cause for e in events_of(make_config(tmp_path))]
    assert told == [Cause.SESSION_LOST] * 5 + [None]
