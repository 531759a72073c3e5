"""Big answers: pieces and batches stay small, and a server that dies in between is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.research.api import Warehouse
from ib_platform.research.selection import PIECE_ROWS
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.research.conftest import CL, NOON_NS, TUESDAY, WEDNESDAY
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full, rows_of
from ib_platform_tests.warehouse.server import EmbeddedServer

ROWS = 700_000
_FILL = """
INSERT INTO quote_frames (trade_date, received_at, conid, run_id, seq, volume)
SELECT
    {day:Date}, fromUnixTimestamp64Nano(toInt64({begin:Int64} + number * 1000000), 'UTC'), 1,
    concat('run-', toString({day:Date})),
    number, number
FROM numbers({rows:UInt64})
"""
DAY_NS = 86_400 * SECOND


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedServer]:
    """A server of its own that may die, with two trade dates of many quotes."""
    with EmbeddedServer(tmp_path) as started:
        migrate(started.settings)
        with closing(connect(started.settings)) as client:
            assign(client, [(CL, "alpha", 1)], NOON_NS - DAY_NS)
            for day, begin in ((TUESDAY, NOON_NS - DAY_NS), (WEDNESDAY, NOON_NS)):
                client.command(_FILL, {"day": day, "begin": begin, "rows": ROWS})
        yield started


def test_many_rows_come_in_small_batches_until_the_server_dies(server: EmbeddedServer) -> None:
    with Warehouse(server.settings) as warehouse:
        rows = warehouse.quotes(CL, TUESDAY, WEDNESDAY)
        assert [statement.at_most for statement in rows.statements] == [ROWS, ROWS]
        assert ROWS < PIECE_ROWS < 2 * ROWS
        largest = count = total = 0
        allocated = pa.total_allocated_bytes()
        held = 0
        for batch in rows.batches(10_000):
            count += 1
            largest = max(largest, batch.num_rows)
            held = max(held, pa.total_allocated_bytes() - allocated)
            total += batch.num_rows
        assert (total, largest) == (2 * ROWS, 10_000)
        assert count >= 140
        whole = rows.arrow()
        assert whole["volume"].to_pylist() == [*range(ROWS), *range(ROWS)]
        assert held < whole.nbytes / 10

        batches = rows.batches(10_000)
        next(batches)
        server.kill()
        with pytest.raises(WarehouseError, match="ClickHouse at 127"):
            for _ in batches:
                pass


def test_the_record_says_what_its_build_says(warehouse: ClickHouse, tmp_path: Path) -> None:
    """Every column of depth, before a trade date was built and after, but of a build alone."""
    with closing(connect(warehouse)) as client, Warehouse(warehouse) as opened:
        assign(client, [(CL, "alpha", 1)], NOON_NS - 60 * SECOND)
        recorder = Recorder("run")
        recorder.ladder(NOON_NS - DAY_NS, 1, full(r8=-3, r9=-7, r11=5))
        for second in range(0, 60, 2):
            recorder.ladder(NOON_NS + second * SECOND, 1, rows_of(60 * SECOND, {12: second}))
        recorder.broken(NOON_NS + 61 * SECOND, 1)
        recorder.ladder(NOON_NS + 62 * SECOND, 1, rows_of(60 * SECOND, {11: 0}))
        recorder.insert(client)
        before = opened.depth(CL, WEDNESDAY)
        raw = before.arrow()
        assert raw.num_rows == before.at_most == 31
        now = datetime.fromisoformat("2026-11-30T00:00:00Z")
        finalize(client, make_config(tmp_path), WEDNESDAY, now=now)
        after = opened.depth(CL, WEDNESDAY)
        built = after.arrow()
        of_a_build = ["inputs_version", "built_at", "in_force_ns", "phase"]
        for name in of_a_build:
            assert (raw[name].null_count, built[name].null_count) == (31, 0), name
        assert raw.drop_columns(of_a_build) == built.drop_columns(of_a_build)
        assert built["suspect"].to_pylist() == [False] * 30 + [True]
        assert opened.depth(CL, date(2026, 11, 17), WEDNESDAY).at_most == 32
