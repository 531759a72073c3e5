"""How far loading is behind, while somebody sets the wall clock."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.waiting import Moment
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.spools import BASE_NS, HEARTBEAT, loader_of, open_spool
from ib_platform_tests.support import wait_until

NANOS = 10**9
STEPS = [0, 1800, -1800, -(10**6)]


class Time:
    """Clocks that a test moves, in seconds."""

    def __init__(self) -> None:
        self.wall, self.monotonic = 0, 100
        self.clocks = Clocks(lambda: BASE_NS + self.wall * NANOS, lambda: self.monotonic * NANOS)

    def passes(self, seconds: int, step: int = 0) -> None:
        """``step``: by what the wall clock is set ahead meanwhile."""
        self.wall += seconds + step
        self.monotonic += seconds


def receive(spool: Spool, time: Time) -> None:
    spool.append_frame(time.clocks.wall(), time.clocks.monotonic(), 1, HEARTBEAT)


@pytest.fixture
def nobody() -> ClickHouse:
    """A server that does not answer."""
    return ClickHouse(port=free_port())


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def spool(tmp_path: Path, time: Time) -> Iterator[Spool]:
    spool = open_spool(tmp_path, clocks=time.clocks)
    yield spool
    spool.close()


def in_vain(loader: Loader) -> None:
    """Let it try until it has found out that nobody answers."""
    loader.start()
    wait_until(lambda: loader.health().state == "retrying", "a try that failed")


@pytest.mark.parametrize("step", STEPS)
def test_a_backlog_of_the_own_run(spool: Spool, nobody: ClickHouse, time: Time, step: int) -> None:
    receive(spool, time)
    time.passes(5, step)
    receive(spool, time)
    loader = loader_of(spool, nobody)
    in_vain(loader)
    assert loader.health().lag_seconds == 5
    time.passes(600, -step)
    assert loader.health().lag_seconds == 605
    assert loader.stop(0.1) is False


@pytest.mark.parametrize("step", STEPS)
def test_before_the_loader_has_looked(
    spool: Spool, warehouse: ClickHouse, time: Time, step: int
) -> None:
    loader = loader_of(spool, warehouse)
    assert loader.drain()
    assert loader.health().lag_seconds is None
    receive(spool, time)
    time.passes(7, step)
    assert loader.health().lag_seconds == 7


@pytest.mark.parametrize(("step", "lag"), [(0, 9), (1800, 1809), (-1800, 0)])
def test_a_backlog_of_an_earlier_run(
    tmp_path: Path, nobody: ClickHouse, time: Time, step: int, lag: int
) -> None:
    """Its monotonic stamps may be of another start of the machine."""
    before = open_spool(tmp_path, clocks=time.clocks)
    receive(before, time)
    before.close()
    time.passes(9, step)
    spool = open_spool(tmp_path, clocks=time.clocks)
    loader = loader_of(spool, nobody)
    in_vain(loader)
    assert loader.health().lag_seconds == lag
    assert loader.stop(0.1) is False
    spool.close()


@pytest.mark.parametrize(
    ("moment", "ago"),
    [
        (Moment(BASE_NS, 90 * NANOS), 10),
        (Moment(BASE_NS, 101 * NANOS), 0),
        (Moment(BASE_NS - 3 * NANOS), 3),
        (Moment(BASE_NS + 3 * NANOS), 0),
    ],
)
def test_how_long_ago(time: Time, moment: Moment, ago: float) -> None:
    assert moment.seconds_ago(time.clocks) == ago
    assert Moment.now(time.clocks).seconds_ago(time.clocks) == 0
