"""What metrics cost: nanoseconds for every frame, milliseconds for every scrape."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from benchmarks.recorded import ladder_payloads
from ib_platform.config import ClickHouse, Limits
from ib_platform.marketdata.frames import LADDER
from ib_platform.marketdata.sessions import CalendarName
from ib_platform.paths import PodPaths
from ib_platform.streamer.assignment import AssignmentWatcher
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.insert_metrics import InsertMetrics
from ib_platform.streamer.intake import Intake
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.metrics import StreamerCollector
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.tracker import Tracker

FRAMES = 200_000
SCRAPES = 50
CONTRACTS = 12


def run() -> None:
    """What metrics cost: nanoseconds for every frame, milliseconds for every scrape."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        spool = Spool.open(folder / "spool", "bench", "bench-run", segment_bytes=1 << 24)
        registry = CollectorRegistry()
        settings = ClickHouse()
        loader = Loader(spool, settings, Limits(), observer=InsertMetrics(registry))
        watcher = AssignmentWatcher(settings, PodPaths(folder, "bench"))
        state = StreamerState(spool, loader, watcher, Tracker(30))
        registry.register(StreamerCollector(state))
        keys = {f"C{number}.CME.front": CalendarName.ALWAYS_OPEN for number in range(CONTRACTS)}
        state.tracker.assign(keys, 0.0)
        for conid, key in enumerate(keys):
            state.tracker.resolved(key, conid, 0.0)
        _frames(state)
        _scrapes(registry)
        spool.close()


def _frames(state: StreamerState) -> None:
    took, intake, payloads = state.traffic.took, Intake(state), ladder_payloads()
    library = Counter("library", "The library's own", ["topic"], registry=None)
    idle = _nanoseconds(lambda: None, FRAMES)
    costs = {
        "traffic.took: what metrics add": _nanoseconds(lambda: took(LADDER, 349), FRAMES) - idle,
        "one labelled counter of prometheus-client": _nanoseconds(
            lambda: library.labels(LADDER).inc(), FRAMES
        )
        - idle,
        "Intake.take: stamp, spool, understand, count": _nanoseconds(
            lambda: intake.take(payloads[0]), FRAMES // 20
        )
        - idle,
    }
    for name, cost in costs.items():
        print(f"{name:46} {cost:>9,.0f} ns a frame")


def _scrapes(registry: CollectorRegistry) -> None:
    for name, expose in (("text", generate_latest), ("OpenMetrics", generate_openmetrics)):
        cost = _nanoseconds(lambda expose=expose: expose(registry), SCRAPES) / 1e6  # type: ignore[misc]
        text = expose(registry)
        series = sum(not line.startswith(b"#") for line in text.splitlines())
        print(
            f"scrape of {CONTRACTS} contracts, {name:12} {cost:6.2f} ms, {series} series, "
            f"{len(text):,} bytes"
        )


def _nanoseconds(work: Callable[[], object], times: int) -> float:
    """CPU time of one call, the best of five passes."""
    best = float("inf")
    for _ in range(5):
        began = time.process_time_ns()
        for _ in range(times):
            work()
        best = min(best, (time.process_time_ns() - began) / times)
    return best
