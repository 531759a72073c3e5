"""A run ended without a word: what to say of it, and did an earlier process say it already?"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ib_platform.states import StreamEventKind
from ib_platform.streamer.batches import Recovery
from ib_platform.streamer.decode import RunDecoder
from ib_platform.streamer.records import Record, event_of
from ib_platform.streamer.segments import list_segments, list_torn, read_records, size_of


def is_announced(folder: Path, paper_user: str, recovery: Recovery) -> bool:
    """Whether the spool of ``recovery.announced_in`` holds the event RUN_RECOVERED of that run.

    Raises:
        SpoolError: a segment of that run cannot be read.
    """
    return any(
        _recovers(record, recovery.run_id)
        for record in _records(folder, paper_user, recovery.announced_in)
    )


def what_ended(folder: Path, ended: RunDecoder) -> dict[str, Any]:
    """Detail of RUN_RECOVERED: what a run that is loaded to its end has left."""
    return {
        "run_id": ended.run_id,
        "frames": ended.frames,
        "next_seq": ended.next_seq,
        "torn_bytes": _torn_bytes(folder, ended.run_id),
    }


def _torn_bytes(folder: Path, run_id: str) -> int:
    """Bytes that were cut off the segments of a run."""
    return sum(size_of(s.torn_path) for s in list_torn(folder) if s.run_id == run_id)


def _records(folder: Path, paper_user: str, run_id: str) -> Iterator[Record]:
    for segment in list_segments(folder):
        if segment.run_id != run_id:
            continue
        for records in read_records(segment.path, 0, size_of(segment.path), paper_user):
            yield from records


def _recovers(record: Record, run_id: str) -> bool:
    event = event_of(record)
    return (
        event is not None
        and event.kind is StreamEventKind.RUN_RECOVERED
        and event.detail.get("run_id") == run_id
    )
