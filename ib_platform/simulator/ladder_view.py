"""IBKR's ladder of one market: market states -> ``sbd`` frames, as observed on real traffic.

21 rows, row 0 the highest price, one tick apart, strings everywhere; the last trade's row has the
focus and reads ``size @ price``; a delta holds the complete new state of every row that changed,
and of no other. A requested full frame comes a little later and shows only the touch; the deeper
levels follow in one big delta. When the last price has left the window, a full frame with depth
re-lays it unasked. (Observed page, points 1 to 7 and 12.) Pure: instants come from the caller.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import msgspec

from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.simulator.market import Market

MIDDLE_ROW = WINDOW_ROWS // 2


class Row(msgspec.Struct, omit_defaults=True, frozen=True):
    """One row object as it goes over the wire; at most one of ``bid`` and ``ask``."""

    row: int
    focus: int
    price: str
    bid: str | None = None
    ask: str | None = None


class _Frame(msgspec.Struct):
    topic: str
    data: list[Row]


@dataclass(frozen=True, slots=True)
class LadderParameters:
    """Delays in seconds, drawn evenly from the ranges; shares are probabilities.

    ``answer_delay``: request to full frame. ``depth_delay``: full frame to deeper levels.
    ``one_side_share`` and ``no_side_share``: full frames that show less than the touch.
    """

    answer_delay: tuple[float, float] = (0.2, 1.2)
    depth_delay: tuple[float, float] = (0.3, 3.5)
    one_side_share: float = 0.1
    no_side_share: float = 0.05


class LadderView:
    """One subscribed ladder. ``poll`` is called on the cadence grid by whoever has a clock."""

    def __init__(
        self, market: Market, *, seed: int, parameters: LadderParameters | None = None
    ) -> None:
        self._market = market
        self._parameters = parameters or LadderParameters()
        self._random = Random(f"ladder/{seed}/{market.contract.conid}")
        self._full_due: float | None = None
        self._depth_due: float | None = None
        self._middle: int | None = None
        self._shown: list[Row] = []

    def request(self, now: float) -> None:
        """The client asked (again): a full frame is due; the old window lives on until then."""
        if self._full_due is None:
            self._full_due = now + self._random.uniform(*self._parameters.answer_delay)

    def poll(self, now: float) -> list[Row] | None:
        """Rows of the frame that is due at ``now``, or None when nothing changed."""
        self._market.advance(now)
        if self._full_due is not None and now >= self._full_due:
            self._full_due = None
            self._depth_due = now + self._random.uniform(*self._parameters.depth_delay)
            return self._lay_window(self._market.last, self._visible_at_first())
        if self._middle is None:
            return None
        if abs(self._market.last - self._middle) > MIDDLE_ROW:
            self._depth_due = None
            return self._lay_window(self._market.last, None)
        if self._depth_due is not None and now >= self._depth_due:
            self._depth_due = None
        return self._delta(self._middle)

    def _visible_at_first(self) -> set[int]:
        """Prices whose sizes a requested full frame shows: the touch, or less."""
        touch = [self._market.best_bid, self._market.best_ask]
        luck = self._random.random()
        if luck < self._parameters.no_side_share:
            return set()
        if luck < self._parameters.no_side_share + self._parameters.one_side_share:
            return {self._random.choice(touch)}
        return set(touch)

    def _lay_window(self, middle: int, visible: set[int] | None) -> list[Row]:
        self._middle = middle
        self._shown = self._rows(middle, visible)
        return list(self._shown)

    def _delta(self, middle: int) -> list[Row] | None:
        warming_up = self._depth_due is not None
        touch = {self._market.best_bid, self._market.best_ask} if warming_up else None
        rows = self._rows(middle, touch)
        changed = [new for old, new in zip(self._shown, rows, strict=True) if old != new]
        self._shown = rows
        return changed or None

    def _rows(self, middle: int, visible: set[int] | None) -> list[Row]:
        """All 21 rows; sizes only at the prices in ``visible``, everywhere if None."""
        top = middle + MIDDLE_ROW
        return [
            self._row(number, top - number, visible is None or top - number in visible)
            for number in range(WINDOW_ROWS)
        ]

    def _row(self, number: int, tick: int, with_size: bool) -> Row:
        size = self._market.size_at(tick) if with_size else 0
        price = self._market.contract.price_text(tick)
        focus = tick == self._market.last
        return Row(
            row=number,
            focus=int(focus),
            price=f"{self._market.last_size} @ {price}" if focus else price,
            bid=str(size) if size > 0 else None,
            ask=str(-size) if size < 0 else None,
        )


def encode_ladder(account: str, conid: int, rows: list[Row]) -> bytes:
    """The frame on the wire: exactly the keys ``topic`` and ``data``, no spaces."""
    return msgspec.json.encode(_Frame(f"sbd+{account}+{conid}", rows))
