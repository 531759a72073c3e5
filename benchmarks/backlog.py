"""An hour of frames that waits in a spool: seconds until ClickHouse has it.

python -m benchmarks backlog          # RATES=10,100 (frames a second in that hour) by default

The spool is written as a streamer writes it, by a run that was killed; ``ib-platform drain-spool``
then loads it, which is what the next streamer does too.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.engine import embedded_platform
from benchmarks.ladder_cycle import ladder_cycle
from benchmarks.stream_rig import PAPER_USER, cpu_seconds, where
from ib_platform.config import PlatformConfig
from ib_platform.paths import PodPaths
from ib_platform.simulator.catalogue import Catalogue
from ib_platform.states import StreamEventKind
from ib_platform.streamer.spool import Spool, new_run_id
from ib_platform.warehouse.connect import connect
from ib_platform_tests.pod_processes import write_config

RATES = tuple(float(rate) for rate in os.environ.get("RATES", "10,100").split(","))
HOUR = 3600.0
BEGIN = datetime(2026, 11, 16, 23, 0, tzinfo=UTC)
SYMBOLS = ("CL", "ES", "NQ")
FRAMES_A_CONTRACT = 2_000
_NANOS = 1_000_000_000


@dataclass(frozen=True)
class Loaded:
    """``stored``: rows of ``frames`` after it. ``seconds``: of the whole command, its start
    included; CPU seconds of it and of ClickHouse. ``most_resident`` in MB."""

    frames: int
    spool_bytes: int
    stored: int
    seconds: float
    cpu: float
    engine_cpu: float
    most_resident: float


def run() -> None:
    """An hour of frames in a spool, at several rates: seconds until ClickHouse has it."""
    for rate in RATES:
        with TemporaryDirectory() as folder:
            place = where(Path(folder))
            found = measure(Path(folder), HOUR, rate)
        print(f"{rate:5,.0f} frames/s: {as_text(found)}; {place}")


def as_text(found: Loaded) -> str:
    """All of it in one line."""
    return (
        f"{found.frames:>9,} frames, {found.spool_bytes / 1e6:5,.1f} MB loaded in "
        f"{found.seconds:6.1f} s, {found.frames / found.seconds:6,.0f} a second; CPU seconds: "
        f"{found.cpu:.1f}, ClickHouse {found.engine_cpu:.1f}; resident at most "
        f"{found.most_resident:.0f} MB"
    )


def measure(folder: Path, span: float, rate: float) -> Loaded:
    """``span`` seconds of frames at ``rate`` a second in the stamps, spooled and then loaded."""
    with embedded_platform(folder) as (config, server):
        frames = max(1, round(span * rate))
        size = fill(config, frames, rate)
        before, began = cpu_seconds(server), time.perf_counter()
        code, cpu, resident = _drained(write_config(config, folder))
        seconds = time.perf_counter() - began
        assert code == 0, f"drain-spool ended with {code}"
        engine_cpu = cpu_seconds(server) - before
        with closing(connect(config.clickhouse)) as client:
            stored = int(
                client.query("SELECT uniqExact(run_id, seq) FROM frames").result_rows[0][0]
            )
        return Loaded(frames, size, stored, seconds, cpu, engine_cpu, resident)


def fill(config: PlatformConfig, frames: int, rate: float) -> int:
    """What a run that was killed leaves behind; bytes of it."""
    user = config.paper_user(PAPER_USER)
    spool = Spool.open(
        PodPaths(config.runtime.state_dir, user.name).spool,
        user.name,
        new_run_id(user.name, BEGIN),
        segment_bytes=config.limits.segment_bytes,
    )
    spool.append_event(StreamEventKind.RUN_STARTED)
    contracts = [Catalogue.on(date(2026, 11, 16)).months_of(symbol)[0] for symbol in SYMBOLS]
    for contract in contracts:
        spool.append_event(StreamEventKind.SUBSCRIBE_REQUESTED, conid=contract.conid)
    each = min(FRAMES_A_CONTRACT, frames // len(contracts) + 1)
    cycles = [ladder_cycle(contract, user.account, each, seed=1) for contract in contracts]
    payloads = itertools.cycle(itertools.chain.from_iterable(zip(*cycles, strict=True)))
    begin = int(BEGIN.timestamp()) * _NANOS
    for number, payload in zip(range(frames), payloads, strict=False):
        since = int(number / rate * _NANOS)
        spool.append_frame(begin + since, since, 1, payload)
    written = spool.bytes_written
    spool.close()
    return written


def _drained(config_file: Path) -> tuple[int, float, float]:
    """Exit code, CPU seconds, and resident MB at most of ``ib-platform drain-spool``."""
    process = subprocess.Popen(
        [sys.executable, "-m", "ib_platform.cli", "drain-spool", "--config", str(config_file),
         PAPER_USER],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, used.ru_utime + used.ru_stime, used.ru_maxrss / 1e3
