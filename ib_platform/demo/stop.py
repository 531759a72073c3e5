"""`ib-platform stop`: end exactly what was started with a configuration, pods first."""

from __future__ import annotations

from collections.abc import Iterator

from ib_platform.config import PlatformConfig
from ib_platform.demo.children import CHILD_RECORDS, end_child, left_over
from ib_platform.fleet.local import stop_all

_DEADLINE = 10.0


def stop_everything(config: PlatformConfig) -> Iterator[str]:
    """Stop Dagster (so that no sensor launches pods again), the pods, then ClickHouse. Yields a
    line for each thing done."""
    children = left_over(config.runtime.state_dir)
    dagster = [(name, pid) for name, pid in children if name.startswith("dagster")]
    others = [(name, pid) for name, pid in children if not name.startswith("dagster")]
    yield from _end(dagster, config)
    pods = list(stop_all(config))
    yield from pods
    yield from _end(others, config)
    if not children and not pods:
        yield "nothing was running"


def _end(children: list[tuple[str, int]], config: PlatformConfig) -> Iterator[str]:
    for name, pid in children:
        end_child(config.runtime.state_dir / CHILD_RECORDS / f"{name}.json", _DEADLINE)
        yield f"{name} stopped (pid {pid})"
