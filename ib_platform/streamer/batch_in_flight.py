"""The batch that was on its way when the process died: rebuilt, so that it can be sent again.

First out of the spool alone, which gives the very same batch unless somebody has damaged it since.
Then together with the frames that ClickHouse has of it; ``in_flight`` has the rules.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from ib_platform.streamer.batches import Batch
from ib_platform.streamer.decode import RunDecoder
from ib_platform.streamer.in_flight import damages, is_whole, with_stored
from ib_platform.streamer.loading_batch import LoadingBatch, decode_batch
from ib_platform.streamer.records import Record
from ib_platform.streamer.segments import Position, records_between, segment_file, size_of

Stored = Callable[[str, int], Sequence[Record] | None]
"""Frames of a run from a number on that ClickHouse has, in order; None: no answer."""


class BatchInFlight:
    """``intended``: what the manifest says of it, which begins at ``begin``. ``before``: the
    decoder's state there, left as it is."""

    def __init__(
        self, folder: Path, paper_user: str, begin: Position, before: RunDecoder, intended: Batch
    ) -> None:
        self._folder = folder
        self._paper_user = paper_user
        self._begin = begin
        self._before = before
        self._intended = intended
        self._left = self._end_of_what_is_left()

    def whole(self) -> LoadingBatch | None:
        """The same batch out of the spool alone; None where something of it is missing.

        Raises:
            SpoolError: the spool cannot be read.
        """
        rebuilt = self._decoded(self._records())
        if rebuilt is None or not is_whole(self._intended, rebuilt.batch):
            return None
        return rebuilt

    def with_stored(self, stored: Sequence[Record]) -> list[Record]:
        """What the spool and ClickHouse have of it together, in order. ``stored`` as ``Stored``.

        Raises:
            SpoolError: the spool cannot be read.
        """
        return with_stored(self._records(), stored)

    def damages(self, records: Sequence[Record]) -> Iterator[dict[str, Any]]:
        """Details of what is still missing among the ``records`` of ``with_stored``."""
        cut = self._intended.end.offset - self._left.offset
        return damages(self._before.next_seq, self._intended, records, cut)

    def healed(self, records: list[Record]) -> LoadingBatch | None:
        """A batch of the ``records`` of ``with_stored``; None of none."""
        healed = self._decoded(records)
        return None if healed is None else dataclasses.replace(healed, was_damaged=True)

    def _end_of_what_is_left(self) -> Position:
        """Until where the batch's records can still be read: somebody may have cut the segment."""
        begin, end = self._begin, self._intended.end
        path = segment_file(self._folder, end.run_id, end.segment).path
        return replace(end, offset=max(begin.offset, min(end.offset, size_of(path))))

    def _records(self) -> list[Record]:
        return records_between(self._folder, self._paper_user, self._begin, self._left)

    def _decoded(self, records: list[Record]) -> LoadingBatch | None:
        if not records:
            return None
        return decode_batch(self._before, self._begin, self._left, records, len(records))
