"""From a frame's stamp to the first SELECT that sees it and its decoded row, at several rates.

python -m benchmarks latency          # RATES=10,100,1000 SECONDS=60 by default

A poller asks again and again for the highest seq in ``frames``, the last of the tables that a frame
goes into. A frame was not there when the poll before the one that saw it was asked, and was
there when that one answered: the later instant counts (it contains all waiting of the poller), the
earlier one is printed too. Everything shares the machine's cores, the source and the poller too.
"""

from __future__ import annotations

import os
import threading
import time
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.ladder_figures import quantile
from benchmarks.stream_rig import Rig, cpu_seconds, stream_rig, where
from ib_platform.warehouse.connect import Client, connect

RATES = tuple(float(rate) for rate in os.environ.get("RATES", "10,100,1000").split(","))
SECONDS = float(os.environ.get("SECONDS", "60"))
POLL_EVERY = 0.05
_SETTLE_SECONDS = 5.0
_POLL = "SELECT max(seq) FROM frames WHERE run_id = {run:String} AND seq >= {above:UInt64}"
_STAMPS = (
    "SELECT seq, toUnixTimestamp64Nano(received_at) FROM frames FINAL "
    "WHERE run_id = {run:String} AND seq BETWEEN {above:UInt64} AND {last:UInt64} ORDER BY seq"
)


@dataclass(frozen=True)
class Poll:
    """``highest``: seq that a SELECT saw, asked and answered at these instants (ns)."""

    asked: int
    answered: int
    highest: int


@dataclass(frozen=True)
class Latency:
    """Milliseconds from stamp to queryable, sorted: ``at_most`` as polled, ``at_least`` without the
    poller's waiting. ``cpu`` and ``engine_cpu``: cores that streamer and ClickHouse used."""

    rate: float
    at_most: list[float]
    at_least: list[float]
    poll_ms: float
    cpu: float
    engine_cpu: float


def run() -> None:
    """Received to queryable at several rates: percentiles, and the cores that it takes."""
    with TemporaryDirectory() as folder:
        print(f"{SECONDS:.0f} s at each rate, polled every {POLL_EVERY * 1000:.0f} ms, ", end="")
        print(where(Path(folder)))
        for found in measure(Path(folder), RATES, SECONDS):
            print(as_text(found))


def as_text(found: Latency) -> str:
    """A line a rate."""
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    most = "  ".join(f"{name} {quantile(found.at_most, s):4.0f}" for name, s in shares.items())
    least = "/".join(f"{quantile(found.at_least, share):.0f}" for share in shares.values())
    return (
        f"{found.rate:5,.0f} frames/s, {len(found.at_most):6,} frames: {most}  "
        f"max {found.at_most[-1]:4.0f} ms (without the poller at least {least}; "
        f"a poll takes {found.poll_ms:.0f})  "
        f"cores: streamer {found.cpu:.2f}, ClickHouse {found.engine_cpu:.2f}"
    )


def measure(folder: Path, rates: Sequence[float], seconds: float) -> list[Latency]:
    """One streamer, one rate after the other; every frame that was sent is seen."""
    with stream_rig(folder) as rig, closing(connect(rig.config.clickhouse)) as client:
        time.sleep(min(_SETTLE_SECONDS, seconds))
        return [_at(rig, client, rate, max(1, round(rate * seconds))) for rate in rates]


def _at(rig: Rig, client: Client, rate: float, frames: int) -> Latency:
    run_id, first = rig.health().run_id, rig.quiet()
    assert rig.clickhouse is not None
    processes = [psutil.Process(rig.streamer.pid), rig.clickhouse]
    before = [cpu_seconds(process) for process in processes]
    began = time.perf_counter()
    last = first + frames - 1
    sender = threading.Thread(target=rig.source.send, args=(frames, rate), name="sender")
    sender.start()
    polls = _poll_until(client, run_id, first, last)
    sender.join()
    took = time.perf_counter() - began
    cores = [(cpu_seconds(p) - b) / took for p, b in zip(processes, before, strict=True)]
    rig.until(last + 1, stored=True)
    parameters = {"run": run_id, "above": first, "last": last}
    rows = client.query(_STAMPS, parameters=parameters).result_rows
    stamps = [(int(seq), int(stamp)) for seq, stamp in rows]
    assert [seq for seq, _ in stamps] == list(range(first, last + 1)), "not what was sent"
    at_most, at_least = waited(stamps, polls)
    took_ms = [(poll.answered - poll.asked) / 1e6 for poll in polls]
    return Latency(rate, sorted(at_most), sorted(at_least), quantile(took_ms, 0.5), *cores)


def _poll_until(client: Client, run_id: str, first: int, last: int) -> list[Poll]:
    polls: list[Poll] = []
    highest, due = 0, time.monotonic()
    while highest < last:
        asked = time.time_ns()
        parameters = {"run": run_id, "above": max(first, highest)}
        highest = int(client.query(_POLL, parameters=parameters).result_rows[0][0])
        polls.append(Poll(asked, time.time_ns(), highest))
        due = max(due + POLL_EVERY, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))
    return polls


def waited(
    stamps: Sequence[tuple[int, int]], polls: Sequence[Poll]
) -> tuple[list[float], list[float]]:
    """Milliseconds of each frame (seq, stamp in ns), in order: at most, and at least. The last poll
    has seen all of them, polls never see less than the one before."""
    most, least = [], []
    for seq, stamp in stamps:
        seen = bisect_left(polls, seq, key=lambda poll: poll.highest)
        before = polls[seen - 1].asked if seen else stamp
        most.append((polls[seen].answered - stamp) / 1e6)
        least.append(max(0.0, (before - stamp) / 1e6))
    return most, least
