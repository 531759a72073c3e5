"""The clock against a real time server on this machine, and the time zones."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.doctor.clock import check_clock, check_time_zones
from ib_platform.doctor.finding import Level
from ib_platform_tests.doctor.findings import only
from ib_platform_tests.support import make_config

_SINCE_1900 = 2_208_988_800


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state")


@contextmanager
def time_server(offset: float) -> Iterator[int]:
    """An SNTP server (RFC 4330) whose clock is ``offset`` seconds ahead; its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))

        def answer() -> None:
            question, client = server.recvfrom(256)
            now = int((time.time() + offset + _SINCE_1900) * 2**32)
            head = struct.pack("!BBbb11I", 0x1C, 1, 0, -20, *[0] * 11)[:24]
            server.sendto(head + question[40:48] + struct.pack("!QQ", now, now), client)

        thread = threading.Thread(target=answer)
        thread.start()
        yield server.getsockname()[1]
        thread.join(30)


@pytest.mark.parametrize(
    ("offset", "level", "words"),
    [
        (0.0, Level.OK, "0.0"),
        (5.0, Level.PROBLEM, "s behind time server 127.0.0.1: every frame gets a wrong time"),
        (-90.0, Level.PROBLEM, "s ahead of time server"),
    ],
)
def test_offsets(config: PlatformConfig, offset: float, level: Level, words: str) -> None:
    pytest.importorskip("ntplib")
    with time_server(offset) as port:
        found = only(check_clock(config, "127.0.0.1", port))
    assert found.level is level
    assert words in found.text


def test_a_machine_without_network_is_unknown_and_no_problem(config: PlatformConfig) -> None:
    found = only(check_clock(config, "time.invalid"))
    assert found.level is Level.WARNING
    assert "the offset is unknown" in found.text


def test_a_clickhouse_elsewhere_is_asked_too(config: PlatformConfig) -> None:
    data = config.model_dump()
    data["clickhouse"] |= {"host": "clickhouse.invalid", "password_file": None}
    _, found = check_clock(PlatformConfig(**data), "time.invalid")
    assert found.level is Level.WARNING
    assert "ClickHouse cannot be asked" in found.text


def test_time_zones(config: PlatformConfig) -> None:
    assert only(check_time_zones(config)).text == "America/Chicago, America/New_York known"
