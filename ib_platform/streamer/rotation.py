"""The segments of one run, one after the other: where the next record goes.

A segment ends when it is full or old, so that what is in it can be freed once it is loaded.
"""

from __future__ import annotations

import logging
from pathlib import Path

from ib_platform.clocks import Clocks
from ib_platform.errors import SpoolError
from ib_platform.streamer.group_sync import GroupSync
from ib_platform.streamer.records import SegmentHeader, encode_segment_header
from ib_platform.streamer.segment_writer import SegmentWriter
from ib_platform.streamer.segments import Position, segment_file

logger = logging.getLogger(__name__)
SEGMENT_SECONDS = 600.0


class Rotation:
    """Writes records into the newest segment of a run, and begins another when it is time.

    Not thread-safe: to be called under the guard of ``group``. A segment of ``segment_bytes`` or
    ``segment_seconds`` is followed by another. ``boot_id`` as in ``SegmentHeader``.
    """

    def __init__(
        self,
        folder: Path,
        paper_user: str,
        run_id: str,
        segment_bytes: int,
        segment_seconds: float,
        clocks: Clocks,
        boot_id: str | None,
        group: GroupSync,
    ) -> None:
        self._folder = folder
        self._paper_user = paper_user
        self._run_id = run_id
        self._segment_bytes = segment_bytes
        self._segment_seconds = segment_seconds
        self._clocks = clocks
        self._boot_id = boot_id
        self._group = group
        self.tail = Position(run_id, -1, 0)
        """Behind the last complete record."""

    @property
    def holds_records(self) -> bool:
        """Whether the newest segment has a record; False where none is open."""
        writer = self._group.writer
        return writer is not None and writer.offset != writer.first_offset

    def append(self, record: bytes) -> None:
        """Write the record whole; where that fails, nothing of it remains.

        Raises:
            SpoolError: the disk refused it, or the spool is closed.
        """
        writer = self._group.writer
        if writer is None:
            raise SpoolError(f"{self._folder}: the spool of run {self._run_id} is closed")
        if not writer.has_room(len(record), self._segment_bytes):
            writer = self.begin()
        elif writer.is_old(self._clocks.seconds(), self._segment_seconds):
            writer = self._leave_old(writer)
        writer.append(record)
        self._group.wrote()
        self.tail = Position(self._run_id, self.tail.segment, writer.offset)

    def begin(self) -> SegmentWriter:
        """Begin the next segment. Raises SpoolError; then the one before goes on."""
        number = self.tail.segment + 1
        header = SegmentHeader(
            self._paper_user,
            self._run_id,
            number,
            self._clocks.wall(),
            self._clocks.monotonic(),
            self._boot_id,
        )
        path = segment_file(self._folder, self._run_id, number).path
        writer = SegmentWriter(path, encode_segment_header(header), self._clocks.seconds())
        self._group.begun(writer)
        self.tail = Position(self._run_id, number, writer.offset)
        return writer

    def _leave_old(self, old: SegmentWriter) -> SegmentWriter:
        """Another segment, so that what is in the old one can be freed. The old one could go on,
        so a disk that refuses a new one costs no record."""
        old.began = self._clocks.seconds()
        try:
            return self.begin()
        except SpoolError as error:
            logger.warning("%s: goes on beyond its time (%s)", old.path, error)
            return old
