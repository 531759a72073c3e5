"""Ladder frames: message bytes -> typed rows.

The semantics are those measured on real frames (``ibkr_ladder_observed.md``, points 1 to 14): a
ladder has 21 rows, row 0 the highest price, one tick apart. A row object is the row's complete new
state; it has at most one of ``bid`` and ``ask``, and neither means that the row is empty. Exactly
one row has the focus: the last trade's, whose price reads ``size @ price``.

Anything that cannot be read becomes an ``Undecodable`` with a reason: never an exception, never a
guess.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ib_platform.marketdata.frames import Undecodable
from ib_platform.marketdata.prices import Unreadable, last_trade_and_price, size_of

WINDOW_ROWS = 21


@dataclass(frozen=True, slots=True)
class LadderRow:
    """Complete new state of one row.

    ``price``: nanos (1e-9). ``size``: contracts, bid > 0, ask < 0, 0 for an empty row.
    ``last_size``: size of the last trade if this row has the focus and shows it, else None.
    """

    row: int
    price: int
    size: int
    focus: bool
    last_size: int | None


@dataclass(frozen=True, slots=True)
class LadderRows:
    """One ladder frame, decoded. ``is_full``: all 21 rows, so it lays a window."""

    rows: tuple[LadderRow, ...]

    @property
    def is_full(self) -> bool:
        return len(self.rows) == WINDOW_ROWS

    @property
    def last_trade(self) -> tuple[int, int] | None:
        """(price in nanos, size) of the last trade, if this frame shows it."""
        for row in self.rows:
            if row.focus and row.last_size is not None:
                return row.price, row.last_size
        return None


class _Row(msgspec.Struct):
    row: int
    price: str | int | float
    focus: int = 0
    bid: str | int | float | None = None
    ask: str | int | float | None = None


class _Message(msgspec.Struct):
    data: list[_Row]


_decode_message = msgspec.json.Decoder(_Message).decode


def decode_ladder(payload: bytes | str) -> LadderRows | Undecodable:
    """Rows of a ladder frame, in row order, or why they cannot be known."""
    try:
        message = _decode_message(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        shape = isinstance(error, msgspec.ValidationError)
        return Undecodable("bad_shape" if shape else "not_json", str(error)[:200])
    if not message.data:
        return Undecodable("no_rows", "the frame has no rows")
    try:
        rows = [_typed(row) for row in message.data]
    except Unreadable as error:
        return Undecodable(error.reason, str(error))
    rows.sort(key=_row_number)
    for above, below in zip(rows, rows[1:], strict=False):
        if above.row == below.row:
            return Undecodable("row_twice", f"row {below.row} appears twice in one frame")
    if sum(row.focus for row in rows) > 1:
        return Undecodable("two_focus_rows", "more than one row has the focus")
    return LadderRows(tuple(rows))


def _row_number(row: LadderRow) -> int:
    return row.row


def _typed(raw: _Row) -> LadderRow:
    if not 0 <= raw.row < WINDOW_ROWS:
        raise Unreadable("row_out_of_range", raw.row)
    if raw.focus not in (0, 1):
        raise Unreadable("bad_focus", raw.focus)
    if raw.bid is not None and raw.ask is not None:
        raise Unreadable("bid_and_ask", f"row {raw.row}: bid {raw.bid} and ask {raw.ask}")
    last_size, price = last_trade_and_price(raw.price)
    size = 0
    if raw.bid is not None:
        size = size_of(raw.bid)
    elif raw.ask is not None:
        size = -size_of(raw.ask)
    return LadderRow(raw.row, price, size, raw.focus == 1, last_size)
