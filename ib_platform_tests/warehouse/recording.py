"""A record made by hand: what a streamer would have stored, without a streamer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ib_platform.marketdata.book import FrameRole, LadderBook, LadderUpdate, Touch
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.frames import DECODER_VERSION, Undecodable
from ib_platform.marketdata.ladder import WINDOW_ROWS, LadderRow, LadderRows, decode_ladder
from ib_platform.marketdata.prices import to_decimal
from ib_platform.states import StreamEventKind
from ib_platform_tests.support import CAPTURE_CONID, capture_messages

SECOND = 1_000_000_000
TICK = 10_000_000


@dataclass(frozen=True)
class State:
    """The book after a ladder frame, as LadderBook says."""

    conid: int
    paper_user: str
    run_id: str
    seq: int
    at: int
    update: LadderUpdate
    book: tuple[int, ...]
    touch: Touch
    complete: bool


@dataclass(frozen=True)
class Event:
    run_id: str
    at: int
    kind: str
    cause: str | None
    conid: int | None
    after_seq: int
    detail: dict[str, Any]


def trade_date(at: int) -> Any:
    return trade_date_of(datetime.fromtimestamp(at // SECOND, UTC))


def rows_of(top: int, sizes: dict[int, int], trade: tuple[int, int] | None = None) -> LadderRows:
    """Ladder rows ``row -> signed size`` of a window whose row 0 costs ``top`` nanos. ``trade``:
    (row, size) of the last trade, shown where the row is among them."""
    rows = [
        LadderRow(row, top - row * TICK, size, True, trade[1])
        if trade is not None and trade[0] == row
        else LadderRow(row, top - row * TICK, size, False, None)
        for row, size in sorted(sizes.items())
    ]
    return LadderRows(tuple(rows))


def full(top: int = 60 * SECOND, **levels: int) -> LadderRows:
    """A full frame: bid 5 under row 10 and ask 7 above it, or ``r9=..`` levels."""
    sizes = dict.fromkeys(range(WINDOW_ROWS), 0)
    sizes.update({int(name[1:]): size for name, size in levels.items()} or {9: -7, 11: 5})
    return rows_of(top, sizes)


@dataclass
class Recorder:
    """One streamer run that records: call its methods in order of time, then ``insert``.
    ``set_by``: nanoseconds that its wall clock is off its monotonic clock."""

    run_id: str
    paper_user: str = "alpha"
    set_by: int = 0
    seq: int = 0
    frames: list[tuple[Any, ...]] = field(default_factory=list)
    ladders: list[tuple[Any, ...]] = field(default_factory=list)
    quotes: list[tuple[Any, ...]] = field(default_factory=list)
    states: list[State] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    books: dict[int, LadderBook] = field(default_factory=dict)

    def book(self, conid: int) -> LadderBook:
        return self.books.setdefault(conid, LadderBook())

    def other(self, at: int, topic: str = "system", error: str | None = None) -> None:
        """A frame of another topic."""
        self._frame(at, topic, None, error)

    def broken(self, at: int, conid: int) -> None:
        """A ladder frame that cannot be decoded."""
        self.book(conid).frame_lost()
        self._frame(at, "sbd", conid, "not_json")

    def quote(
        self,
        at: int,
        conid: int,
        *,
        updated: int | None,
        bid: int | None = None,
        ask: int | None = None,
        volume: int | None = None,
        availability: str | None = None,
        payload: bytes = b"",
    ) -> None:
        """A quote frame. ``updated``: the sender's time, ns; prices in nanos."""
        seq = self.seq
        self._frame(at, "smd", conid, None, payload)
        bid_price, ask_price = (None if p is None else to_decimal(p) for p in (bid, ask))
        self.quotes.append(
            (
                trade_date(at), at, conid, self.paper_user, self.run_id, seq,
                None if updated is None else updated // 1_000_000, None, None, None,
                bid_price, None, ask_price, None, volume, availability, DECODER_VERSION,
            )
        )  # fmt: skip

    def ladder(self, at: int, conid: int, rows: LadderRows) -> State | None:
        """A ladder frame."""
        book = self.book(conid)
        update = book.apply(rows)
        assert not isinstance(update, Undecodable)
        seq = self.seq
        self._frame(at, "sbd", conid, None)
        top, tick = update.top_price, update.tick
        last = update.last_price
        self.ladders.append(
            (
                trade_date(at), at, conid, self.paper_user, self.run_id, seq, update.epoch,
                update.window, update.role.value, None if top is None else to_decimal(top),
                None if tick is None else to_decimal(tick), list(update.sizes),
                None if last is None else to_decimal(last), update.last_size, update.suspect,
                DECODER_VERSION,
            )
        )  # fmt: skip
        if update.role is FrameRole.ORPHAN:
            return None
        state = State(
            conid, self.paper_user, self.run_id, seq, at, update, tuple(book.sizes),
            book.touch(), book.complete,
        )  # fmt: skip
        self.states.append(state)
        return state

    def event(
        self,
        at: int,
        kind: StreamEventKind,
        cause: str | None = None,
        conid: int | None = None,
        **detail: Any,
    ) -> None:
        if kind is StreamEventKind.SUBSCRIBE_REQUESTED and conid is not None:
            self.book(conid).subscription_requested()
        elif kind is StreamEventKind.FRAMES_LOST:
            for book in self.books.values():
                book.frame_lost()
        elif kind is StreamEventKind.DISCONNECTED or (
            kind is StreamEventKind.SESSION_CHANGED and cause is not None
        ):
            for book in self.books.values():
                book.disconnected()
        elif kind is StreamEventKind.UNSUBSCRIBED and conid is not None:
            self.book(conid).disconnected()
        self.events.append(Event(self.run_id, at, kind.value, cause, conid, self.seq, detail))

    @property
    def last_at(self) -> int:
        return max(row[1] for row in self.frames)

    def insert(self, client: Any) -> None:
        """Store everything that was recorded so far."""
        if self.frames:
            client.insert("frames", self.frames)
        if self.ladders:
            client.insert("ladder_frames", self.ladders)
        if self.quotes:
            client.insert("quote_frames", self.quotes)
        rows = [
            (
                trade_date(e.at), e.at, self.paper_user, self.run_id, number, e.kind, e.cause,
                None, e.conid, e.after_seq, json.dumps(e.detail),
            )
            for number, e in enumerate(self.events)
        ]  # fmt: skip
        if rows:
            client.insert("stream_events", rows)

    def _frame(
        self, at: int, topic: str, conid: int | None, error: str | None, payload: bytes = b""
    ) -> None:
        self.frames.append(
            (
                trade_date(at), at, at - self.set_by, self.paper_user, self.run_id, 1, self.seq,
                topic, conid, payload, error, DECODER_VERSION,
            )
        )  # fmt: skip
        self.seq += 1


def assign(
    client: Any,
    contracts: Iterable[tuple[str, str, int]],
    at: int,
    *,
    generation: int = 1,
    grace: int = 60 * SECOND,
    calendar: str = "always_open",
) -> None:
    """Assignment of (contract, paper user, conid) made at ``at``, due ``grace`` later."""
    chosen = list(contracts)
    client.insert(
        "assignments",
        [
            (
                generation, 1, at // 1_000_000, (at + grace) // 1_000_000,
                [c[0] for c in chosen], [c[1] for c in chosen], [calendar for _ in chosen],
            )
        ],
    )  # fmt: skip
    for contract, _, conid in chosen:
        symbol, exchange, _month = contract.split(".")
        client.insert(
            "contracts",
            [(contract, conid, symbol, exchange, calendar, at // 1_000_000, trade_date(at))],
            column_names=[
                "contract", "conid", "symbol", "exchange", "calendar", "resolved_at", "trade_date",
            ],
        )  # fmt: skip


def record_capture(run_id: str = "capture") -> Recorder:
    """The recorded capture as one run of paper user alpha, at its own times."""
    recorder = Recorder(run_id)
    for message in capture_messages():
        if message["dir"] != "in":
            continue
        instant = datetime.fromisoformat(message["t"].replace("Z", "+00:00"))
        at = round(instant.timestamp() * 1000) * 1_000_000
        payload = message["msg"].encode()
        if payload.startswith(b'{"topic":"sbd'):
            rows = decode_ladder(payload)
            assert isinstance(rows, LadderRows)
            recorder.ladder(at, CAPTURE_CONID, rows)
        else:
            recorder.other(at)
    return recorder
