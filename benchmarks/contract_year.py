"""A year of one contract: depth, bars of all sizes, gaps, report and checks of every trade date.

Sizes by environment: IB_BENCH_DATES (253), IB_BENCH_FRAMES_A_DATE (170000, the recorded pace of two
ladder frames a second), IB_BENCH_JOBS (2 dates at a time).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import psutil

from benchmarks.engine import embedded_platform
from benchmarks.generated import date_of_frames, dated, insert_surroundings, weekdays
from ib_platform.config import PlatformConfig
from ib_platform.warehouse.build import Build
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect

DATES = int(os.environ.get("IB_BENCH_DATES", "253"))
FRAMES = int(os.environ.get("IB_BENCH_FRAMES_A_DATE", "170000"))
JOBS = int(os.environ.get("IB_BENCH_JOBS", "2"))
_OF_BARS = ("spells", "depth", "earlier_rows", "bar_states", "bar_sums", "bars")
"""Tables that the statements for depth and bars fill."""


@dataclass
class Spent:
    """What the dates cost. ``of_bars``: seconds of waiting for the statements of depth and bars,
    ``in_all``: for whole builds; of all jobs together."""

    of_bars: float = 0.0
    in_all: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


def run() -> None:
    """A contract-year: every trade date finalized, some dates at a time."""
    days = weekdays(DATES)
    print(f"{DATES} trade dates of {FRAMES:,} ladder frames, {JOBS} dates at a time")
    with TemporaryDirectory() as folder, embedded_platform(Path(folder)) as (config, engine):
        _load(config, days)
        spent = Spent()
        before = engine.cpu_times()
        with _peak(engine) as peak, patch.object(Build, "_fill", _timed(spent)):
            began = time.perf_counter()
            with ThreadPoolExecutor(JOBS) as pool:
                list(pool.map(lambda day: _finalize(config, day, spent), days))
            wall = time.perf_counter() - began
        after = engine.cpu_times()
        _print(config, wall, after.user + after.system - before.user - before.system, peak, spent)


def _load(config: PlatformConfig, days: list[date]) -> None:
    client = connect(config.clickhouse)
    table = date_of_frames(FRAMES, 1)
    insert_surroundings(client, 1, days[0])
    for day in days:
        client.insert_arrow("ladder_frames", dated(table, day))
    client.command(
        "INSERT INTO frames (trade_date, received_at, paper_user, run_id, seq, topic, conid) "
        "SELECT trade_date, received_at, paper_user, run_id, seq, 'sbd', conid FROM ladder_frames "
        "SETTINGS max_partitions_per_insert_block = 0"
    )
    client.close()


def _finalize(config: PlatformConfig, day: date, spent: Spent) -> None:
    client = connect(config.clickhouse)
    began = time.perf_counter()
    try:
        finalize(client, config, day)
    finally:
        client.close()
        with spent.lock:
            spent.in_all += time.perf_counter() - began


def _timed(spent: Spent) -> Any:
    fill = Build._fill

    def timed(build: Build, table: str, *arguments: Any) -> None:
        began = time.perf_counter()
        fill(build, table, *arguments)
        if table.split("__")[0] in _OF_BARS:
            with spent.lock:
                spent.of_bars += time.perf_counter() - began

    return timed


@contextmanager
def _peak(process: psutil.Process) -> Iterator[list[int]]:
    """Resident bytes of ``process``, at most, looked at ten times a second."""
    seen, done = [process.memory_info().rss], threading.Event()

    def look() -> None:
        while not done.wait(0.1):
            seen[0] = max(seen[0], process.memory_info().rss)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def _print(config: PlatformConfig, wall: float, cpu: float, peak: list[int], spent: Spent) -> None:
    client = connect(config.clickhouse)
    ((bars, dates, whole),) = client.query(
        "SELECT count(), uniqExact(trade_date), countIf(bar_size = '1d') FROM bars"
    ).result_rows
    client.close()
    share = spent.of_bars / spent.in_all
    frames = DATES * FRAMES
    print(
        f"{dates} dates, {bars:,} bars, {whole} of them daily\n"
        f"everything               {wall:7.1f} s wall  {cpu:7.1f} s CPU  {frames / wall:>10,.0f} "
        f"frames/s\ndepth and bars, of that  {wall * share:7.1f} s ({share:.0%} of the waiting)\n"
        f"ClickHouse, resident at most: {peak[0] / 2**20:,.0f} MB"
    )
