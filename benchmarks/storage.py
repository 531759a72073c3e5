"""Bytes per stored frame, after merging, by table."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.engine import embedded_platform
from benchmarks.recorded import START, ladder_payloads
from ib_platform.config import ClickHouse
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.states import StreamEventKind
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform_tests.support import CAPTURE_CONID

ROUNDS = 40
STEP_NS = 400_000_000


def run() -> None:
    """Bytes per stored frame, after merging, by table."""
    payloads = ladder_payloads()
    frames = len(payloads) * ROUNDS
    with TemporaryDirectory() as folder, embedded_platform(Path(folder)) as (config, _):
        spool = Spool.open(Path(folder) / "spool", "bench", "bench-run", segment_bytes=1 << 24)
        spool.append_event(StreamEventKind.SUBSCRIBE_REQUESTED, conid=CAPTURE_CONID)
        at = int(START.timestamp() * 1e9)
        for number in range(frames):
            payload = payloads[number % len(payloads)]
            spool.append_frame(at + number * STEP_NS, number * STEP_NS, 1, payload)
        loader = Loader(spool, config.clickhouse, config.limits)
        loader.drain()
        spool.close()
        client = connect(config.clickhouse)
        finalize(client, config, trade_date_of(START))
        _print(client, config.clickhouse, frames, sum(map(len, payloads)) / len(payloads))
        client.close()


def _print(client: Any, settings: ClickHouse, frames: int, mean: float) -> None:
    print(f"{frames:,} ladder frames, payload mean {mean:.0f} bytes")
    for table in ("frames", "ladder_frames", "depth", "bars"):
        client.command(f"OPTIMIZE TABLE {table} FINAL")
        rows, size = client.query(
            "SELECT sum(rows), sum(data_compressed_bytes) FROM system.parts "
            "WHERE active AND database = {database:String} AND table = {table:String}",
            parameters={"database": settings.database, "table": table},
        ).result_rows[0]
        print(
            f"{table:14} {rows:>10,} rows  {size / rows:7.2f} B a row  "
            f"{size / frames:7.2f} B a ladder frame"
        )
