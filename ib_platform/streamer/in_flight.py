"""A batch that was on its way when its process died, and whose records were damaged since. Pure.

``frames`` is the first table that a batch is sent to. So either nothing of it is stored, or its
frames are there as they were received, and the batch can be decoded from them as if nothing were
lost: the same rows, the same windows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ib_platform.streamer.batches import Batch
from ib_platform.streamer.decode import FRAMES, STREAM_EVENTS
from ib_platform.streamer.records import Record, RecordKind, event_of

_UNDECODED = (FRAMES, STREAM_EVENTS)


def is_whole(intended: Batch, found: Batch) -> bool:
    """Whether as many frames and events were found as were on their way. Decoded rows follow from
    these; another version of the decoder may make other ones."""
    rows = [
        {part.table: part.rows for part in batch.parts if part.table in _UNDECODED}
        for batch in (intended, found)
    ]
    return intended.end == found.end and rows[0] == rows[1]


def with_stored(left: Sequence[Record], stored: Sequence[Record]) -> list[Record]:
    """What is left in the spool, in its order, and between it the frames that ClickHouse has.
    ``stored`` in order of their numbers."""
    kept = {record.number for record in left if record.kind is RecordKind.FRAME}
    rest = [record for record in stored if record.number not in kept]
    merged: list[Record] = []
    for record in left:
        event = event_of(record)
        before = record.number if record.kind is RecordKind.FRAME else 0
        if event is not None:
            before = event.after_seq
        while rest and rest[0].number < before:
            merged.append(rest.pop(0))
        merged.append(record)
    return merged + rest


def damages(
    next_seq: int, intended: Batch, records: Sequence[Record], cut_bytes: int
) -> Iterator[dict[str, Any]]:
    """Details of what is missing of the batch: a hole in the numbers each, from ``next_seq`` (the
    first one that is gone) to ``found_seq``, and events that are gone for good."""
    expected = next_seq
    frames = [record for record in records if record.kind is RecordKind.FRAME]
    for record in frames:
        if record.number > expected:
            yield {"next_seq": expected, "found_seq": record.number}
        expected = record.number + 1
    rows = {part.table: part.rows for part in intended.parts}
    if len(frames) < rows.get(FRAMES, 0) or cut_bytes:
        yield {"next_seq": expected, "found_seq": None, "in_flight_bytes": cut_bytes}
    if (lost := rows.get(STREAM_EVENTS, 0) - (len(records) - len(frames))) > 0:
        yield {"next_seq": expected, "found_seq": expected, "lost_events": lost}
