"""A streamer process between a source of ladder frames and ClickHouse, for the stream benchmarks.

Only the other end of the websocket is not the real thing (``ladder_source``): the streamer is the
command ``ib-platform stream`` with the limits that the configuration has by default, ClickHouse the
embedded engine in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.health import StreamerHealth
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.pod_processes import PodProcess, health_of, running, write_config
from ib_platform_tests.scrape import scraped
from ib_platform_tests.streamer.app_bench import Content, assign, assign_on_disk, streaming
from ib_platform_tests.support import make_config, wait_until
from ib_platform_tests.warehouse.server import EmbeddedServer

CONTRACTS = ("CL.NYMEX.front", "ES.CME.front", "NQ.CME.front")
PAPER_USER = "alpha"
ENGINE_MEMORY = 4 * 1024**3


@dataclass(frozen=True)
class Sent:
    """``messages``: of all kinds, since the source began; ``seconds``: what this order took."""

    messages: int
    seconds: float


class Source:
    """The process of ``ladder_source``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        hello = self._line()
        self.port: int = hello["port"]
        self.conids: list[int] = hello["conids"]

    def send(self, frames: int, rate: float) -> Sent:
        """Ladder frames at ``rate`` a second, 0: as fast as they are taken. Blocks until sent."""
        return self._ordered({"frames": frames, "rate": rate})

    def trickle(self, on: bool) -> Sent:
        """Whether frames come by themselves, a few a second. Off: the count stands still."""
        return self._ordered({"trickle": on})

    def _ordered(self, order: dict[str, Any]) -> Sent:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return Sent(**self._line())

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the ladder source has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer


@contextmanager
def ladder_source(config_file: Path) -> Iterator[Source]:
    """The gateway of paper user alpha, logged in."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.ladder_source", str(config_file), PAPER_USER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Source(process)
    finally:
        process.kill()
        process.communicate()


@dataclass
class Rig:
    """``clickhouse``: its process; None where nobody listens at its port."""

    config: PlatformConfig
    source: Source
    streamer: PodProcess
    clickhouse: psutil.Process | None

    def health(self) -> StreamerHealth:
        code = self.streamer.process.poll()
        assert code is None, f"the streamer ended with {code}: {self.streamer.output()[-3000:]}"
        port = self.config.paper_user(PAPER_USER).health_port
        found = wait_until(lambda: health_of(port, StreamerHealth), "the streamer's health")
        assert found is not None
        return found

    def metric(self, name: str, **labels: str) -> float:
        """A value of the streamer's ``/metrics``; 0 where there is none."""
        port = self.config.paper_user(PAPER_USER).health_port
        return scraped(port).value(name, **labels) or 0.0

    def total(self, name: str, **labels: str) -> int:
        """The sum over all samples with these labels, whatever others they have."""
        port = self.config.paper_user(PAPER_USER).health_port
        samples = scraped(port).samples(name)
        return round(sum(value for has, value in samples if labels.items() <= has.items()))

    def frame_bytes(self) -> float:
        """Mean payload of the ladder frames so far."""
        frames = self.metric("ib_platform_frames_received_total", topic="sbd")
        return self.metric("ib_platform_received_bytes_total", topic="sbd") / frames

    def quiet(self) -> int:
        """Let nothing be sent by itself, and wait until all that was sent is spooled, and stored
        where there is a ClickHouse: how many messages that is."""
        sent = self.source.trickle(False).messages
        self.until(sent, stored=self.clickhouse is not None)
        return sent

    def until(self, messages: int, *, stored: bool, timeout: float = 600) -> StreamerHealth:
        """Wait until so many are spooled, or stored: never more. Its health then."""

        def look() -> StreamerHealth | None:
            health = self.health()
            done = health.frames.stored if stored else health.frames.spooled
            assert done <= messages, f"{done} of {messages} messages: more than were sent"
            return health if done == messages else None

        # Not often: each look costs the streamer a millisecond or two.
        found = wait_until(look, f"{messages} messages ({stored=})", timeout, every=0.25)
        assert found is not None
        return found


@contextmanager
def stream_rig(folder: Path, *, with_clickhouse: bool = True, **limits: Any) -> Iterator[Rig]:
    """Everything runs in ``folder``, and every ladder has sent frames. ``limits``: other than the
    configuration's own."""
    database = folder / "clickhouse"
    database.mkdir()
    server = EmbeddedServer(database, embedded_memory_bytes=ENGINE_MEMORY)
    with server if with_clickhouse else nullcontext():
        config = _config(folder, server.settings, limits)
        if with_clickhouse:
            migrate(server.settings)
            assign(server.settings, Content(CONTRACTS))
        else:
            (database / "password").write_text("nobody asks for it")
            assign_on_disk(config, *CONTRACTS)
        file = write_config(config, folder)
        with ladder_source(file) as source, running("stream", file) as streamer:
            streaming(config.paper_user(PAPER_USER), streamer)
            clickhouse = psutil.Process(server.process.pid) if with_clickhouse else None
            yield Rig(config, source, streamer, clickhouse)
            assert streamer.stop() == 0, streamer.output()[-3000:]
            assert "Traceback" not in streamer.output(), streamer.output()[-3000:]


def _config(folder: Path, settings: ClickHouse, limits: dict[str, Any]) -> PlatformConfig:
    return make_config(folder, clickhouse=settings.model_dump(), limits=limits)


def cpu_seconds(process: psutil.Process) -> float:
    """Of all its threads, in user and system mode."""
    times = process.cpu_times()
    return float(times.user + times.system)


def where(folder: Path) -> str:
    """The file system that ``folder`` is on, and how busy the machine is: for people."""
    found = [
        part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)
    ]
    nearest = max(found, key=lambda part: len(part.mountpoint))
    return f"in {folder.parent} ({nearest.fstype}), load {os.getloadavg()[0]:.1f}"
