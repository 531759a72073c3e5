"""From the socket to the spool and to ClickHouse, beside loops that only receive; one core's work.

python -m benchmarks socket           # FRAMES=200000 PASSES=3 by default

All receive the same frames over TLS from the same process, as fast as they take them. CPU seconds
are those of the receiving process alone, threads and system calls included; those of ClickHouse
stand apart. TMPDIR says where the spool lies.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from benchmarks.bare_receiver import KINDS
from benchmarks.stream_rig import (
    PAPER_USER,
    Rig,
    Source,
    cpu_seconds,
    ladder_source,
    stream_rig,
    where,
)
from ib_platform.config import PlatformConfig
from ib_platform.paths import PodPaths
from ib_platform_tests.pod_processes import write_config
from ib_platform_tests.support import make_config, wait_until

FRAMES = int(os.environ.get("FRAMES", "200000"))
PASSES = int(os.environ.get("PASSES", "3"))
CLOCK_TICK = 0.01
"""The kernel counts CPU time in these."""
BASE = "websockets"
NAMES = {
    "websockets": "websockets: receive, nothing else",
    "websockets+json": "websockets: receive, json.loads",
    "aiohttp": "aiohttp: receive, nothing else",
    "spool": "streamer: socket to spool, fsynced",
    "clickhouse": "streamer: socket to ClickHouse",
}


@dataclass(frozen=True)
class Pass:
    """``frames`` were sent and arrived in ``seconds``. ``engine_cpu``: of ClickHouse."""

    frames: int
    seconds: float
    cpu: float
    engine_cpu: float = 0.0

    @property
    def rate(self) -> float:
        """Frames per CPU-second of the receiver."""
        return self.frames / self.cpu


@dataclass(frozen=True)
class Rates:
    """The passes of each way, by its key in ``NAMES``; ``frame_bytes``: mean payload."""

    passes: dict[str, list[Pass]]
    frame_bytes: float

    def best(self, way: str) -> Pass:
        return max(self.passes[way], key=lambda one: one.rate)


def run() -> None:
    """Frames per CPU-second from the socket to the spool and to ClickHouse, beside bare loops."""
    with TemporaryDirectory() as folder:
        print(f"{FRAMES:,} ladder frames, best of {PASSES} passes, {where(Path(folder))}")
        print(as_text(measure(Path(folder), FRAMES, PASSES)))


def measure(folder: Path, frames: int, passes: int) -> Rates:
    """All ways one after the other; each has to receive exactly what was sent."""
    found: dict[str, list[Pass]] = {}
    for kind in KINDS:
        with _bare(_sub(folder, f"bare-{kind}"), kind) as (process, source, count):
            found[kind] = [
                _pass(process, source, frames, lambda sent, c=count: _wait(c, sent))  # type: ignore[misc]
                for _ in range(passes)
            ]
    with stream_rig(_sub(folder, "spool"), with_clickhouse=False) as rig:
        found["spool"] = _of_streamer(rig, frames, passes)
    with stream_rig(_sub(folder, "stored")) as rig:
        found["clickhouse"] = _of_streamer(rig, frames, passes)
        frame_bytes = rig.frame_bytes()
    return Rates(found, frame_bytes)


def as_text(rates: Rates) -> str:
    """A way a line, each as a share of the bare loop."""
    base = rates.best(BASE).rate
    lines = [f"payload {rates.frame_bytes:.0f} bytes on average"]
    for way, name in NAMES.items():
        best = rates.best(way)
        lines.append(
            f"{name:36} {best.rate:>9,.0f} frames per CPU-second  {best.rate / base:5.2f} x bare"
            f"  {best.frames / best.seconds:>8,.0f} frames/s on the wall"
        )
    engine = rates.best("clickhouse")
    lines.append(
        f"ClickHouse beside it: {engine.frames / engine.engine_cpu:,.0f} frames per CPU-second"
    )
    return "\n".join(lines)


def _sub(folder: Path, name: str) -> Path:
    own = folder / name
    own.mkdir()
    return own


def _of_streamer(rig: Rig, frames: int, passes: int) -> list[Pass]:
    stored = rig.clickhouse is not None
    rig.quiet()
    process = psutil.Process(rig.streamer.pid)
    return [
        _pass(process, rig.source, frames, lambda n: rig.until(n, stored=stored), rig.clickhouse)
        for _ in range(passes)
    ]


def _pass(
    process: psutil.Process,
    source: Source,
    frames: int,
    wait: Callable[[int], object],
    engine: psutil.Process | None = None,
) -> Pass:
    processes = [process] if engine is None else [process, engine]
    before = [cpu_seconds(one) for one in processes]
    began = time.perf_counter()
    wait(source.send(frames, 0).messages)
    seconds = time.perf_counter() - began
    spent = [cpu_seconds(one) - b for one, b in zip(processes, before, strict=True)]
    return Pass(frames, seconds, max(spent[0], CLOCK_TICK), 0.0 if engine is None else spent[1])


@contextmanager
def _bare(folder: Path, kind: str) -> Iterator[tuple[psutil.Process, Source, Callable[[], int]]]:
    """A bare receiver that is served; how many messages it has received."""
    config = make_config(folder)
    with ladder_source(write_config(config, folder)) as source:
        source.trickle(False)
        receiver = _started(config, kind, source)
        try:
            assert receiver.stdin is not None
            assert receiver.stdout is not None
            stdin, stdout = receiver.stdin, receiver.stdout

            def count() -> int:
                stdin.write("\n")
                stdin.flush()
                return int(stdout.readline())

            yield psutil.Process(receiver.pid), source, count
        finally:
            receiver.kill()
            receiver.communicate()


def _started(config: PlatformConfig, kind: str, source: Source) -> subprocess.Popen[str]:
    user = config.paper_user(PAPER_USER)
    certificate = PodPaths(config.runtime.state_dir, user.name).certificate
    arguments = [kind, str(source.port), str(certificate), user.account, *map(str, source.conids)]
    return subprocess.Popen(
        [sys.executable, "-m", "benchmarks.bare_receiver", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def _wait(count: Callable[[], int], messages: int) -> None:
    """Until the receiver has them all."""
    wait_until(lambda: count() >= messages, f"{messages} messages", 600, every=0.25)
    assert count() == messages
