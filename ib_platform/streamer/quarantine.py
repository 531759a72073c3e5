"""Batches that ClickHouse refuses for their content: set aside whole, so that the rest goes on.

Each lies in a folder of its own below ``quarantine/``: ``records.spool`` is a segment with the
batch's records as they were received, ``batch.json`` says why, and holds the decoder's state at the
batch's beginning. Nothing here is ever dropped by itself: a person looks, cures, and sends it again
with ``ib-platform spool resend``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import Part
from ib_platform.streamer.decode import FRAMES, RunDecoder
from ib_platform.streamer.records import (
    Record,
    RecordKind,
    SegmentHeader,
    encode_record,
    encode_segment_header,
)
from ib_platform.streamer.segments import Position, sync_folder

QUARANTINE_FOLDER = "quarantine"
RECORDS_NAME = "records.spool"
BATCH_NAME = "batch.json"
LONGEST_ERROR = 500


class Refusal(msgspec.Struct, frozen=True):
    """One part that was refused. ``code``: ClickHouse's, None when the rows could not even be put
    into its types."""

    part: Part
    code: int | None
    error: str

    @property
    def in_words(self) -> str:
        """Table, code and the beginning of what ClickHouse said."""
        code = "" if self.code is None else f", code {self.code}"
        return f"{self.part.table}{code}: {self.error[:LONGEST_ERROR]}"


class RefusedBatch(msgspec.Struct, frozen=True):
    """``batch.json``. ``begin``, ``end``: where the records stood in the spool. ``first_at``,
    ``last_at``: of its records, the latter exclusive, UTC. ``first_seq``, ``last_seq``: of its
    frames, None without any. Parts that are not in ``refusals`` were stored."""

    name: str
    paper_user: str
    run_id: str
    begin: Position
    end: Position
    refused_at: datetime
    first_at: datetime
    last_at: datetime
    first_seq: int | None
    last_seq: int | None
    frames: int
    refusals: tuple[Refusal, ...]
    decoder: RunDecoder

    @property
    def missing_frames(self) -> int:
        """Frames that are not stored: none of them where the table ``frames`` took its part."""
        return self.frames if any(one.part.table == FRAMES for one in self.refusals) else 0

    @property
    def what_is_missing(self) -> str:
        """In words, for people."""
        if missing := self.missing_frames:
            return f"{missing} frames"
        tables = ", ".join(refusal.part.table for refusal in self.refusals)
        return f"rows of {tables} (all frames are stored)"


def refused_batch(
    begin: Position,
    end: Position,
    records: Sequence[Record],
    decoder: RunDecoder,
    refusals: Sequence[Refusal],
    now: datetime,
) -> RefusedBatch:
    """What is known of a refused batch. ``decoder``: its state at ``begin``; ``now``: aware."""
    frames = [record.number for record in records if record.kind is RecordKind.FRAME]
    stamps = [record.received_ns for record in records]
    return RefusedBatch(
        name=batch_name(begin, end),
        paper_user=decoder.paper_user,
        run_id=decoder.run_id,
        begin=begin,
        end=end,
        refused_at=now,
        first_at=instant_of_ns(min(stamps)),
        last_at=instant_of_ns(max(stamps) + 1000),
        first_seq=min(frames, default=None),
        last_seq=max(frames, default=None),
        frames=len(frames),
        refusals=tuple(refusals),
        decoder=decoder,
    )


def in_words(batch: RefusedBatch, spool_folder: Path) -> dict[str, Any]:
    """The detail of the event that tells of it: who reads it need not see the pod's disk."""
    return {
        "run_id": batch.run_id,
        "batch": batch.name,
        "tables": [refusal.part.table for refusal in batch.refusals],
        "codes": [refusal.code for refusal in batch.refusals],
        "error": batch.refusals[0].error[:LONGEST_ERROR],
        "frames": batch.frames,
        "first_seq": batch.first_seq,
        "last_seq": batch.last_seq,
        "begin": batch.first_at.isoformat(),
        "end": batch.last_at.isoformat(),
        "folder": str(folder_of(spool_folder, batch)),
    }


def folder_of(spool_folder: Path, batch: RefusedBatch) -> Path:
    """Where it lies, or will."""
    return spool_folder / QUARANTINE_FOLDER / batch.name


def remedy(paper_user: str) -> str:
    """What a person has to do about refused batches."""
    return (
        "cure in ClickHouse what it names (a constraint, a column's type), then "
        f"`ib-platform spool resend --paper-user {paper_user}`"
    )


def batch_name(begin: Position, end: Position) -> str:
    """The name of a batch: the same batch has the same name, after a crash too."""
    return f"{begin.run_id}.{begin.segment:06d}.{begin.offset}-{end.offset}"


def set_aside(spool_folder: Path, batch: RefusedBatch, records: Sequence[Record]) -> Path:
    """Put a batch into the quarantine, whole and durable; its folder. Harmless to repeat.

    Raises:
        SpoolError: the disk refuses; then nothing is there.
    """
    folder = folder_of(spool_folder, batch)
    quarantine, temporary = folder.parent, folder.with_name(f".{batch.name}.tmp")
    if folder.exists():
        return folder
    header = SegmentHeader(
        batch.paper_user, batch.run_id, batch.begin.segment, records[0].received_ns
    )
    content = encode_segment_header(header) + b"".join(map(_encoded, records))
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True, mode=0o700)
        _write(temporary / RECORDS_NAME, content)
        _write(temporary / BATCH_NAME, msgspec.json.encode(batch))
        os.replace(temporary, folder)
        sync_folder(quarantine)
    except OSError as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise SpoolError(f"{folder}: a refused batch cannot be set aside ({error})") from error
    return folder


def instant_of_ns(instant_ns: int) -> datetime:
    """Aware, to the microsecond."""
    return datetime.fromtimestamp(instant_ns // 1000 / 1e6, UTC)


def _encoded(record: Record) -> bytes:
    return encode_record(
        RecordKind(record.kind),
        record.received_ns,
        record.monotonic_ns,
        record.number,
        record.connection,
        record.payload,
    )


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
