"""Who owns a spool folder, asked without touching its lock: a streamer may want it this moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from ib_platform.streamer.segment_writer import LOCK_NAME, OWNER_NAME

_KERNEL_LOCKS = Path("/proc/locks")


@dataclass(frozen=True, slots=True)
class Owner:
    """``open_files``: names in the folder that it has open; None where we may not look."""

    pid: int
    open_files: frozenset[str] | None = None


def owner_of(folder: Path) -> Owner | None:
    """The process that holds the folder's lock, None where nobody does. Never raises."""
    folder = folder.resolve()
    certain = set(_pids_of_kernel(folder / LOCK_NAME))
    for pid in (*certain, *_pid_of_note(folder / OWNER_NAME)):
        try:
            paths = [Path(file.path) for file in psutil.Process(pid).open_files()]
        except psutil.AccessDenied:
            if pid in certain:
                return Owner(pid)
            continue
        except psutil.Error:
            continue
        # A note may be of a dead process whose pid is another's now: the open lock proves it.
        if folder / LOCK_NAME in paths:
            return Owner(pid, frozenset(path.name for path in paths if path.parent == folder))
    return None


def _pids_of_kernel(lock: Path) -> Iterator[int]:
    """Processes that hold a lock on a file with this inode."""
    with suppress(OSError, ValueError):
        inode = lock.stat().st_ino
        for line in _KERNEL_LOCKS.read_text(encoding="ascii").splitlines():
            fields = line.split()
            if "FLOCK" in fields and fields[5].rpartition(":")[2] == str(inode):
                yield int(fields[4])


def _pid_of_note(note: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):
        yield int(note.read_text(encoding="ascii"))
