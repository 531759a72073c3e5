"""The stream benchmarks at a tiny size: what they print adds up. Never how fast."""

from __future__ import annotations

import math
import re
from pathlib import Path

from benchmarks import backlog, endurance, latency, socket_rates
from benchmarks.__main__ import BENCHMARKS, LONG


def test_socket_to_spool_and_to_clickhouse(tmp_path: Path) -> None:
    frames, passes = 600, 2
    rates = socket_rates.measure(tmp_path, frames, passes)
    # Each way has compared what arrived with what was sent.
    assert list(rates.passes) == list(socket_rates.NAMES)
    for way, found in rates.passes.items():
        assert [one.frames for one in found] == [frames] * passes, way
        assert all(one.seconds > 0 and one.cpu > 0 for one in found), way
    assert 100 < rates.frame_bytes < 1500
    first, bare, *others = socket_rates.as_text(rates).splitlines()
    assert first == f"payload {rates.frame_bytes:.0f} bytes on average"
    assert "1.00 x bare" in bare
    assert len(others) == len(socket_rates.NAMES)


def test_received_to_queryable(tmp_path: Path) -> None:
    slow, quick = latency.measure(tmp_path, (20, 200), 2.0)
    assert (slow.rate, quick.rate) == (20, 200)
    for found, frames in ((slow, 40), (quick, 400)):
        assert len(found.at_most) == len(found.at_least) == frames
        assert found.at_most == sorted(found.at_most)
        pairs = zip(found.at_least, found.at_most, strict=True)
        assert all(0 <= least < most < math.inf for least, most in pairs)
        assert found.poll_ms > 0
        assert f"{frames:,} frames: p50" in latency.as_text(found)


def test_watched_for_a_while(tmp_path: Path) -> None:
    frames = 400
    watched = endurance.watch(tmp_path, frames, 100.0)
    assert watched.sent == watched.received == watched.stored == watched.rows
    # Those, the greeting, and what trickled until every ladder had been asked for.
    assert watched.sent > frames
    assert watched.retries == 0
    assert 0 <= watched.slow < watched.inserts
    seen = [sample.received for sample in watched.samples]
    assert seen == sorted(seen)
    for sample in watched.samples:
        assert sample.stored <= sample.received <= watched.sent
        assert sample.streamer > 10
        assert sample.clickhouse > 10
        assert sample.parts > 0
        assert 0 <= sample.lag < math.inf
        assert sample.pending >= 0
    head, *lines = endurance.table(watched.samples, 2)
    assert head.split() == ["until", "received", "streamer", "ClickHouse", "lag", "parts"]
    assert f"{seen[-1]:,}" in lines[-1]
    counts, inserts, lag, memory = endurance.summary(watched)
    assert counts.count(f"{watched.sent:,} ") == 4
    assert f"{watched.inserts:,} inserts" in inserts
    assert re.search(r"at most \d+\.\d\d s", lag)
    assert re.search(r"streamer [+-]\d+\.\d MB", memory)


def test_an_hour_that_waits_in_a_spool(tmp_path: Path) -> None:
    loaded = backlog.measure(tmp_path, span=12.5, rate=80)
    assert loaded.frames == loaded.stored == 1000
    assert loaded.spool_bytes > 1000 * 100
    assert loaded.seconds > 0
    assert loaded.cpu > 0
    assert loaded.most_resident > 10
    assert f"{loaded.frames:,} frames" in backlog.as_text(loaded)


def test_the_long_ones_run_only_when_named() -> None:
    assert set(LONG) == {"contract_year", "memory", "soak"}
    assert set(LONG) < set(BENCHMARKS)
    assert {"socket", "latency", "backlog"} < set(BENCHMARKS)
