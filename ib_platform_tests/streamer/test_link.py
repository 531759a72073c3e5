"""Intake and housekeeping without a network: what a full disk or a stalled loop leaves behind."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, Limits
from ib_platform.errors import SpoolError
from ib_platform.health import FrameCounts, LoaderHealth, StreamerHealth
from ib_platform.ibkr.session import Judgement
from ib_platform.paths import PodPaths
from ib_platform.states import Cause, PodState, StreamEventKind
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.housekeeping import RowWriter, sync_regularly, watch_stalls
from ib_platform.streamer.link import Intake
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.resolution import ContractRow
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.tracker import Tracker
from ib_platform_tests.streamer.app_bench import events_of, query
from ib_platform_tests.support import free_port, make_config, wait_until

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
    "CL.NYMEX.front", 7, "CL", "NYMEX", "always_open", date(2026, 12, 1), None, None, AT
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
    """Stands between the intake and a real spool, and refuses while ``full``."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self.full = False

    def append_frame(self, *arguments: object) -> int:
        if self.full:
            raise SpoolError("no space left on device")
        return self._spool.append_frame(*arguments)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> object:
        return getattr(self._spool, name)


def test_frames_that_the_disk_refuses_are_counted_and_reported(
    state: StreamerState, spool: Spool, tmp_path: Path
) -> None:
    disk = FullDisk(spool)
    state.spool = disk  # type: ignore[assignment]
    intake = Intake(state)
    assert intake.take(b'{"topic":"system","hb":1}') == "system"
    disk.full = True
    assert [intake.take(b"{}"), intake.take(b"{}")] == [None, None]
    disk.full = False
    assert intake.take(b'{"topic":"sts","args":{}}') == "sts"
    assert (state.received, spool.frames_written) == (4, 2)
    (loss,) = [e for e in events_of(make_config(tmp_path)) if e.cause is Cause.DISK_FULL]
    assert loss.detail["lost_frames"] == 2
    assert loss.detail["begin"] <= loss.detail["end"]


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


def _stand_still() -> None:
    time.sleep(0.4)


async def test_a_stalled_loop_is_recorded_with_its_span(spool: Spool, tmp_path: Path) -> None:
    watching = asyncio.create_task(watch_stalls(spool))
    await asyncio.sleep(0)
    begin = datetime.now(UTC)
    _stand_still()
    end = datetime.now(UTC)

    def stalls() -> list[dict[str, str]]:
        events = events_of(make_config(tmp_path))
        return [e.detail for e in events if e.kind is StreamEventKind.LATE_STAMPS]

    (stall,) = await asyncio.to_thread(wait_until, stalls, "the event")
    watching.cancel()
    assert datetime.fromisoformat(stall["begin"]) <= begin
    assert datetime.fromisoformat(stall["end"]) >= end


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
    (contract,) = query(warehouse, "SELECT contract, conid, last_trade_date FROM contracts")
    assert contract == ("CL.NYMEX.front", 7, None)


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
