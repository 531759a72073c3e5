"""What the tests of the running streamer share: a configuration, assignments, spool contents."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ib_platform.config import ClickHouse, PaperUser, PlatformConfig
from ib_platform.health import StreamerHealth
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.paths import PodPaths
from ib_platform.states import PodState
from ib_platform.streamer.assignment import Assignment, copy_path, save_copy
from ib_platform.streamer.records import (
    Record,
    RecordKind,
    StreamEvent,
    decode_event,
    decode_segment_header,
    scan_records,
)
from ib_platform.streamer.segments import list_segments
from ib_platform.warehouse.assignments import write_assignment
from ib_platform.warehouse.connect import connect
from ib_platform_tests.pod_processes import PodProcess, health_of
from ib_platform_tests.support import make_config, wait_until

CL, ES = "CL.NYMEX.front", "ES.CME.front"


@dataclass(frozen=True)
class Content:
    """An assignment as a planner writes it: all contracts to alpha."""

    contracts: tuple[str, ...] = (CL, ES)
    content_hash: int = 1

    @property
    def paper_users(self) -> tuple[str, ...]:
        return ("alpha",) * len(self.contracts)

    @property
    def calendars(self) -> tuple[str, ...]:
        return ("always_open",) * len(self.contracts)


def config_for(folder: Path, clickhouse: ClickHouse, **limits: Any) -> PlatformConfig:
    """Two paper users on free ports, with this ClickHouse and impatient limits."""
    return make_config(
        folder, clickhouse=clickhouse.model_dump(), limits={"heartbeat_every": 0.5, **limits}
    )


def assign(settings: ClickHouse, content: Content | None = None) -> None:
    """Write an assignment as ``rebalance`` does."""
    client = connect(settings)
    write_assignment(client, content or Content(), grace=0)
    client.close()


def assign_on_disk(config: PlatformConfig, *contracts: str) -> None:
    """Leave a disk copy, as an earlier run would have."""
    calendars = dict.fromkeys(contracts, CalendarName.ALWAYS_OPEN)
    save_copy(copy_path(PodPaths(config.runtime.state_dir, "alpha")), Assignment(1, calendars))


def query(settings: ClickHouse, sql: str) -> list[tuple[Any, ...]]:
    client = connect(settings)
    rows = client.query(sql).result_rows
    client.close()
    return list(rows)


def streaming(user: PaperUser, process: PodProcess, frames: int = 5) -> StreamerHealth:
    """Wait until the pod streams and each assigned contract has sent ``frames`` ladder frames."""

    def look() -> StreamerHealth | None:
        code = process.process.poll()
        assert code is None, f"the streamer ended with {code}: {process.output()[-3000:]}"
        health = health_of(user.health_port, StreamerHealth)
        if health is None or health.state is not PodState.STREAMING:
            return None
        slowest = min(contract.ladder_frames for contract in health.contracts.values())
        return health if slowest >= frames else None

    health = wait_until(look, "a streaming pod", timeout=90)
    assert health is not None
    return health


def records_of(config: PlatformConfig) -> list[Record]:
    """Everything in alpha's spool now, in order; its streamer may be writing."""
    records: list[Record] = []
    folder = PodPaths(config.runtime.state_dir, "alpha").spool
    if not folder.exists():
        return records
    for segment in list_segments(folder):
        data = segment.path.read_bytes()
        if (header := decode_segment_header(data, str(segment.path))) is not None:
            records += scan_records(data, header[1]).records
    return records


def events_of(config: PlatformConfig) -> list[StreamEvent]:
    """The events in alpha's spool, in order."""
    records = records_of(config)
    return [decode_event(r.payload) for r in records if r.kind is RecordKind.EVENT]


def event_kinds(config: PlatformConfig) -> Counter[str]:
    return Counter(event.kind.value for event in events_of(config))


def stored_events(settings: ClickHouse, run_id: str) -> list[dict[str, Any]]:
    """Rows of ``stream_events`` of one run, in order; detail decoded."""
    rows = query(
        settings,
        "SELECT kind, cause, contract, conid, detail FROM stream_events FINAL "
        f"WHERE run_id = '{run_id}' ORDER BY event_no",
    )
    names = ("kind", "cause", "contract", "conid", "detail")
    events = [dict(zip(names, row, strict=True)) for row in rows]
    return [event | {"detail": msgspec.json.decode(event["detail"])} for event in events]
