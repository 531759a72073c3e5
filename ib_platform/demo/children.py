"""Programs that the demo runs beside the pods: ClickHouse and Dagster.

They are started and found again like the processes of a pod (``fleet.processes``), so that
`ib-platform stop` ends what a demo that was killed left behind, whole families, and nothing else.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from ib_platform.fleet import processes
from ib_platform.fleet.processes import ProcessRecord

CHILD_RECORDS = "children"


@dataclass(frozen=True)
class ChildSpec:
    """A program of the demo in ``folder``. ``environment`` is laid over ours."""

    folder: Path
    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        return self.folder / "logs" / f"{self.name}.log"

    @property
    def record(self) -> Path:
        return self.folder / CHILD_RECORDS / f"{self.name}.json"

    @property
    def mark(self) -> str:
        return f"{self.folder}:{self.name}"


class Child:
    """One running program. ``restarts`` counts how often it had to be started again."""

    def __init__(self, spec: ChildSpec) -> None:
        self.spec = spec
        self.restarts = 0
        self.pid: int | None = None
        self._exit_reason: str | None = None

    def start(self) -> None:
        """Start it, after ending what a killed one left behind."""
        processes.stop(processes.marked(self.spec.mark), deadline=5)
        for folder in (self.spec.log.parent, self.spec.record.parent):
            folder.mkdir(parents=True, exist_ok=True)
        record = processes.start_detached(
            self.spec.command, self.spec.log, self.spec.mark, self.spec.environment
        )
        processes.write_record(self.spec.record, record)
        self.pid, self._exit_reason = record.pid, None

    def exit_reason(self) -> str | None:
        """None while it runs (or was never started), else how it ended."""
        if self._exit_reason is None and self.pid is not None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                code = os.waitstatus_to_exitcode(status)
                ended = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
                self._exit_reason = ended
        return self._exit_reason

    def log_tail(self, lines: int = 12) -> str:
        """The end of its log."""
        text = self.spec.log.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, deadline: float) -> None:
        """End it and what it had started; SIGKILL after ``deadline`` seconds."""
        end_child(self.spec.record, deadline)
        self.pid = None


def left_over(folder: Path) -> list[tuple[str, int]]:
    """(name, pid) of the programs of the demo in ``folder`` that still run, or left children."""
    found = []
    for file in sorted((folder / CHILD_RECORDS).glob("*.json")):
        record = processes.read_record(file)
        leader = processes.find(record)
        members = [leader] if leader is not None else []
        if record is not None:
            members += processes.marked(record.mark)
        if members:
            found.append((file.stem, members[0].pid))
    return found


def end_child(record_file: Path, deadline: float) -> None:
    """End the program of a record and everything that carries its mark, and forget it."""
    record: ProcessRecord | None = processes.read_record(record_file)
    if record is None:
        return
    process = processes.find(record)
    family = {member.pid: member for member in processes.marked(record.mark)}
    if process is not None:
        family[process.pid] = process
    # All at once and by SIGINT, as Ctrl-C would: after a SIGTERM `dg dev` takes 7 s, not 2.
    listening = [member for member in family.values() if not _is_resource_tracker(member)]
    processes.stop(listening, deadline, signal.SIGINT)
    processes.stop(processes.marked(record.mark), deadline=0.1)
    record_file.unlink(missing_ok=True)


def _is_resource_tracker(process: psutil.Process) -> bool:
    """Python's multiprocessing helper ignores signals and has nothing to lose."""
    try:
        return any("resource_tracker" in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        return False
