"""The spool's writer: every frame is handed to the kernel before anything else sees it.

A killed process loses nothing that an ``append_*`` returned for; ``sync`` in a group every few
milliseconds bounds what a power cut can take. One owner per folder (a file lock); each run writes
segments of its own, so what an earlier run left is never written to, only cut where it is torn.
"""

from __future__ import annotations

import secrets
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import filelock

from ib_platform.clocks import Clocks, boot_id
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.group_sync import GroupSync
from ib_platform.streamer.records import (
    RECORD_HEADER_BYTES,
    RecordKind,
    StreamEvent,
    encode_event,
    encode_record,
)
from ib_platform.streamer.room import BUDGET_BYTES, SpoolRoom
from ib_platform.streamer.rotation import SEGMENT_SECONDS, Rotation
from ib_platform.streamer.segment_writer import give_folder_back, take_folder
from ib_platform.streamer.segments import Position, list_segments
from ib_platform.streamer.torn_tails import cut_torn_tails


def new_run_id(paper_user: str, now: datetime) -> str:
    """A run id like ``alpha-20261122T105714123Z-3f2a``: sorts by start, unique. ``now``: aware."""
    moment = now.astimezone(UTC)
    stamp = f"{moment:%Y%m%dT%H%M%S}{moment.microsecond // 1000:03d}Z"
    return f"{paper_user}-{stamp}-{secrets.token_hex(2)}"


class Spool:
    """Writer of one run's segments and owner of the folder. Thread-safe.

    ``append_frame`` and ``append_event`` return when the record was written to the kernel. When
    they raise SpoolError (disk full, I/O error), nothing of the record remains and its number is
    not used: the caller counts the frame as lost.
    """

    def __init__(
        self,
        folder: Path,
        paper_user: str,
        run_id: str,
        segment_bytes: int,
        segment_seconds: float,
        clocks: Clocks,
        lock: filelock.BaseFileLock,
        room: SpoolRoom,
    ) -> None:
        """Private: use ``Spool.open``."""
        self.folder = folder
        self.paper_user = paper_user
        self.run_id = run_id
        self.clocks = clocks
        self.boot_id = boot_id()
        self._folder_lock = lock
        self._append_lock = threading.Lock()
        self.room = room
        self._group = GroupSync(folder, self._append_lock)
        self._rotation = Rotation(
            folder,
            paper_user,
            run_id,
            segment_bytes,
            segment_seconds,
            clocks,
            self.boot_id,
            self._group,
        )
        self._next_seq = 0
        self._next_event = 0
        self._bytes = 0

    @classmethod
    def open(
        cls,
        folder: Path,
        paper_user: str,
        run_id: str,
        *,
        segment_bytes: int,
        segment_seconds: float = SEGMENT_SECONDS,
        budget_bytes: int = BUDGET_BYTES,
        keep_loaded: float = 0.0,
        clocks: Clocks | None = None,
    ) -> Spool:
        """Take the folder, report and cut the torn tails of earlier runs, start a segment.

        Each torn tail becomes an event SPOOL_TORN of the new run. A segment of ``segment_bytes``
        or ``segment_seconds`` is followed by another. ``budget_bytes``: what the spool may use of
        the disk. ``keep_loaded``: seconds that loaded segments are kept.

        Raises:
            SpoolError: another process owns the folder, a file is foreign or newer, no permission.
        """
        lock = take_folder(folder)
        clocks = clocks or Clocks()
        room = SpoolRoom(folder, clocks, budget_bytes, keep_loaded)
        spool = cls(folder, paper_user, run_id, segment_bytes, segment_seconds, clocks, lock, room)
        try:
            earlier = list_segments(folder)
            room.for_loading(spool._rotation.begin)
            cut_torn_tails(earlier, paper_user, spool._report_torn)
            room.reserve.ensure()
            room.measure()
        except BaseException:
            spool.close()
            raise
        return spool

    @property
    def tail(self) -> Position:
        """Position behind the last complete record: readers go no further."""
        return self._rotation.tail

    @property
    def frames_written(self) -> int:
        """Frames of this run that are complete in the spool; the next frame's seq."""
        return self._next_seq

    @property
    def bytes_written(self) -> int:
        """Bytes of all records of this run, headers included."""
        return self._bytes

    def require_room(self) -> None:
        """SpoolError where the next frame would be refused without a try."""
        self.room.refuse(RECORD_HEADER_BYTES)

    def append_frame(
        self, received_ns: int, monotonic_ns: int, connection: int, payload: bytes
    ) -> int:
        """Write a received message and return its seq (gapless from 0).

        Raises:
            SpoolError: the disk refused it, or is so full that what is left belongs to the loader,
                or the budget is spent.
        """
        with self._append_lock:
            seq = self._next_seq
            record = encode_record(
                RecordKind.FRAME, received_ns, monotonic_ns, seq, connection, payload
            )
            self.room.refuse(len(record))
            self.room.for_frame(lambda: self._append(record), len(record))
            self._next_seq = seq + 1
            return seq

    def append_event(
        self,
        kind: StreamEventKind,
        *,
        cause: Cause | None = None,
        contract: str | None = None,
        conid: int | None = None,
        connection: int = 0,
        detail: dict[str, Any] | None = None,
        stamps: tuple[int, int] | None = None,
        urgent: bool = False,
    ) -> int:
        """Write an event of our own and return its number. Raises SpoolError.

        ``stamps``: wall and monotonic clock (ns) of its moment; None: now. ``urgent``: loading
        cannot go on without it, so it may take the room that is kept back.
        """
        with self._append_lock:
            number = self._next_event
            event = StreamEvent(kind, cause, contract, conid, self._next_seq, detail or {})
            wall, monotonic = stamps or (self.clocks.wall(), self.clocks.monotonic())
            payload = encode_event(event)
            record = encode_record(RecordKind.EVENT, wall, monotonic, number, connection, payload)
            if urgent:
                self.room.for_loading(lambda: self._append(record))
            else:
                self._append(record)
            self._next_event = number + 1
            return number

    def rotate(self) -> bool:
        """Go on in a new segment, so that deleting the one before frees its room.

        False where the segment holds no record yet: then there is nothing to free.

        Raises:
            SpoolError: there is no room even for that, or the disk refused to sync.
        """
        with self._append_lock:
            if not self._rotation.holds_records:
                return False
            self.room.for_loading(self._rotation.begin)
        # A deleted file keeps its room for as long as it is open here.
        self.sync()
        return True

    def sync(self) -> None:
        """Make everything written so far survive a power cut. Blocking; cheap if nothing is new.

        Raises:
            SpoolError: the disk refused; the records are written, but not yet durable.
        """
        self._group.sync()

    def close(self) -> None:
        """Sync, close and give the folder back. Idempotent. Stop the loader before."""
        try:
            self.sync()
        finally:
            self._group.close()
            give_folder_back(self.folder, self._folder_lock)

    def _append(self, record: bytes) -> None:
        self._rotation.append(record)
        self._bytes += len(record)
        self.room.budget.took(len(record))

    def _report_torn(self, detail: dict[str, Any]) -> None:
        cause = Cause.STREAMER_DIED
        self.append_event(StreamEventKind.SPOOL_TORN, cause=cause, detail=detail, urgent=True)
        self.sync()
