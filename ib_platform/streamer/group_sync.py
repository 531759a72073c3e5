"""Durable in groups: one fsync for everything that was written since the last one.

Whoever writes must not wait for the disk. So a segment that is left stays open, retired, until
the next sync has made it durable and closes it.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

from ib_platform.errors import SpoolError
from ib_platform.streamer.segment_writer import SegmentWriter
from ib_platform.streamer.segments import sync_folder


class GroupSync:
    """The open segments of one run, and what of them a power cut could still take.

    ``guard``: the lock of who writes. ``begun`` and ``wrote`` are called under it, ``sync`` and
    ``close`` without it.
    """

    def __init__(self, folder: Path, guard: threading.Lock) -> None:
        self.writer: SegmentWriter | None = None
        """The segment that is being written; None before the first and after the last."""
        self._folder = folder
        self._guard = guard
        self._one_at_a_time = threading.Lock()
        self._retired: list[int] = []
        self._unsynced = False
        self._new_names = False

    def begun(self, writer: SegmentWriter) -> None:
        """From now on this one is written; the one before is synced and closed by ``sync``."""
        if self.writer is not None:
            self._retired.append(self.writer.descriptor)
        self.writer = writer
        self._unsynced = self._new_names = True

    def wrote(self) -> None:
        """The segment that is being written has another record."""
        self._unsynced = True

    def sync(self) -> None:
        """Make everything written so far survive a power cut. Blocking; cheap if nothing is new.

        Raises:
            SpoolError: the disk refused; the records are written, but not yet durable.
        """
        with self._one_at_a_time:
            with self._guard:
                retired, self._retired = self._retired, []
                writer = self.writer if self._unsynced else None
                new_names, self._new_names = self._new_names, False
                self._unsynced = False
            try:
                while retired:
                    os.fdatasync(retired[-1])
                    os.close(retired.pop())
                if writer is not None:
                    os.fdatasync(writer.descriptor)
                if new_names:
                    sync_folder(self._folder)
            except OSError as error:
                with self._guard:
                    self._retired.extend(retired)
                    self._unsynced = self._new_names = True
                raise SpoolError(f"{self._folder}: fsync failed ({error})") from error

    def close(self) -> None:
        """Close all segments as they are, durable or not. Idempotent."""
        with self._one_at_a_time, self._guard:
            while self._retired:
                os.close(self._retired.pop())
            if self.writer is not None:
                os.close(self.writer.descriptor)
                self.writer = None
