"""The embedded ClickHouse as a process, for benchmarks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ib_platform.config import PlatformConfig
from ib_platform.warehouse.migrate import migrate
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.server import EmbeddedServer


@contextmanager
def embedded_platform(folder: Path) -> Iterator[tuple[PlatformConfig, psutil.Process]]:
    """A configuration whose ClickHouse runs, migrated, in ``folder``; and that server's process."""
    with EmbeddedServer(folder, embedded_memory_bytes=8 * 1024**3) as server:
        migrate(server.settings)
        config = make_config(folder, clickhouse=server.settings.model_dump())
        yield config, psutil.Process(server.process.pid)
