"""A streamer process that is killed, stopped, started again at once, and lives in a false time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from ib_platform_tests.faults.chaos.evidence import Exit

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
"""Of Debian's package faketime; None where it is not installed."""


class ChaosStreamer:
    """Paper user alpha's streamer. ``exits``: its ends that were no kill of ours."""

    def __init__(self, config_file: Path, folder: Path) -> None:
        self._config_file = config_file
        self.log = folder / "streamer.log"
        self._offset_file = folder / "clock_offset"
        self._process: subprocess.Popen[bytes] | None = None
        self.exits: list[Exit] = []
        self.step(0.0)

    def start(self) -> None:
        command = [sys.executable, "-m", "ib_platform.cli", "stream"]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--config", str(self._config_file), "--paper-user", "alpha"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | self._false_time(),
            )

    def _false_time(self) -> dict[str, str]:
        """The wall clock only: what the monotonic clock says stays true. A step is seen within a
        second: read at each call, the file starves a process whose threads wait for each other,
        since they ask for the time thousands of times a second."""
        if FAKETIME is None:
            return {}
        return {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME_TIMESTAMP_FILE": str(self._offset_file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
            "NO_FAKE_STAT": "1",
        }

    def step(self, offset: float) -> None:
        """From now on its wall clock is off by so many seconds."""
        temporary = self._offset_file.with_suffix(".tmp")
        temporary.write_text(f"{offset:+.3f}s\n")
        temporary.replace(self._offset_file)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, whether it is stopped or not; it is gone when this returns."""
        assert self._process is not None
        if (code := self._process.poll()) is not None:
            self._note(code, was_asked=False)
        self._process.kill()
        self._process.wait(60)
        self._process = None

    def look(self) -> bool:
        """Start it again if it has ended by itself; whether it had."""
        if self._process is None or (code := self._process.poll()) is None:
            return False
        self._note(code, was_asked=False)
        self.start()
        return True

    def _note(self, code: int, *, was_asked: bool) -> None:
        self.exits.append(Exit(code, time.monotonic_ns(), was_asked))

    def stop(self) -> int:
        """SIGSTOP; the pid that ``go_on`` wants."""
        os.kill(self.pid, signal.SIGSTOP)
        return self.pid

    def go_on(self, pid: int) -> None:
        """SIGCONT, if it is still the one that was stopped."""
        if self.runs and self.pid == pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def end(self, patience: float = 120) -> int:
        """Ask it to end; its exit code."""
        assert self._process is not None
        runs = self.runs
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(patience)
        self._note(code, was_asked=runs)
        return code
