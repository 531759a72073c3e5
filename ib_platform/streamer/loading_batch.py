"""A batch on its way to ClickHouse: records of the spool as rows, cut into parts. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.streamer.batches import Batch, Part, token_of
from ib_platform.streamer.decode import Rows, RunDecoder
from ib_platform.streamer.records import Record
from ib_platform.streamer.segments import Position


@dataclass(frozen=True, slots=True)
class LoadingBatch:
    """A batch with its rows. ``after`` is the decoder's state behind it. ``was_damaged``: it was on
    its way with other rows, so ClickHouse may have some of these, and has to be asked."""

    batch: Batch
    rows: Rows
    after: RunDecoder
    oldest_ns: int
    frames: int
    full: bool
    was_damaged: bool = False


def decode_batch(
    before: RunDecoder, begin: Position, end: Position, records: list[Record], max_records: int
) -> LoadingBatch:
    """The batch of ``records``, which lie between ``begin`` and ``end``. ``before``: the decoder's
    state at ``begin``, left as it is. The same arguments give the same batch."""
    after = before.copy()
    rows = after.decode(records)
    parts = tuple(
        Part(table, token_of(table, begin, end), len(rows[table])) for table in rows if rows[table]
    )
    return LoadingBatch(
        batch=Batch(end, parts),
        rows=rows,
        after=after,
        oldest_ns=records[0].received_ns,
        frames=after.frames - before.frames,
        full=len(records) >= max_records,
    )
