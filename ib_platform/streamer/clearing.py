"""What is acknowledged leaves the spool; what is not yet is counted in bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import Manifest
from ib_platform.streamer.segments import (
    Position,
    SegmentFile,
    list_segments,
    list_torn,
    segment_sizes,
    sync_folder,
)
from ib_platform.streamer.spool import Spool


def pending_bytes(folder: Path, manifest: Manifest, tail: Position) -> int:
    """Bytes between what the manifest says is acknowledged and the writer's ``tail``. After a long
    outage of ClickHouse the folder has thousands of segments. Raises SpoolError."""
    pending, at = 0, manifest.position
    for run_id, number, size in segment_sizes(folder):
        if run_id in manifest.finished:
            continue
        end = tail.offset if (run_id, number) == (tail.run_id, tail.segment) else size
        done = 0
        if at is not None and at.run_id == run_id:
            done = at.offset if number == at.segment else end * (number < at.segment)
        pending += max(0, end - done)
    return pending


class Clearing:
    """Takes loaded segments out of the spool of their owner: kept for a while, or deleted."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool
        self._folder = spool.folder

    def runs(self, finished: Sequence[str]) -> None:
        """Durably, everything of runs that are loaded to their end, and what was cut off runs that
        have no segment any more. Raises SpoolError."""
        runs = {segment.run_id for segment in list_segments(self._folder)}
        self._clear(lambda s: s.run_id in finished or s.run_id not in runs)
        if finished:
            sync_folder(self._folder)

    def before(self, position: Position) -> None:
        """Segments of the position's run that lie before it. Raises SpoolError."""
        run_id, number = position.run_id, position.segment
        self._clear(lambda s: s.run_id == run_id and s.number < number, torn=False)

    def _clear(self, chosen: Callable[[SegmentFile], bool], torn: bool = True) -> None:
        try:
            for segment in filter(chosen, list_segments(self._folder)):
                self._spool.room.kept.keep(segment, self._spool.clocks.unix())
            for segment in filter(chosen, list_torn(self._folder) if torn else []):
                segment.torn_path.unlink()
            self._spool.room.reserve.ensure()
        except OSError as error:
            raise SpoolError(f"{self._folder}: a loaded segment stays ({error})") from error
