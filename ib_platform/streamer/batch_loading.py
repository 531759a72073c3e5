"""One step of the loader: the next batch, part by part, until it is acknowledged or set aside."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

from ib_platform.streamer.arrow import COLUMNS, to_arrow
from ib_platform.streamer.backlog import Backlog
from ib_platform.streamer.batches import Part
from ib_platform.streamer.decode import FRAMES, Row, RunDecoder
from ib_platform.streamer.loading_batch import LoadingBatch
from ib_platform.streamer.quarantine import Refusal, RefusedBatch, folder_of, remedy
from ib_platform.streamer.records import Record
from ib_platform.streamer.sender import Sender, Sent
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.waiting import Moment

logger = logging.getLogger(__name__)
MOST_REFUSED_IN_A_ROW = 3
_MONOTONIC = [name for name, _ in COLUMNS[FRAMES]].index("monotonic_ns")


class BatchLoading:
    """Loads batch after batch, and counts. ``step`` belongs to one thread; the rest may be read by
    any.

    ``recovered``: frames of earlier runs that ClickHouse acknowledged, by run id. ``refused``:
    frames of the own run that it refused for their content: they are set aside. ``oldest``: when
    the oldest record that is not loaded was received, None where there is none or nobody has
    looked; ``caught_up``: when there was none the last time.
    """

    def __init__(
        self,
        spool: Spool,
        sender: Sender,
        load_rows: int,
        may_go_on: Callable[[], bool],
    ) -> None:
        self._spool = spool
        self._sender = sender
        self._load_rows = load_rows
        self._may_go_on = may_go_on
        self._backlog: Backlog | None = None
        self._refused_in_a_row = 0
        self._seen = 0, 0
        self.recovered: Counter[str] = Counter()
        self.refused = 0
        self.oldest: Moment | None = None
        self.caught_up = Moment.now(spool.clocks)

    @property
    def knows_backlog(self) -> bool:
        """Whether the spool was read: before that, how much waits in it is unknown."""
        return self._backlog is not None

    @property
    def stored(self) -> int:
        """Frames of the own run that ClickHouse acknowledged."""
        decoder = self._own_decoder()
        return 0 if decoder is None else decoder.frames - self.refused

    @property
    def undecodable(self) -> dict[str, int]:
        """Stored frames of the own run that could not be decoded, by reason."""
        decoder = self._own_decoder()
        return {} if decoder is None else dict(decoder.undecodable)

    def pending_bytes(self) -> int:
        """Bytes of the spool that are not loaded: of the last look, and what was written since.
        Only the loader looks: on a folder of thousands of segments that takes time."""
        pending, written = self._seen
        return 0 if self._backlog is None else pending + self._spool.bytes_written - written

    def step(self) -> LoadingBatch | None:
        """Load one batch; None when there was nothing to load, or the deadline is over."""
        if (backlog := self._backlog) is None:
            backlog = Backlog(self._spool)
            self._look(backlog)
            self._backlog = backlog
        try:
            return self._load_next(backlog)
        finally:
            self._look(backlog)

    def _look(self, backlog: Backlog) -> None:
        written = self._spool.bytes_written
        self._seen = backlog.pending_bytes(), written

    def _load_next(self, backlog: Backlog) -> LoadingBatch | None:
        now = Moment.now(self._spool.clocks)
        loading = backlog.next_batch(self._load_rows, self._stored_frames)
        if loading is None:
            self.oldest, self.caught_up = None, now
            return None
        self.oldest = self._oldest_of(loading)
        refusals = []
        for part in loading.batch.parts:
            rows = loading.rows[part.table]
            if loading.was_damaged:
                missing = self._sender.missing(part, rows, self._may_go_on)
                if missing is None:
                    return None
                if not missing:
                    continue
                rows = missing
            sent = self._send(part, rows)
            if sent is Sent.STOPPED:
                return None
            if isinstance(sent, Refusal):
                refusals.append(sent)
        if not self._may_go_on():
            return None
        lacking = 0
        if refusals:
            lacking = self._set_aside(backlog, loading, refusals).missing_frames
        else:
            self._refused_in_a_row = 0
            backlog.complete(loading)
        run_id = loading.batch.end.run_id
        if run_id == self._spool.run_id:
            self.refused += lacking
        else:
            self.recovered[run_id] += loading.frames - lacking
        return loading

    def _stored_frames(self, run_id: str, from_seq: int) -> list[Record] | None:
        return self._sender.stored_frames(run_id, from_seq, self._may_go_on)

    def _oldest_of(self, loading: LoadingBatch) -> Moment:
        frames = loading.rows[FRAMES]
        if loading.batch.end.run_id != self._spool.run_id or not frames:
            return Moment(loading.oldest_ns)
        return Moment(loading.oldest_ns, frames[0][_MONOTONIC])

    def _send(self, part: Part, rows: list[Row]) -> Sent | Refusal:
        # Where everything is refused, it is not the content: then waiting loses nothing.
        may_refuse = self._refused_in_a_row < MOST_REFUSED_IN_A_ROW
        try:
            table = to_arrow(part.table, rows)
        except (ArithmeticError, TypeError, ValueError) as error:
            if not may_refuse:
                raise
            return Refusal(part, None, f"{type(error).__name__}: {error}")
        return self._sender.send(part, table, self._may_go_on, may_refuse=may_refuse)

    def _set_aside(
        self, backlog: Backlog, loading: LoadingBatch, refusals: list[Refusal]
    ) -> RefusedBatch:
        self._refused_in_a_row += 1
        batch = backlog.set_aside(loading, refusals)
        logger.error(
            "ClickHouse refuses %s for their content (%s): they are set aside in %s, the "
            "rest goes on; %s",
            batch.what_is_missing,
            refusals[0].error,
            folder_of(self._spool.folder, batch),
            remedy(batch.paper_user),
        )
        return batch

    def _own_decoder(self) -> RunDecoder | None:
        decoder = None if self._backlog is None else self._backlog.manifest.decoder
        return decoder if decoder is not None and decoder.run_id == self._spool.run_id else None
