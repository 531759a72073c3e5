"""Child processes of the demo: started in sessions of their own, recorded, watched, ended whole.

Each child's pid and start time stand in a file, so that `ib-platform stop` can end what a demo that
was killed left behind, and nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class ChildSpec:
    """A program of the demo. ``environment`` is added to ours."""

    name: str
    command: Sequence[str]
    log: Path
    environment: dict[str, str]
    working_directory: Path


class Child:
    """One running child. ``restarts`` counts how often it had to be started again."""

    def __init__(self, spec: ChildSpec, records: Path) -> None:
        self.spec = spec
        self.restarts = 0
        self._records = records
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.spec.log.parent.mkdir(parents=True, exist_ok=True)
        self._records.mkdir(parents=True, exist_ok=True)
        with self.spec.log.open("ab") as log:
            self._process = subprocess.Popen(
                list(self.spec.command),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.spec.working_directory,
                env={**os.environ, **self.spec.environment},
                start_new_session=True,
            )
        record = {"pid": self._process.pid, "started": _start_time(self._process.pid)}
        self._record_file.write_text(json.dumps(record), encoding="utf-8")

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def exit_reason(self) -> str | None:
        """None while it runs, else how it ended."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"

    def log_tail(self, lines: int = 12) -> str:
        text = self.spec.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, deadline: float) -> None:
        """End it and everything that it started; SIGKILL after ``deadline`` seconds."""
        if self._process is not None:
            end_tree(self._process.pid, deadline)
            self._process.wait()
        self._record_file.unlink(missing_ok=True)

    @property
    def _record_file(self) -> Path:
        return self._records / f"{self.spec.name}.json"


def _start_time(pid: int) -> float | None:
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return None


def end_tree(pid: int, deadline: float) -> None:
    """SIGTERM to a process, then to what it had started and is still there; SIGKILL at the end."""
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for members in ([root], family):
        for process in members:
            _signal(process, kill=False)
        psutil.wait_procs(members, timeout=deadline)
    for process in family:
        _signal(process, kill=True)
    psutil.wait_procs(family, timeout=deadline)


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        return


def left_over(records: Path) -> list[tuple[str, int]]:
    """(name, pid) of recorded children that still run: same pid and same start time."""
    found = []
    for file in sorted(records.glob("*.json")) if records.is_dir() else []:
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            pid, started = int(record["pid"]), record["started"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if started is not None and _start_time(pid) == started:
            found.append((file.stem, pid))
    return found
