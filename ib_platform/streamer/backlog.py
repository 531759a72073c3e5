"""What of the spool is not yet acknowledged: earlier runs first, oldest first, then the own run.

The order of every step is chosen for a kill at any instant: the manifest is written before what it
announces is sent, and says that files are finished before they are deleted.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.batch_in_flight import BatchInFlight, Stored
from ib_platform.streamer.batches import Manifest, Recovery, load_manifest, save_manifest
from ib_platform.streamer.clearing import Clearing, pending_bytes
from ib_platform.streamer.decode import LADDER_FRAMES, RunDecoder
from ib_platform.streamer.loading_batch import LoadingBatch, decode_batch
from ib_platform.streamer.quarantine import (
    Refusal,
    RefusedBatch,
    in_words,
    refused_batch,
    set_aside,
)
from ib_platform.streamer.records import Record, first_frame
from ib_platform.streamer.recovery import is_announced, what_ended
from ib_platform.streamer.segments import (
    Position,
    list_segments,
    read_chunk,
    records_between,
    segment_file,
    size_of,
)
from ib_platform.streamer.spool import Spool

logger = logging.getLogger(__name__)


class Backlog:
    """Walks through the spool, batch by batch, and keeps the manifest. One thread at a time."""

    def __init__(self, spool: Spool) -> None:
        """Read the manifest and delete what it says is finished. Raises SpoolError."""
        self._spool = spool
        self._folder = spool.folder
        self._clearing = Clearing(spool)
        self.manifest = load_manifest(spool.folder, spool.paper_user)
        self._said_damaged: Position | None = None
        self._delete_finished()

    def next_batch(self, max_records: int, stored: Stored) -> LoadingBatch | None:
        """The batch to send now, its manifest persisted; None when everything is loaded, or when
        ``stored`` gave no answer.

        After a restart this is first the batch that was in flight, rebuilt from the spool and,
        where that was damaged, from what ClickHouse has: ``stored`` is asked then.

        Raises:
            SpoolError: the spool cannot be read or the manifest not be written.
        """
        if (batch := self.manifest.batch) is not None:
            begin, decoder = self._position(), self._decoder()
            in_flight = BatchInFlight(self._folder, self._spool.paper_user, begin, decoder, batch)
            if (whole := in_flight.whole()) is not None:
                return whole
            there = stored(begin.run_id, decoder.next_seq)
            if there is None:
                return None
            if (healed := self._heal(in_flight, there)) is not None:
                return healed
            self._save(replace(self.manifest, batch=None))
        while True:
            position = self._position()
            tail = self._spool.tail
            live = (position.run_id, position.segment) == (tail.run_id, tail.segment)
            path = segment_file(self._folder, position.run_id, position.segment).path
            if not path.exists():
                self._report_damage(position, {"missing_segments": 1})
                self._leave_segment(position)
                continue
            end = tail.offset if live else size_of(path)
            chunk = read_chunk(path, position.offset, end, self._spool.paper_user, max_records)
            found = first_frame(chunk.records)
            jumps = found is not None and found > self._decoder().next_seq
            if chunk.skipped or (jumps and self._said_damaged != position):
                detail = {"skipped_bytes": chunk.skipped, "found_seq": found}
                self._report_damage(position, detail)
            if chunk.records:
                return self._begin(position, chunk.end, chunk.records, max_records)
            full = live and self._spool.room.reserve.given_up
            # Everything is loaded and the disk is full: only the segment that is being written
            # is left to make room.
            if full and position.offset == chunk.end and self._spool.rotate():
                continue
            if live:
                self.manifest = replace(self.manifest, position=replace(position, offset=chunk.end))
                return None
            self._leave_segment(position)

    def complete(self, loading: LoadingBatch) -> None:
        """Every part is acknowledged: move on, durably. Raises SpoolError."""
        end = loading.batch.end
        self._save(replace(self.manifest, position=end, decoder=loading.after, batch=None))

    def set_aside(self, loading: LoadingBatch, refusals: Sequence[Refusal]) -> RefusedBatch:
        """ClickHouse refuses the batch for its content: into the quarantine with it, say so, and
        move on. After a crash in between it is said once more.

        Raises:
            SpoolError: the disk refuses; the batch stays the next one.
        """
        begin, end = self._position(), loading.batch.end
        records = records_between(self._folder, self._spool.paper_user, begin, end)
        batch = refused_batch(
            begin, end, records, self._decoder(), refusals, self._spool.clocks.utc()
        )
        self._spool.room.for_loading(lambda: set_aside(self._folder, batch, records))
        told = in_words(batch, self._folder)
        self._emit(StreamEventKind.BATCH_REFUSED, Cause.QUARANTINED, told)
        after = loading.after
        if any(refusal.part.table == LADDER_FRAMES for refusal in refusals):
            # Books are rebuilt from what is stored: from here on they lack these frames.
            after.frames_refused()
        self.complete(loading)
        return batch

    def pending_bytes(self) -> int:
        """Bytes of the spool behind the acknowledged position. Callable from any thread."""
        return pending_bytes(self._folder, self.manifest, self._spool.tail)

    def _position(self) -> Position:
        if self.manifest.position is not None:
            return self.manifest.position
        own = self._spool.run_id
        segments = [
            s for s in list_segments(self._folder) if s.run_id not in self.manifest.finished
        ]
        if not segments:
            raise SpoolError(f"{self._folder}: the segments of the running streamer were removed")
        # The clock may have stepped back between runs: the own run is last whatever its name.
        first = min(segments, key=lambda segment: (segment.run_id == own, segment))
        position = Position(first.run_id, first.number, 0)
        if first.number > 0:
            self._report_damage(position, {"missing_segments": first.number})
        decoder = RunDecoder(self._spool.paper_user, first.run_id)
        self.manifest = replace(self.manifest, position=position, decoder=decoder)
        return position

    def _begin(
        self, position: Position, end: int, records: list[Record], max_records: int
    ) -> LoadingBatch:
        if position.run_id == self._spool.run_id:
            # The manifest must not name bytes that a power cut could still take away.
            self._spool.sync()
        loading = decode_batch(
            self._decoder(), position, replace(position, offset=end), records, max_records
        )
        self._save(replace(self.manifest, batch=loading.batch))
        return loading

    def _heal(self, in_flight: BatchInFlight, stored: Sequence[Record]) -> LoadingBatch | None:
        """The batch, whatever the spool and ClickHouse have of it together; None for nothing."""
        begin = self._position()
        records = in_flight.with_stored(stored)
        if self._said_damaged != begin:
            for detail in in_flight.damages(records):
                self._report_damage(begin, detail)
        return in_flight.healed(records)

    def _leave_segment(self, position: Position) -> None:
        later = [
            segment
            for segment in list_segments(self._folder)
            if segment.run_id == position.run_id and segment.number > position.segment
        ]
        if not later:
            self._finish_run(position.run_id)
            return
        following = Position(position.run_id, later[0].number, 0)
        if following.segment != position.segment + 1:
            missing = following.segment - position.segment - 1
            self._report_damage(following, {"missing_segments": missing})
        self._spool.room.kept.note_state(later[0], self._decoder())
        self._save(replace(self.manifest, position=following))
        self._clearing.before(following)

    def _finish_run(self, run_id: str) -> None:
        decoder = self._decoder()
        if not decoder.stopped:
            self._announce_recovery(decoder)
        finished = (*self.manifest.finished, run_id)
        self._save(Manifest(self._spool.paper_user, finished=finished))
        self._delete_finished()

    def _announce_recovery(self, ended: RunDecoder) -> None:
        """Exactly once over all crashes: the intention names the spool to look for the event in.

        That spool is still whole, since its run is loaded after this one.
        """
        run_id, intended = ended.run_id, self.manifest.recovery
        if intended and is_announced(self._folder, self._spool.paper_user, intended):
            return
        intention = Recovery(run_id, self._spool.run_id)
        if intended != intention:
            self._save(replace(self.manifest, recovery=intention))
        told = what_ended(self._folder, ended)
        self._emit(StreamEventKind.RUN_RECOVERED, Cause.STREAMER_DIED, told)

    def _report_damage(self, position: Position, detail: dict[str, Any]) -> None:
        where = {"run_id": position.run_id, "segment": position.segment, "offset": position.offset}
        # Which numbers the damage took: `verify` forgives these and no others.
        decoder = self.manifest.decoder
        where |= {"next_seq": 0 if decoder is None else decoder.next_seq}
        logger.error("%s: damaged spool: %s %s", self._folder, where, detail)
        self._emit(StreamEventKind.SPOOL_TORN, Cause.SPOOL_DAMAGED, {**where, **detail})
        self._said_damaged = position

    def _emit(self, kind: StreamEventKind, cause: Cause, detail: dict[str, Any]) -> None:
        self._spool.append_event(kind, cause=cause, detail=detail, urgent=True)
        self._spool.sync()

    def _decoder(self) -> RunDecoder:
        if self.manifest.decoder is None:
            raise SpoolError(f"{self._folder}: the manifest has a position without decoder state")
        return self.manifest.decoder

    def _save(self, manifest: Manifest) -> None:
        # Without a manifest nothing is loaded, and without loading nothing is ever freed.
        self._spool.room.for_loading(lambda: save_manifest(self._folder, manifest))
        self.manifest = manifest

    def _delete_finished(self) -> None:
        finished = self.manifest.finished
        self._clearing.runs(finished)
        if finished:
            # Only now may the manifest forget the runs: files that come back would be loaded again.
            self.manifest = replace(self.manifest, finished=())
        if self.manifest.position is not None:
            self._clearing.before(self.manifest.position)
