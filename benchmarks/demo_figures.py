"""A demo's start-up time, its memory, and the time from `kill -9` of a streamer to streaming."""

from __future__ import annotations

import os
import signal
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil

from ib_platform_tests.e2e.running_demo import RunningDemo

KILLS = int(os.environ.get("KILLS", "10"))
SETTLE_SECONDS = 20


def run() -> None:
    """A demo's start-up time, its memory, and ten kills of a streamer."""
    with TemporaryDirectory() as folder, RunningDemo(Path(folder), ui=True) as demo:
        print(f"from the command to all pods STREAMING: {demo.seconds_to_streaming:.1f} s")
        time.sleep(SETTLE_SECONDS)
        _memory(demo)
        seconds = [_kill(demo, number) for number in range(KILLS)]
        ordered = sorted(seconds)
        print(
            f"kill -9 of a streamer until it streams again, {KILLS} kills: "
            f"min {ordered[0]:.1f}  median {statistics.median(ordered):.1f}  "
            f"max {ordered[-1]:.1f} s"
        )
        print("each: " + "  ".join(f"{value:.1f}" for value in seconds))


def _memory(demo: RunningDemo) -> None:
    for user in demo.config.paper_users:
        for container, pid in demo.processes(user.name).items():
            print(f"{container} of {user.name}: {_resident(pid):.0f} MB resident")
    family = [psutil.Process(demo.pid), *psutil.Process(demo.pid).children(recursive=True)]
    total = sum(_resident(process.pid) for process in family if process.is_running())
    print(f"demo, ClickHouse and Dagster together: {total:.0f} MB resident")


def _resident(pid: int) -> float:
    try:
        resident: int = psutil.Process(pid).memory_info().rss
    except psutil.NoSuchProcess:
        return 0.0
    return resident / 1e6


def _kill(demo: RunningDemo, number: int) -> float:
    """Kill the streamer of one pod in turn; seconds until a new run has a LIVE or warming ladder.

    Waits for calm before: the next kill must not meet the backoff of the last incident."""
    user = demo.config.paper_users[number % len(demo.config.paper_users)].name
    before = demo.streaming_run(user)
    assert before is not None
    killed = time.monotonic()
    os.kill(demo.processes(user)["streamer"], signal.SIGKILL)
    demo.wait(lambda: demo.streaming_run(user) not in (None, before), f"{user} to stream again")
    seconds = time.monotonic() - killed
    time.sleep(SETTLE_SECONDS)
    return seconds
