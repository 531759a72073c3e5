"""Room on the disk that is kept back, so that a full disk can be emptied again.

Loading frees the spool, but needs to write: its manifest, an event, the first bytes of a segment.
A file of zeros holds that room. It is given up when one of these finds the disk full, and as long
as it is missing no frame may take what it left; it is made again as soon as there is room.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path

logger = logging.getLogger(__name__)
RESERVE_BYTES = 1024**2
RESERVE_NAME = "reserve"
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def no_room(error: BaseException | None) -> bool:
    """Whether an error, or the one that caused it, says that the disk is full."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            return True
        error = error.__cause__
    return False


class Reserve:
    """The reserve of one spool folder. Thread-safe.

    ``given_up``: it is missing for want of room, since it was needed or from the beginning. What
    room there still is belongs to whoever may call ``give_up``.
    """

    def __init__(self, folder: Path, size: int = RESERVE_BYTES) -> None:
        self._path = folder / RESERVE_NAME
        self._size = size
        self._lock = threading.Lock()
        self.given_up = False

    def ensure(self) -> bool:
        """Make it where it is missing; whether it is there. Never raises."""
        with self._lock:
            try:
                if not self._path.exists() or self._path.stat().st_size < self._size:
                    self._make()
            except OSError as error:
                if no_room(error):
                    self.given_up = True
                else:
                    logger.warning("%s: no room can be kept back (%s)", self._path, error)
                return False
            if self.given_up:
                logger.warning("%s: there is room again", self._path)
            self.given_up = False
            return True

    def give_up(self) -> bool:
        """Free its room; False when there was none to free."""
        with self._lock:
            try:
                self._path.unlink()
            except OSError:
                return False
            logger.error("%s: the disk is full; the room that was kept back is used", self._path)
            self.given_up = True
            return True

    def _make(self) -> None:
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError:
            self._path.unlink(missing_ok=True)
            raise
        finally:
            os.close(descriptor)
