"""One segment file being written, and the lock on the folder that it stands in."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from pathlib import Path

import filelock

from ib_platform.errors import SpoolError
from ib_platform.streamer.reserve import no_room

logger = logging.getLogger(__name__)
LOCK_NAME = "spool.lock"
OWNER_NAME = "spool.pid"


class SegmentWriter:
    """Appends to one file, whole or not at all. Not thread-safe.

    ``offset`` is behind the last complete record; ``began`` in monotonic seconds. ``broken``: a
    partial record could not be cut off, so the next record needs another segment; readers step
    over what is left here.
    """

    def __init__(self, path: Path, header: bytes, began: float = 0.0) -> None:
        """Create the file with its header. Raises SpoolError and leaves no file behind."""
        self.path = path
        self.began = began
        self.first_offset = self.offset = len(header)
        self.broken = False
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self.descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            raise SpoolError(f"{path}: a segment cannot be created ({error.strerror})") from error
        try:
            _write_all(self.descriptor, header, 0)
        except OSError as error:
            os.close(self.descriptor)
            path.unlink()
            raise SpoolError(f"{path}: a segment cannot be started ({error.strerror})") from error

    def has_room(self, length: int, segment_bytes: int) -> bool:
        """Whether a record of ``length`` bytes goes here. An empty segment takes any."""
        fits = self.offset == self.first_offset or self.offset + length <= segment_bytes
        return fits and not self.broken

    def is_old(self, now: float, seconds: float) -> bool:
        """Whether it is time for another segment. An empty one is never old: there is nothing in
        it that could be freed."""
        return now - self.began >= seconds and self.offset > self.first_offset

    def append(self, record: bytes) -> None:
        """Hand the record to the kernel. Raises SpoolError; nothing of the record then remains."""
        try:
            _write_all(self.descriptor, record, self.offset)
        except OSError as error:
            self._cut_back()
            raise SpoolError(
                f"{self.path}: a record of {len(record)} bytes could not be written "
                f"({error.strerror}); it was not spooled. Free some disk space."
            ) from error
        self.offset += len(record)

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self.descriptor, self.offset)
        except OSError:
            self.broken = True
            logger.exception("%s: a partial record could not be cut off", self.path)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    written = os.pwrite(descriptor, data, offset)
    while written < len(data):
        written += os.pwrite(descriptor, data[written:], offset + written)


def take_folder(folder: Path) -> filelock.BaseFileLock:
    """Create the folder where it is missing and become its owner.

    Raises:
        SpoolError: another process owns it (named by its pid), or it cannot be used.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = filelock.FileLock(folder / LOCK_NAME, thread_local=False)
        lock.acquire(timeout=0)
        _leave_pid(folder / OWNER_NAME)
    except filelock.Timeout:
        owner = "unknown"
        with suppress(OSError):
            owner = (folder / OWNER_NAME).read_text(encoding="ascii")
        raise owned(folder, owner) from None
    except OSError as error:
        raise SpoolError(f"{folder}: the spool folder cannot be used ({error})") from error
    return lock


def owned(folder: Path, pid: str) -> SpoolError:
    """The error for who wants a folder that another process owns."""
    return SpoolError(
        f"{folder}: the spool is owned by process {pid}. One streamer or drain per paper "
        "user; stop that process first."
    )


def _leave_pid(file: Path) -> None:
    """For people who wonder who the owner is: the lock does not need it, so a full disk is no
    reason to refuse."""
    try:
        file.write_text(str(os.getpid()), encoding="ascii")
    except OSError as error:
        if not no_room(error):
            raise
        logger.warning("%s: the owner's pid is not written (%s)", file, error)


def give_folder_back(folder: Path, lock: filelock.BaseFileLock) -> None:
    """End the ownership. Idempotent."""
    if lock.is_locked:
        (folder / OWNER_NAME).unlink(missing_ok=True)
        lock.release()
