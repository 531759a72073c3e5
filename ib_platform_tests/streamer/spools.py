"""What the tests of spool and loader share: a run in a spool, real payloads, what is stored."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from ib_platform.config import ClickHouse
from ib_platform.streamer.records import Record
from ib_platform.streamer.segments import list_segments, read_chunk, size_of
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import connect

PAPER_USER = "alpha"
BASE_NS = 1_763_040_000 * 10**9  # 2025-11-13 13:20 UTC, the day of the capture
HEARTBEAT = b'{"topic":"system","hb":1762860446968}'
_runs = itertools.count()


def next_run_id() -> str:
    """Run ids that sort in the order of their making."""
    return f"{PAPER_USER}-20251113T132000{next(_runs) % 1000:03d}Z-0000"


def open_spool(
    folder: Path, run_id: str | None = None, segment_bytes: int = 1 << 20, **clocks: Any
) -> Spool:
    return Spool.open(
        folder, PAPER_USER, run_id or next_run_id(), segment_bytes=segment_bytes, **clocks
    )


def append(spool: Spool, payloads: list[bytes]) -> None:
    """Frames half a second apart, on connection 1."""
    for payload in payloads:
        ns = spool.frames_written * 500_000_000
        spool.append_frame(BASE_NS + ns, ns, 1, payload)


def records_of(folder: Path, run_id: str) -> list[Record]:
    """Every complete record of a run."""
    records: list[Record] = []
    for segment in list_segments(folder):
        offset, end = 0, size_of(segment.path)
        while segment.run_id == run_id and offset < end:
            chunk = read_chunk(segment.path, offset, end, PAPER_USER)
            records += chunk.records
            offset = chunk.end
    return records


def query(settings: ClickHouse, sql: str) -> list[tuple[Any, ...]]:
    """Rows of a query in the database of ``settings``."""
    client = connect(settings, role="tests")
    try:
        return [tuple(row) for row in client.query(sql).result_rows]
    finally:
        client.close()


def stored_seqs(settings: ClickHouse, run_id: str) -> list[int]:
    """The seq of every stored row of the run, as stored: duplicates show."""
    sql = f"SELECT seq FROM frames WHERE run_id = '{run_id}' ORDER BY seq"
    return [row[0] for row in query(settings, sql)]
