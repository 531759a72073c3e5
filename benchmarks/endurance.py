"""A streamer and ClickHouse watched for a long time: memory, lag, parts. For ``soak``, ``memory``.

Lag is what ``/status`` says: the age of the oldest record that ClickHouse has not acknowledged.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import fmean

import psutil

from benchmarks.stream_rig import Rig, cpu_seconds, stream_rig
from ib_platform.config import ClickHouse
from ib_platform.warehouse.connect import connect

SAMPLE_EVERY = 1.0
SLOW = 0.5
"""A border of the histogram of inserts."""
_PARTS = (
    "SELECT max(parts) FROM (SELECT count() AS parts FROM system.parts "
    "WHERE active AND database = {database:String} GROUP BY table, partition)"
)


@dataclass(frozen=True)
class Sample:
    """One look. Memory is resident, in MB; ``parts``: active ones of the partition that has most;
    ``lag`` in seconds; ``pending``: bytes of the spool that are not loaded."""

    at: float
    received: int
    stored: int
    streamer: float
    clickhouse: float
    lag: float
    pending: int
    parts: int


@dataclass(frozen=True)
class Watched:
    """``sent``, ``received`` and ``stored`` count messages of all kinds over the whole life of the
    streamer. ``inserts``: acknowledged, ``slow`` those that took over ``SLOW`` seconds, ``retries``
    those that had to be repeated. CPU as a share of one core."""

    samples: list[Sample]
    sent: int
    received: int
    stored: int
    rows: int
    inserts: int
    slow: int
    retries: int
    cpu: float
    engine_cpu: float


def watch(folder: Path, frames: int, rate: float) -> Watched:
    """Send so many frames at ``rate`` a second, and look every second until all are stored."""
    with stream_rig(folder) as rig:
        assert rig.clickhouse is not None
        rig.quiet()
        processes = [psutil.Process(rig.streamer.pid), rig.clickhouse]
        before = [cpu_seconds(process) for process in processes]
        began = time.perf_counter()
        sender = threading.Thread(target=rig.source.send, args=(frames, rate), name="sender")
        sender.start()
        samples = _sampled(rig, sender)
        took = time.perf_counter() - began
        cores = [(cpu_seconds(p) - b) / took for p, b in zip(processes, before, strict=True)]
        sent = rig.quiet()
        counts, run_id = rig.health().frames, rig.health().run_id
        return Watched(
            samples,
            sent,
            counts.received,
            counts.stored,
            _stored_rows(rig.config.clickhouse, run_id),
            inserts := rig.total("ib_platform_insert_duration_seconds_count"),
            inserts - rig.total("ib_platform_insert_duration_seconds_bucket", le=str(SLOW)),
            rig.total("ib_platform_insert_retries_total"),
            *cores,
        )


def _sampled(rig: Rig, sender: threading.Thread) -> list[Sample]:
    samples = []
    began = due = time.monotonic()
    with closing(connect(rig.config.clickhouse)) as client:
        while sender.is_alive():
            parameters = {"database": rig.config.clickhouse.database}
            parts = int(client.query(_PARTS, parameters=parameters).result_rows[0][0])
            samples.append(_look(rig, parts, began))
            due = max(due + SAMPLE_EVERY, time.monotonic())
            sender.join(max(0.0, due - time.monotonic()))
    return samples


def _look(rig: Rig, parts: int, began: float) -> Sample:
    assert rig.clickhouse is not None
    health = rig.health()
    return Sample(
        at=time.monotonic() - began,
        received=health.frames.received,
        stored=health.frames.stored,
        streamer=psutil.Process(rig.streamer.pid).memory_info().rss / 1e6,
        clickhouse=rig.clickhouse.memory_info().rss / 1e6,
        lag=health.loader.lag_seconds or 0.0,
        pending=health.loader.pending_bytes,
        parts=parts,
    )


def _stored_rows(settings: ClickHouse, run_id: str) -> int:
    sql = "SELECT uniqExact(seq) FROM frames WHERE run_id = {run:String}"
    with closing(connect(settings)) as client:
        return int(client.query(sql, parameters={"run": run_id}).result_rows[0][0])


def table(samples: Sequence[Sample], spans: int) -> Iterator[str]:
    """The samples in so many spans of time, a line each: the most that was seen in it."""
    yield "  until   received  streamer  ClickHouse     lag  parts"
    for span in _cut(samples, spans):
        last = span[-1]
        yield (
            f"{last.at:5.0f} s {last.received:>10,} {max(s.streamer for s in span):>6.1f} MB"
            f" {max(s.clickhouse for s in span):>8.0f} MB {max(s.lag for s in span):>5.2f} s"
            f" {max(s.parts for s in span):>6}"
        )


def _cut(samples: Sequence[Sample], spans: int) -> Iterator[Sequence[Sample]]:
    borders = [round(len(samples) * number / spans) for number in range(spans + 1)]
    for begin, end in pairwise(borders):
        if end > begin:
            yield samples[begin:end]


def summary(watched: Watched) -> Iterator[str]:
    """What came of it, in lines for people."""
    yield (
        f"{watched.sent:,} messages sent, {watched.received:,} received, {watched.stored:,} "
        f"acknowledged, {watched.rows:,} rows"
    )
    yield (
        f"{watched.inserts:,} inserts, {watched.slow:,} of them over {SLOW:g} s, "
        f"{watched.retries:,} repeated"
    )
    lags = sorted(sample.lag for sample in watched.samples)
    yield (
        f"lag: half of the looks {lags[len(lags) // 2]:.2f} s, at most {lags[-1]:.2f} s; "
        f"parts of a partition: at most {max(s.parts for s in watched.samples)}; "
        f"cores: streamer {watched.cpu:.2f}, ClickHouse {watched.engine_cpu:.2f}"
    )
    streamer, clickhouse = growth(watched.samples)
    yield (
        "resident in the last quarter of the time against the second one: "
        f"streamer {streamer:+.1f} MB, ClickHouse {clickhouse:+.0f} MB"
    )


def growth(samples: Sequence[Sample]) -> tuple[float, float]:
    """MB by which streamer and ClickHouse are larger in the last quarter of the time than in the
    second one, on average: what grows without an end shows here, what warms up does not."""
    quarters = list(_cut(samples, 4))
    early, late = (quarters[min(1, len(quarters) - 1)], quarters[-1])
    return (
        fmean(s.streamer for s in late) - fmean(s.streamer for s in early),
        fmean(s.clickhouse for s in late) - fmean(s.clickhouse for s in early),
    )
