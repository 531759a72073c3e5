"""The book behind a ladder: typed rows -> book state, window by window.

A *window* is the 21 consecutive prices that a ladder shows. Every full frame lays a new one, inside
an epoch too, and nothing of the old window is valid afterwards. A delta whose rows carry other
prices than the window (seen while a ladder is laid around zero before any price is known) lays a
new window too. An *epoch* begins with the first full frame after a subscription request; deltas
that still arrive before it belong to the old epoch.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.ladder import WINDOW_ROWS, LadderRow, LadderRows


class FrameRole(StrEnum):
    """What a ladder frame did to its window.

    ``full``: laid a window with all 21 rows. ``delta``: changed rows of the window. ``repriced``: a
    delta with other prices, which lays a window. ``orphan``: a delta without a window to apply to.
    """

    FULL = "full"
    DELTA = "delta"
    REPRICED = "repriced"
    ORPHAN = "orphan"


class LadderUpdate(msgspec.Struct, frozen=True):
    """What is stored of one ladder frame (a row of ``ladder_frames``).

    ``sizes``: 21 signed sizes by row, bid > 0, ask < 0, 0 = emptied, None = not in this frame.
    Prices are nanos; ``top_price`` is row 0's, row r's is ``top_price - r * tick``.
    """

    role: FrameRole
    epoch: int
    window: int
    top_price: int | None
    tick: int | None
    sizes: tuple[int | None, ...]
    last_price: int | None
    last_size: int | None
    suspect: bool


class Touch(msgspec.Struct, frozen=True):
    """Best bid and ask of a state: prices in nanos and sizes in contracts, None where absent."""

    bid: int | None
    ask: int | None
    bid_size: int | None
    ask_size: int | None

    @property
    def two_sided(self) -> bool:
        return self.bid is not None and self.ask is not None

    @property
    def crossed(self) -> bool:
        return self.bid is not None and self.ask is not None and self.bid > self.ask

    @property
    def locked(self) -> bool:
        return self.bid is not None and self.bid == self.ask


class LadderBook(msgspec.Struct):
    """Mutable book of one contract in one streamer run. Serialisable with msgspec.

    ``complete`` turns true once a side has shown more than one level in this window: before that
    only the touch is known (warm-up). ``suspect`` is true from an undecodable frame of this ladder
    until the next window: some row may be stale.
    """

    epoch: int = 0
    window: int = 0
    top_price: int | None = None
    tick: int | None = None
    sizes: list[int] = msgspec.field(default_factory=lambda: [0] * WINDOW_ROWS)
    awaiting_full: bool = True
    complete: bool = False
    suspect: bool = False

    def subscription_requested(self) -> None:
        """A request went out: the next full frame begins a new epoch."""
        self.awaiting_full = True

    def disconnected(self) -> None:
        """The connection ended: nothing known is valid until the next window."""
        self.top_price = None
        self.awaiting_full = True
        self._clear()

    def frame_lost(self) -> None:
        """A frame of this ladder could not be read: states are suspect until the next window."""
        self.suspect = True

    def apply(self, frame: LadderRows) -> LadderUpdate | Undecodable:
        """Reduce one frame. An Undecodable answer leaves the book suspect, but unchanged."""
        tick = _tick_of(frame) if frame.is_full else self.tick
        top = _top_price(frame.rows, tick) if tick is not None else None
        if frame.is_full and top is None:
            self.frame_lost()
            return Undecodable("irregular_window", "21 rows that are not one tick apart")
        if frame.is_full:
            role = FrameRole.FULL
        elif self.top_price is None:
            role = FrameRole.ORPHAN
        elif top is None:
            self.frame_lost()
            return Undecodable("inconsistent_prices", "rows disagree about the window's prices")
        else:
            role = FrameRole.DELTA if top == self.top_price else FrameRole.REPRICED
        self._lay(role, top, tick)
        return self._update(role, frame)

    def touch(self) -> Touch:
        """Best bid and ask now."""
        if self.top_price is None or self.tick is None:
            return Touch(None, None, None, None)
        bid_row = next((row for row, size in enumerate(self.sizes) if size > 0), None)
        ask_row = next((r for r in range(WINDOW_ROWS - 1, -1, -1) if self.sizes[r] < 0), None)
        return Touch(
            bid=None if bid_row is None else self.top_price - bid_row * self.tick,
            ask=None if ask_row is None else self.top_price - ask_row * self.tick,
            bid_size=None if bid_row is None else self.sizes[bid_row],
            ask_size=None if ask_row is None else -self.sizes[ask_row],
        )

    def _lay(self, role: FrameRole, top: int | None, tick: int | None) -> None:
        if role is FrameRole.FULL and self.awaiting_full:
            self.epoch += 1
            self.window = 0
            self.awaiting_full = False
        if role in (FrameRole.FULL, FrameRole.REPRICED):
            self.window += 1
            self.top_price, self.tick = top, tick
            self._clear()

    def _clear(self) -> None:
        self.sizes = [0] * WINDOW_ROWS
        self.complete = self.suspect = False

    def _shows_depth(self) -> bool:
        bids = sum(size > 0 for size in self.sizes)
        asks = sum(size < 0 for size in self.sizes)
        return bids > 1 or asks > 1

    def _update(self, role: FrameRole, frame: LadderRows) -> LadderUpdate:
        sizes: list[int | None] = [None] * WINDOW_ROWS
        for row in frame.rows:
            sizes[row.row] = row.size
            if role is not FrameRole.ORPHAN:
                self.sizes[row.row] = row.size
        # It stays so until the next window: counting each time would cost a tenth of a frame.
        self.complete = self.complete or self._shows_depth()
        last = frame.last_trade
        orphan = role is FrameRole.ORPHAN
        return LadderUpdate(
            role=role,
            epoch=self.epoch,
            window=0 if orphan else self.window,
            top_price=None if orphan else self.top_price,
            tick=None if orphan else self.tick,
            sizes=tuple(sizes),
            last_price=None if last is None else last[0],
            last_size=None if last is None else last[1],
            suspect=self.suspect,
        )


def _tick_of(frame: LadderRows) -> int | None:
    tick = frame.rows[0].price - frame.rows[1].price
    return tick if tick > 0 else None


def _top_price(rows: tuple[LadderRow, ...], tick: int) -> int | None:
    """Price of row 0 that every row implies, or None where they disagree."""
    top = rows[0].price + rows[0].row * tick
    return top if all(row.price + row.row * tick == top for row in rows) else None
