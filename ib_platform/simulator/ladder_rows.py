"""Rows of a ladder as they go over the wire, computed once for all who look at a window.

21 rows, row 0 the highest price, one tick apart, strings everywhere; the last trade's row has the
focus and reads ``size @ price`` (observed page, points 2, 3 and 6). Pure.
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.simulator.catalogue import SimulatedContract

MIDDLE_ROW = WINDOW_ROWS // 2
_MOST_WINDOWS = 64
_MOST_TEXTS = 4096


class Row(msgspec.Struct, omit_defaults=True, frozen=True):
    """One row object as it goes over the wire; at most one of ``bid`` and ``ask``."""

    row: int
    focus: int
    price: str
    bid: str | None = None
    ask: str | None = None

    @property
    def has_size(self) -> bool:
        return self.bid is not None or self.ask is not None

    def without_size(self) -> Row:
        """The same row where nobody stands."""
        return Row(self.row, self.focus, self.price)


class _Frame(msgspec.Struct):
    topic: str
    data: list[Row]


def encode_ladder(account: str, conid: int, rows: list[Row]) -> bytes:
    """The frame on the wire: exactly the keys ``topic`` and ``data``, no spaces."""
    return msgspec.json.encode(_Frame(f"sbd+{account}+{conid}", rows))


class Book(Protocol):
    """What rows are made of. ``version`` changes whenever anything else does."""

    contract: SimulatedContract
    version: int
    last: int | None
    last_size: int

    def size_at(self, tick: int) -> int:
        """Signed size: bid > 0, ask < 0."""
        ...

    def levels(self, most: int) -> tuple[int, int]:
        """Lowest of the ``most`` best bids and highest of the ``most`` best asks."""
        ...


class Windows:
    """The windows of one book by their middle price, each computed once for a version of the book.

    ``levels``: so many of the best levels of a side have sizes, what lies deeper looks empty.
    Rows that did not change are the same objects, so that views compare them by identity. Bounded:
    windows and price texts that nobody asked for lately are forgotten.
    """

    def __init__(self, book: Book, levels: int) -> None:
        self._book = book
        self._levels = levels
        self._windows: dict[int, tuple[int, tuple[Row, ...]]] = {}
        self._texts: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._windows) + len(self._texts)

    def around(self, middle: int) -> tuple[Row, ...]:
        """All 21 rows of the window with ``middle`` in its row 10, with their sizes."""
        version, known = self._windows.get(middle, (None, ()))
        if version == self._book.version:
            return known
        top = middle + MIDDLE_ROW
        shown = self._book.levels(self._levels)
        made = [
            self._row(number, tick, *shown)
            for number, tick in enumerate(range(top, top - WINDOW_ROWS, -1))
        ]
        if known:
            made = [old if old == new else new for old, new in zip(known, made, strict=True)]
        rows = tuple(made)
        if middle not in self._windows and len(self._windows) >= _MOST_WINDOWS:
            del self._windows[next(iter(self._windows))]
        self._windows[middle] = (self._book.version, rows)
        return rows

    def text(self, tick: int) -> str:
        """The price text of a tick."""
        text = self._texts.get(tick)
        if text is None:
            if len(self._texts) >= _MOST_TEXTS:
                self._texts.clear()
            text = self._texts[tick] = self._book.contract.price_text(tick)
        return text

    def _row(self, number: int, tick: int, lowest_bid: int, highest_ask: int) -> Row:
        book, text, size = self._book, self.text(tick), self._book.size_at(tick)
        bid = str(size) if size > 0 and tick >= lowest_bid else None
        ask = str(-size) if size < 0 and tick <= highest_ask else None
        if tick == book.last:
            return Row(number, 1, f"{book.last_size} @ {text}", bid, ask)
        return Row(number, 0, text, bid, ask)
