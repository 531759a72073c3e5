"""Detached processes that outlive their starter, found again by record and by mark.

A process is identified by pid *and* start time or mark, so a reused pid is never mistaken for it.
The mark is the container's name in the variable ``MARK_VARIABLE``, which every process inherits:
with it a process is found again whose record was lost, and the children that a killed one left
behind. A zombie is dead.
"""

from __future__ import annotations

import logging
import os
import signal
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import psutil

MARK_VARIABLE = "IB_PLATFORM_CONTAINER"
_POLL = 0.01
_SAME_START = 0.05
_VISIBLE_WITHIN = 5.0
logger = logging.getLogger(__name__)


class ProcessRecord(msgspec.Struct, frozen=True):
    """``created``: psutil's create_time, seconds since the epoch. No secret is in ``command``."""

    pid: int
    created: float
    mark: str
    command: list[str]

    @property
    def started_at(self) -> datetime:
        return datetime.fromtimestamp(self.created, UTC)


def read_record(path: Path) -> ProcessRecord | None:
    """The record, or None when there is none or it cannot be read (half-written, foreign)."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=ProcessRecord)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeError) as error:
        logger.warning("%s cannot be read as a process record: %s", path, error)
        return None


def write_record(path: Path, record: ProcessRecord) -> None:
    """Replace the record as a whole, so that a reader never sees half of it."""
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fresh.write_bytes(msgspec.json.encode(record))
    fresh.replace(path)


def start_detached(
    command: Sequence[str], log: Path, mark: str, environment: Mapping[str, str] | None = None
) -> ProcessRecord:
    """Start ``command`` in a session of its own: no terminal, output appended to ``log``.

    The environment is passed on, with ``environment`` over it; secrets never travel in it or in
    ``command`` (they are files).
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        command[0],
        list(command),
        {**os.environ, **(environment or {}), MARK_VARIABLE: mark},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
            *((os.POSIX_SPAWN_CLOSE, number) for number in _inheritable()),
        ],
        setsid=True,
        # The starter may be a run or a server with its own ideas about signals.
        setsigmask=[],
        setsigdef=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE],
    )
    process = psutil.Process(pid)
    created = process.create_time()
    end = time.monotonic() + _VISIBLE_WITHIN
    # For an instant after exec the kernel shows neither environment nor command line.
    while not (_carries(process, mark) or gone(process)) and time.monotonic() < end:
        time.sleep(_POLL)
    return ProcessRecord(pid, created, mark, list(command))


def _inheritable() -> list[int]:
    """Descriptors above 2 that a child would inherit: pipes of whoever started us (a Dagster run
    holds several), which a detached process would keep open for as long as it lives."""
    numbers = [int(name) for name in os.listdir("/proc/self/fd")]
    found = []
    for number in numbers:
        try:
            if number > 2 and os.get_inheritable(number):
                found.append(number)
        except OSError:
            continue  # the descriptor of the listing itself
    return found


def record_of_self(mark: str) -> ProcessRecord:
    """A record of the calling process; ``mark`` says what it is doing."""
    return ProcessRecord(os.getpid(), psutil.Process().create_time(), mark, [])


def find(record: ProcessRecord | None) -> psutil.Process | None:
    """The living process of ``record``; None when it ended, is a zombie, or the pid is reused."""
    if record is None:
        return None
    try:
        process = psutil.Process(record.pid)
        if gone(process):
            return None
        # A step of the system's clock moves every start time, but no mark.
        same = abs(process.create_time() - record.created) < _SAME_START
        return process if same or _carries(process, record.mark) else None
    except psutil.NoSuchProcess:
        return None


def gone(process: psutil.Process) -> bool:
    """Whether the process has ended. Reaps it where it is a child of this process."""
    try:
        if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            return False
        if process.ppid() == os.getpid():
            os.waitpid(process.pid, os.WNOHANG)
    except (psutil.NoSuchProcess, ChildProcessError):
        pass
    return True


def marked(mark: str) -> list[psutil.Process]:
    """Living processes that carry ``mark``: a container's own and its descendants."""
    return [p for p in psutil.process_iter() if _carries(p, mark) and not gone(p)]


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(MARK_VARIABLE) == mark
    except (psutil.Error, OSError):
        return False  # ended meanwhile, or another user's: not started by us


def adopt(command: Sequence[str], mark: str) -> ProcessRecord | None:
    """Record of a living process that was started as ``command`` with ``mark``, if there is one."""
    for process in marked(mark):
        try:
            leads = os.getsid(process.pid) == process.pid
            if leads and process.cmdline() == list(command):
                created = process.create_time()
                return ProcessRecord(process.pid, created, mark, list(command))
        except (psutil.NoSuchProcess, ProcessLookupError):
            continue
    return None


def stop(
    processes: Iterable[psutil.Process],
    deadline: float,
    ask: signal.Signals = signal.SIGTERM,
) -> list[psutil.Process]:
    """``ask``, wait up to ``deadline`` seconds altogether, then SIGKILL. Returns the killed."""
    asked = list(processes)
    for process in asked:
        _signal(process, ask)
    killed = _wait(asked, deadline)
    for process in killed:
        _signal(process, signal.SIGKILL)
    for process in _wait(killed, deadline):
        logger.error("pid %s does not end even after SIGKILL", process.pid)
    return killed


def _signal(process: psutil.Process, number: signal.Signals) -> None:
    try:
        process.send_signal(number)  # psutil checks the start time: never a reused pid
    except psutil.NoSuchProcess:
        logger.debug("pid %s ended before signal %s", process.pid, number.name)


def _wait(processes: list[psutil.Process], deadline: float) -> list[psutil.Process]:
    """Those that still run after ``deadline`` seconds. Polls, as most are not our children."""
    end = time.monotonic() + deadline
    left = [process for process in processes if not gone(process)]
    while left and time.monotonic() < end:
        time.sleep(_POLL)
        left = [process for process in left if not gone(process)]
    return left
