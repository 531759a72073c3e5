"""The embedded ClickHouse as a process, for benchmarks."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from ib_platform.config import ClickHouse
from ib_platform.demo.children import Child, ChildSpec
from ib_platform.errors import WarehouseError
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate


@contextmanager
def embedded_clickhouse(settings: ClickHouse) -> Iterator[psutil.Process]:
    """A migrated embedded ClickHouse in ``settings.embedded_folder``; yields its process."""
    assert settings.embedded_folder is not None
    base = settings.embedded_folder.parent
    code = (
        "import sys; from ib_platform.config import ClickHouse; "
        "from ib_platform.warehouse.embedded import serve; "
        "serve(ClickHouse.model_validate_json(sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, settings.model_dump_json()]
    child = Child(
        ChildSpec("clickhouse", command, base / "engine.log", {}, base), base / "children"
    )
    child.start()
    try:
        deadline = time.monotonic() + 60
        while True:
            try:
                connect(settings, database="default").close()
                break
            except WarehouseError:
                if time.monotonic() > deadline or child.exit_reason():
                    raise
                time.sleep(0.1)
        migrate(settings)
        assert child.pid is not None
        yield psutil.Process(child.pid)
    finally:
        child.stop(10)
