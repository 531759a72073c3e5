"""Ladder frames rebuilt into depth and bars of seven sizes: ClickHouse, Polars, DuckDB in one run.

The same work in each engine: carry 21 sizes through each window, find the touch, keep the depth
rows, and make bars of 1s, 5s, 1m, 5m, 15m, 1h and 1d with mid OHLC, touch at close, spread mean,
time-weighted and maximum, and frame counts. ClickHouse does more than that: it is the platform's
own build, with carried states over bar borders and flags, and it stores both tables compressed.
Its first line counts the statements that fill depth and bars, its second the whole build: spells,
gaps, report, the checks of the staging tables and the swap too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import duckdb
import polars as pl
import psutil
import pyarrow as pa

from benchmarks.engine import embedded_platform
from benchmarks.recorded import START, ladder_rows
from ib_platform.config import PlatformConfig
from ib_platform.fleet.plan import Assignment
from ib_platform.streamer.arrow import to_arrow
from ib_platform.streamer.decode import Row
from ib_platform.warehouse.assignments import write_assignment
from ib_platform.warehouse.build import Build
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect

FRAMES = 2_000_000
CONTRACTS = 12
"""Two ladder frames a second and contract for 22 hours."""
TRADE_DATE = date(2026, 11, 17)
SIZES = {"1s": 1, "5s": 5, "1m": 60, "5m": 300, "15m": 900, "1h": 3600, "1d": 86400}


@dataclass(frozen=True)
class Timing:
    """Wall and CPU seconds of one pass, and how many bars it made."""

    wall: float
    cpu: float
    bars: int


def run() -> None:
    """Ladder frames rebuilt into depth and bars: ClickHouse against Polars and DuckDB."""
    print(f"{FRAMES:,} ladder frames of {CONTRACTS} contracts made from the recorded ones")
    rows = list(ladder_rows(FRAMES, CONTRACTS))
    with TemporaryDirectory() as folder, embedded_platform(Path(folder)) as (config, engine):
        table = _load(config, rows)
        del rows
        whole, filled = min(
            (_clickhouse(config, engine) for _ in range(3)), key=lambda pair: pair[0].wall
        )
        timings = {
            "ClickHouse (embedded), depth + bars": filled,
            "ClickHouse (embedded), depth + bars + gaps + report": whole,
            "Polars, depth + bars": _best(lambda: _polars(table)),
            "DuckDB, depth + bars": _best(lambda: _duckdb(table)),
        }
    for name, timing in timings.items():
        print(
            f"{name:54} {timing.wall:6.2f} s wall  {timing.cpu:6.2f} s CPU  "
            f"{FRAMES / timing.wall:>10,.0f} frames/s  {timing.bars:,} bars"
        )


def _best(work: Callable[[], Timing]) -> Timing:
    return min((work() for _ in range(3)), key=lambda timing: timing.wall)


def _load(config: PlatformConfig, rows: list[Row]) -> pa.Table:
    client = connect(config.clickhouse)
    tables = []
    try:
        for begin in range(0, len(rows), 100_000):
            table = to_arrow("ladder_frames", rows[begin : begin + 100_000])
            client.insert_arrow("ladder_frames", table)
            tables.append(table)
        _insert_surroundings(client, config)
        client.command("OPTIMIZE TABLE ladder_frames FINAL")
    finally:
        client.close()
    return pa.concat_tables(tables)


def _insert_surroundings(client: Any, config: PlatformConfig) -> None:
    """What the report needs beside ladder frames: contracts, an assignment, the runs' frames."""
    keys = tuple(f"B{n}.BENCH.front" for n in range(CONTRACTS))
    users = tuple(f"user{n}" for n in range(CONTRACTS))
    write_assignment(client, Assignment(keys, users, ("always_open",) * CONTRACTS), 60)
    client.insert(
        "contracts",
        [
            [key, 700000001 + n, f"B{n}", "BENCH", "always_open", START]
            for n, key in enumerate(keys)
        ],
        column_names=["contract", "conid", "symbol", "exchange", "calendar", "resolved_at"],
    )
    client.command(
        "INSERT INTO frames (trade_date, received_at, paper_user, run_id, seq, topic, conid) "
        "SELECT trade_date, received_at, paper_user, run_id, seq, 'sbd', conid FROM ladder_frames"
    )


def _clickhouse(config: PlatformConfig, engine: psutil.Process) -> tuple[Timing, Timing]:
    """The whole build, and of it the statements that fill depth and bars."""
    steps: list[list[float]] = []
    fill = Build.insert_query

    def timed(build: Build, table: str, sql: str, **extra: Any) -> None:
        with _measured(engine) as spent:
            fill(build, table, sql, **extra)
        if table in ("depth", "bars"):
            steps.append(spent)

    client = connect(config.clickhouse)
    try:
        with patch.object(Build, "insert_query", timed), _measured(engine) as whole:
            finalize(client, config, TRADE_DATE)
        bars = client.query("SELECT count() FROM bars").result_rows[0][0]
    finally:
        client.close()
    wall, cpu = (sum(column) for column in zip(*steps, strict=True))
    return Timing(*whole, bars), Timing(wall, cpu, bars)


@contextmanager
def _measured(process: psutil.Process) -> Iterator[list[float]]:
    """Wall seconds and CPU seconds of ``process`` inside the block."""
    spent: list[float] = []
    before, began = process.cpu_times(), time.perf_counter()
    yield spent
    after = process.cpu_times()
    spent.append(time.perf_counter() - began)
    spent.append(after.user + after.system - before.user - before.system)


def _polars(table: pa.Table) -> Timing:
    window = ["conid", "run_id", "epoch", "window"]
    with _measured(psutil.Process()) as spent:
        frame = pl.from_arrow(table)
        assert isinstance(frame, pl.DataFrame)
        sizes = [f"size{row}" for row in range(21)]
        carried = (
            frame.lazy()
            .sort("conid", "run_id", "seq")
            .with_columns(
                pl.col("sizes").list.get(row).alias(name) for row, name in enumerate(sizes)
            )
            .with_columns(pl.col(name).forward_fill().over(window).fill_null(0) for name in sizes)
        )
        bid_row = pl.coalesce(pl.when(pl.col(n) > 0).then(r) for r, n in enumerate(sizes))
        ask_row = pl.coalesce(
            pl.when(pl.col(n) < 0).then(r) for r, n in reversed(list(enumerate(sizes)))
        )
        top, tick = pl.col("top_price").cast(pl.Float64), pl.col("tick").cast(pl.Float64)
        depth = (
            carried.with_columns(bid_row.alias("bid_row"), ask_row.alias("ask_row"))
            .with_columns(
                (top - tick * pl.col("bid_row")).alias("bid"),
                (top - tick * pl.col("ask_row")).alias("ask"),
                pl.col("received_at").shift(-1).over("conid", "run_id", "epoch").alias("next_at"),
            )
            .with_columns(
                ((pl.col("bid") + pl.col("ask")) / 2).alias("mid"),
                (pl.col("ask") - pl.col("bid")).alias("spread"),
                (pl.col("next_at") - pl.col("received_at")).dt.total_nanoseconds().alias("lasted"),
            )
            .collect()
        )
        bars = sum(_polars_bars(depth, seconds).height for seconds in SIZES.values())
    return Timing(*spent, bars)


def _polars_bars(depth: pl.DataFrame, seconds: int) -> pl.DataFrame:
    return depth.group_by("conid", pl.col("received_at").dt.truncate(f"{seconds}s")).agg(
        pl.len().alias("frames"),
        pl.col("mid").drop_nulls().first().alias("open"),
        pl.col("mid").max().alias("high"),
        pl.col("mid").min().alias("low"),
        pl.col("mid").drop_nulls().last().alias("close"),
        pl.col("bid").last().alias("bid_close"),
        pl.col("ask").last().alias("ask_close"),
        pl.col("spread").mean().alias("spread_mean"),
        pl.col("spread").max().alias("spread_max"),
        ((pl.col("spread") * pl.col("lasted")).sum() / pl.col("lasted").sum()).alias("twas"),
        pl.col("received_at").first().alias("first_at"),
        pl.col("received_at").last().alias("last_at"),
    )


def _duckdb(table: pa.Table) -> Timing:
    sizes = ", ".join(
        f"coalesce(last_value(sizes[{row + 1}] IGNORE NULLS) OVER by_window, 0)"
        for row in range(21)
    )
    bars = "\nUNION ALL ".join(
        f"""SELECT conid, '{name}' AS size,
            epoch_ns(received_at) // {seconds * 1_000_000_000} AS t,
            count(*) AS frames, arg_min(mid, seq) AS open, max(mid) AS high, min(mid) AS low,
            arg_max(mid, seq) AS close, arg_max(bid, seq) AS bid, arg_max(ask, seq) AS ask,
            avg(spread) AS spread, max(spread) AS widest,
            sum(spread * lasted) / sum(lasted) AS twas,
            min(received_at) AS first_at, max(received_at) AS last_at
            FROM depth GROUP BY ALL"""
        for name, seconds in SIZES.items()
    )
    with _measured(psutil.Process()) as spent:
        connection = duckdb.connect()
        connection.register("ladder_frames", table)
        connection.execute(
            f"""CREATE TEMP TABLE depth AS
            WITH carried AS (
                SELECT * EXCLUDE (sizes), [{sizes}] AS book FROM ladder_frames
                WINDOW by_window AS (PARTITION BY conid, run_id, epoch, "window" ORDER BY seq)
            ), touched AS (
                SELECT *, list_position(list_transform(book, lambda s: s > 0), true) AS bid_row,
                    22 - list_position(list_reverse(list_transform(book, lambda s: s < 0)), true)
                        AS ask_row
                FROM carried
            ), priced AS (
                SELECT *, top_price::DOUBLE - tick::DOUBLE * (bid_row - 1) AS bid,
                    top_price::DOUBLE - tick::DOUBLE * (ask_row - 1) AS ask,
                    epoch_ns(lead(received_at) OVER by_stream) - epoch_ns(received_at) AS lasted
                FROM touched
                WINDOW by_stream AS (PARTITION BY conid, run_id, epoch ORDER BY seq)
            ) SELECT *, (bid + ask) / 2 AS mid, ask - bid AS spread FROM priced"""
        )
        connection.execute(f"CREATE TEMP TABLE bars AS {bars}")
        (made,) = connection.execute("SELECT count(*) FROM bars").fetchone() or (0,)
        connection.close()
    return Timing(*spent, made)
