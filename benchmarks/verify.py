"""Verify: a day of frames of one run, by the warehouse alone; time and memory of both sides."""

from __future__ import annotations

import resource
import tempfile
import time
from contextlib import closing
from pathlib import Path

from benchmarks.engine import embedded_platform
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import SECOND, Span
from ib_platform.warehouse.verify.verify import verify_warehouse

FRAMES = 3_000_000
_BEGIN = 1_763_040_000 * SECOND
_MAKE = f"""
INSERT INTO frames
SELECT '2025-11-13', fromUnixTimestamp64Nano(toInt64({_BEGIN} + number * 10000000)), number,
       'alpha', 'run', 1, number, 'sbd', 1, repeat(toString(cityHash64(number)), 12), NULL, 1
FROM numbers({FRAMES})
"""


def run() -> None:
    """Verify: a day of frames of one run, by the warehouse alone; time and memory of both sides."""
    with (
        tempfile.TemporaryDirectory() as folder,
        embedded_platform(Path(folder)) as (config, server),
        closing(connect(config.clickhouse)) as client,
    ):
        client.command(_MAKE)
        client.command(
            "ALTER TABLE frames DELETE WHERE seq % 1000 = 7", settings={"mutations_sync": 1}
        )
        before = server.memory_info().rss
        began = time.perf_counter()
        found = verify_warehouse(client, Span(_BEGIN, _BEGIN + FRAMES * 10_000_000))
        seconds = time.perf_counter() - began
        total = found.total
        print(
            f"{total.received:,} frames of {total.payload_bytes / 1e6:,.0f} MB payload, "
            f"{total.unexplained:,} found missing: {seconds:.1f} s"
        )
        grown = (server.memory_info().rss - before) / 1e6
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        print(f"memory: engine {grown:+,.0f} MB, this process {own:,.0f} MB at most")
