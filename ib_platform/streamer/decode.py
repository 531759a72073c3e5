"""Records of one run, in order -> rows of the tables ``frames``, ``ladder_frames``,
``quote_frames`` and ``stream_events``. Pure: the same state and records give the same rows.

The columns are those of ``warehouse/migrations/0001_record.sql``. A row is a tuple in their order
with instants as ns (``updated_at``: ms) since 1970 and prices as nanos; ``to_arrow`` gives them
their types.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.frames import (
    DECODER_VERSION,
    LADDER,
    QUOTE,
    UNDECODABLE_TOPIC,
    FrameKind,
    Undecodable,
    classify,
)
from ib_platform.marketdata.ladder import decode_ladder
from ib_platform.marketdata.quotes import Quote, decode_quote
from ib_platform.states import StreamEventKind
from ib_platform.streamer.records import Record, RecordKind, StreamEvent, decode_event

Row = tuple[Any, ...]
Rows = dict[str, list[Row]]

FRAMES = "frames"
LADDER_FRAMES = "ladder_frames"
QUOTE_FRAMES = "quote_frames"
STREAM_EVENTS = "stream_events"
TABLES = (FRAMES, LADDER_FRAMES, QUOTE_FRAMES, STREAM_EVENTS)
"""In the order in which a batch is sent. Frames are first: from them all rows can be made again,
even where a disk loses the batch between two inserts."""
UNREADABLE_EVENT = "unreadable"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NS_PER_MINUTE = 60 * 10**9
_NANOS_LIMIT = 10**18


@lru_cache(maxsize=4096)
def _trade_date_of_minute(minute: int) -> date:
    return trade_date_of(_EPOCH + timedelta(minutes=minute))


def trade_date_of_ns(instant_ns: int) -> date:
    """Trade date of an instant in ns since 1970. Its border lies on a full minute."""
    return _trade_date_of_minute(instant_ns // _NS_PER_MINUTE)


def ends_ladders(event: StreamEvent) -> bool:
    """Whether every ladder of the run ends with the event: the connection or the session is lost.

    A session ends them over an open websocket too: its servers forget all subscriptions.
    """
    if event.kind is StreamEventKind.SESSION_CHANGED:
        return event.cause is not None
    return event.kind is StreamEventKind.DISCONNECTED


class RunDecoder(msgspec.Struct):
    """State of decoding one run: what the records so far mean for the next one. Serialisable.

    ``undecodable``: frames by reason. ``stopped``: the run said that it ended by itself.
    """

    paper_user: str
    run_id: str
    next_seq: int = 0
    frames: int = 0
    stopped: bool = False
    books: dict[int, LadderBook] = msgspec.field(default_factory=dict)
    undecodable: dict[str, int] = msgspec.field(default_factory=dict)

    def copy(self) -> RunDecoder:
        """An independent copy."""
        return msgspec.json.decode(msgspec.json.encode(self), type=RunDecoder)

    def decode(self, records: Iterable[Record]) -> Rows:
        """Rows of the next records of the run, by table. Never raises on any payload."""
        rows: Rows = {table: [] for table in TABLES}
        for record in records:
            if record.kind is RecordKind.EVENT:
                rows[STREAM_EVENTS].append(self._event(record))
            else:
                self._frame(record, rows)
        return rows

    def _frame(self, record: Record, rows: Rows) -> None:
        if record.number != self.next_seq:
            # Frames are missing from a damaged spool, and nobody knows whose they were.
            self._frame_of_somebody_lost()
        self.next_seq = record.number + 1
        self.frames += 1
        kind = classify(record.payload)
        error = kind.error
        if kind.topic == LADDER and kind.conid is not None:
            error = self._ladder(record, kind.conid, rows)
        elif kind.topic == QUOTE and kind.conid is not None:
            error = self._quote(record, kind.conid, rows)
        elif error is not None and kind.topic in (LADDER, UNDECODABLE_TOPIC):
            self._frame_of_somebody_lost()
        if error is not None:
            self.undecodable[error.reason] = self.undecodable.get(error.reason, 0) + 1
        rows[FRAMES].append(self._frame_row(record, kind, error))

    def _frame_row(self, record: Record, kind: FrameKind, error: Undecodable | None) -> Row:
        return (
            trade_date_of_ns(record.received_ns),
            record.received_ns,
            record.monotonic_ns,
            self.paper_user,
            self.run_id,
            record.connection,
            record.number,
            kind.topic,
            kind.conid,
            record.payload,
            None if error is None else error.reason,
            DECODER_VERSION,
        )

    def _ladder(self, record: Record, conid: int, rows: Rows) -> Undecodable | None:
        book = self._book(conid)
        frame = decode_ladder(record.payload)
        if isinstance(frame, Undecodable):
            book.frame_lost()
            return frame
        update = book.apply(frame)
        if isinstance(update, Undecodable):
            return update
        if update.top_price is not None and abs(update.top_price) >= _NANOS_LIMIT:
            book.frame_lost()
            return Undecodable("price_out_of_range", f"row 0 would be at {update.top_price} nanos")
        rows[LADDER_FRAMES].append(self._ladder_row(record, conid, update))
        return None

    def _ladder_row(self, record: Record, conid: int, update: LadderUpdate) -> Row:
        return (
            *self._stamps(record, conid),
            update.epoch,
            update.window,
            update.role.value,
            update.top_price,
            update.tick,
            update.sizes,
            update.last_price,
            update.last_size,
            update.suspect,
            DECODER_VERSION,
        )

    def _quote(self, record: Record, conid: int, rows: Rows) -> Undecodable | None:
        quote = decode_quote(record.payload)
        if isinstance(quote, Undecodable):
            return quote
        rows[QUOTE_FRAMES].append(self._quote_row(record, conid, quote))
        return quote.problem

    def _quote_row(self, record: Record, conid: int, quote: Quote) -> Row:
        return (
            *self._stamps(record, conid),
            quote.updated_ms,
            quote.last,
            quote.last_prefix,
            quote.last_size,
            quote.bid,
            quote.bid_size,
            quote.ask,
            quote.ask_size,
            quote.volume,
            quote.availability,
            DECODER_VERSION,
        )

    def _stamps(self, record: Record, conid: int) -> Row:
        received = record.received_ns
        trade_date = trade_date_of_ns(received)
        return trade_date, received, conid, self.paper_user, self.run_id, record.number

    def _event(self, record: Record) -> Row:
        at, number = record.received_ns, record.number
        stamps = (trade_date_of_ns(at), at, self.paper_user, self.run_id, number)
        try:
            event = decode_event(record.payload)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            # Written by another version of ours: the row keeps what it said.
            text = record.payload.decode("utf-8", "replace")
            return (*stamps, UNREADABLE_EVENT, None, None, None, self.next_seq, text)
        if event.kind is StreamEventKind.SUBSCRIBE_REQUESTED and event.conid is not None:
            self._book(event.conid).subscription_requested()
        elif event.kind is StreamEventKind.FRAMES_LOST:
            self._frame_of_somebody_lost()
        elif ends_ladders(event):
            for book in self.books.values():
                book.disconnected()
        elif event.kind is StreamEventKind.RUN_STOPPED:
            self.stopped = True
        return (
            *stamps,
            event.kind.value,
            None if event.cause is None else event.cause.value,
            event.contract,
            event.conid,
            event.after_seq,
            msgspec.json.encode(event.detail).decode(),
        )

    def _book(self, conid: int) -> LadderBook:
        book = self.books.get(conid)
        if book is None:
            book = self.books[conid] = LadderBook()
        return book

    def frames_refused(self) -> None:
        """ClickHouse did not take rows of the frames so far: no book continues from them."""
        self._frame_of_somebody_lost()

    def _frame_of_somebody_lost(self) -> None:
        for book in self.books.values():
            book.frame_lost()
