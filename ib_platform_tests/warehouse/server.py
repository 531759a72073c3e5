"""The embedded ClickHouse as a real process, for tests that start, kill and restart it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from clickhouse_connect.driver.client import Client

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.warehouse.connect import connect
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import wait_until

MEMORY_BYTES = 2 * 1024**3


class EmbeddedServer:
    """One embedded server over ``folder``; ``start`` and ``kill`` may alternate."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        values: dict[str, Any] = {
            "port": free_port(),
            "password_file": folder / "password",
            "embedded_folder": folder / "engine",
            "embedded_memory_bytes": MEMORY_BYTES,
        }
        self.settings = ClickHouse(**{**values, **changes})
        self.log = folder / "server.log"
        self._file = folder / "settings.json"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def launch(self) -> None:
        """Start the process without waiting for it."""
        self._file.write_text(self.settings.model_dump_json())
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "ib_platform.warehouse.embedded", str(self._file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def start(self) -> Self:
        """Start the process and wait until it answers."""
        self.launch()
        wait_until(self._answers, f"the embedded server; its log:\n{self.output()}", timeout=90)
        return self

    def _answers(self) -> bool:
        code = self.process.poll()
        assert code is None, f"the server ended with {code}:\n{self.output()}"
        try:
            self.connect().close()
        except WarehouseError:
            return False
        return True

    def connect(self, **arguments: Any) -> Client:
        return connect(self.settings, **{"role": "tests", "database": "default", **arguments})

    def output(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait(self, timeout: float = 60) -> int:
        return self.process.wait(timeout)

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait(60)

    def stop(self) -> int:
        """Ask the process to end, wait, return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()
