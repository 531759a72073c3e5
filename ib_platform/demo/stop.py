"""`ib-platform stop`: end exactly what was started with a configuration, in order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ib_platform.config import PlatformConfig
from ib_platform.demo.children import CHILD_RECORDS, end_child, left_over
from ib_platform.fleet import processes
from ib_platform.fleet.local import stop_all

DEMO_RECORD = "demo-process.json"
_DEADLINE = 10.0
_DEMO_DEADLINE = 120.0


def stop_everything(config: PlatformConfig) -> Iterator[str]:
    """Stop a running demo by asking it, then whatever is left: Dagster (so that no sensor launches
    pods again), the pods, ClickHouse. Yields a line for each thing done."""
    nothing = True
    for line in _ended(config):
        nothing = False
        yield line
    if nothing:
        yield "nothing was running"


def _ended(config: PlatformConfig) -> Iterator[str]:
    folder = config.runtime.state_dir
    yield from _end_demo(folder)
    yield from _end(folder, "dagster")
    yield from stop_all(config)
    yield from _end(folder, "")


@contextmanager
def recorded_demo(folder: Path) -> Iterator[None]:
    """Inside, `ib-platform stop` finds the calling process as the demo of ``folder``."""
    file = folder / DEMO_RECORD
    processes.write_record(file, processes.record_of_self(f"{folder}:demo"))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _end_demo(folder: Path) -> Iterator[str]:
    """A running demo ends its own programs in order; it only has to be asked."""
    demo = processes.find(processes.read_record(folder / DEMO_RECORD))
    if demo is not None:
        processes.stop([demo], _DEMO_DEADLINE)
        yield f"demo stopped (pid {demo.pid})"


def _end(folder: Path, prefix: str) -> Iterator[str]:
    for name, pid in left_over(folder):
        if name.startswith(prefix):
            end_child(folder / CHILD_RECORDS / f"{name}.json", _DEADLINE)
            yield f"{name} stopped (pid {pid})"
