"""IBKR's ladder of one market: market states -> ``sbd`` frames, as observed on real traffic.

A delta holds the complete new state of every row that changed, and of no other. A requested full
frame comes a little later and shows only the touch; the deeper levels follow in one big delta of
18 to 21 rows. When the last price has left the window, a full frame with depth re-lays it unasked.
While a market is closed nothing comes but an answer to a request. (Observed page, points 1 to 8
and 12.) Pure: instants and phases come from the caller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.ladder_rows import MIDDLE_ROW, Row, encode_ladder
from ib_platform.simulator.ladder_truth import LadderTruth, truth_of
from ib_platform.simulator.market import Market
from ib_platform.simulator.parameters import Share, Span, parameters

__all__ = ["LadderParameters", "LadderView", "Row", "encode_ladder"]


@parameters
class LadderParameters:
    """Delays in seconds, drawn evenly from the ranges; shares are probabilities.

    ``answer_delay``: request to full frame. ``depth_delay``: full frame to deeper levels;
    ``early_depth_delay`` takes its place in ``early_depth_share`` of the cases.
    ``one_side_share`` and ``no_side_share``: full frames that show less than the touch.
    ``around_zero_share``: requests that are first answered with a window around price zero,
    before any price is known; ``whole_zero_share`` of these show 21 rows and are re-priced by a
    frame of fewer, the others show the upper 11 rows and a full frame follows.
    ``zero_delay``: from the window around zero to the real one.
    """

    answer_delay: Span = (0.2, 0.6)
    depth_delay: Span = (2.8, 3.35)
    early_depth_delay: Span = (0.2, 0.6)
    early_depth_share: Share = 0.07
    one_side_share: Share = 0.02
    no_side_share: Share = 0.01
    around_zero_share: Share = 0.005
    whole_zero_share: Share = 0.5
    zero_delay: Span = (0.1, 1.0)


class LadderView:
    """One subscribed ladder. ``poll`` is called on the cadence grid by whoever has a clock.

    ``phase`` tells the market's phase at the instant of a poll; without it, it is always open.
    """

    def __init__(
        self,
        market: Market,
        *,
        seed: int,
        parameters: LadderParameters | None = None,
        phase: Callable[[], MarketPhase] | None = None,
    ) -> None:
        self._market = market
        self._parameters = parameters or LadderParameters()
        self._phase = phase
        self._random = Random(f"ladder/{seed}/{market.contract.conid}")
        self._full_due: float | None = None
        self._depth_due: float | None = None
        self._zero_until: float | None = None
        self._begins_around_zero = False
        self._relay_asked = False
        self._middle: int | None = None
        self._shown: Sequence[Row] = ()
        self._version = -1
        """The market's version that ``_shown`` was made of."""
        self._showing: frozenset[int | None] | None = None
        """Ticks whose sizes are shown; None for all of the window."""
        self._awaited = self._begins = self._whole = False

    def request(self, now: float) -> None:
        """The client asked (again): a full frame is due; the old window lives on until then."""
        self._awaited = True
        if self._full_due is None:
            self._full_due = now + self._random.uniform(*self._parameters.answer_delay)

    def relay(self) -> None:
        """The next poll lays the window anew, with its depth, though nobody asked."""
        self._relay_asked = True

    def lay_around_zero(self) -> None:
        """The next requested window is laid around zero, and re-priced later."""
        self._begins_around_zero = True

    def truth(self) -> LadderTruth:
        """What the ladder is at the instant of the frame that ``poll`` has just returned, and
        which of it no frame has shown: from the market, not from the rows."""
        middle = 0 if self._middle is None else self._middle
        return truth_of(
            self._market,
            middle + MIDDLE_ROW,
            self._showing,
            begins=self._begins,
            whole=self._whole,
        )

    def poll(self, now: float) -> list[Row] | None:
        """Rows of the frame that is due at ``now``, or None when nothing changed."""
        rows = self._poll(now)
        if rows is not None:
            self._whole = len(rows) == WINDOW_ROWS
            self._begins = self._whole and self._awaited
            self._awaited = self._awaited and not self._whole
        return rows

    def _poll(self, now: float) -> list[Row] | None:
        moving = self._phase is None or self._phase().moves
        if moving:
            self._market.advance(now)
        if self._full_due is not None and now >= self._full_due:
            self._full_due = None
            return self._answer(now)
        if self._zero_until is not None:
            return self._reprice(now)
        if self._middle is None or not moving:
            return None
        if self._relay_asked or self._has_walked_away(self._middle):
            return self._relay()
        return self._delta(self._middle, now)

    def _answer(self, now: float) -> list[Row]:
        """The full frame that was asked for."""
        self._relay_asked = False
        middle = self._market.middle
        lucky = self._random.random() < self._parameters.around_zero_share
        if middle is None or self._begins_around_zero or lucky:
            return self._lay_around_zero(now)
        self._zero_until = None
        return self._lay_touch(middle, now)

    def _lay_touch(self, middle: int, now: float) -> list[Row]:
        """A window in warm-up: the touch, or less of it; the depth comes later."""
        early = self._random.random() < self._parameters.early_depth_share
        delay = self._parameters.early_depth_delay if early else self._parameters.depth_delay
        self._depth_due = now + self._random.uniform(*delay)
        self._showing = self._visible_at_first()
        return self._lay(middle, self._only(self._showing, middle))

    def _visible_at_first(self) -> frozenset[int | None]:
        """Prices whose sizes a requested full frame shows: the touch, or less."""
        touch = [self._market.best_bid, self._market.best_ask]
        luck = self._random.random()
        if luck < self._parameters.no_side_share:
            return frozenset()
        if luck < self._parameters.no_side_share + self._parameters.one_side_share:
            return frozenset({self._random.choice(touch)})
        return frozenset(touch)

    def _lay_around_zero(self, now: float) -> list[Row]:
        self._begins_around_zero = False
        self._middle, self._depth_due, self._showing = None, None, frozenset()
        self._zero_until = now + self._random.uniform(*self._parameters.zero_delay)
        text = self._market.contract.price_text
        rows = [Row(number, 0, text(MIDDLE_ROW - number)) for number in range(2 * MIDDLE_ROW + 1)]
        whole = self._random.random() < self._parameters.whole_zero_share
        self._shown = rows if whole else rows[: MIDDLE_ROW + 1]
        return list(self._shown)

    def _reprice(self, now: float) -> list[Row] | None:
        """From zero to the real prices: rows with something to say, or a full frame."""
        middle = self._market.middle
        if self._zero_until is None or now < self._zero_until or middle is None:
            return None
        self._zero_until = None
        if len(self._shown) <= MIDDLE_ROW + 1:
            return self._lay_touch(middle, now)
        rows, self._showing = list(self._market.windows.around(middle)), None
        if all(row.has_size or row.focus for row in rows):
            # 21 rows would be a full frame: the last one follows with the next delta.
            rows[-1] = rows[-1].without_size()
            self._showing = frozenset(range(middle - MIDDLE_ROW + 1, middle + MIDDLE_ROW + 1))
        self._lay(middle, rows)
        self._version -= 1
        return [row for row in rows if row.has_size or row.focus] or None

    def _has_walked_away(self, middle: int) -> bool:
        last = self._market.last
        return last is not None and abs(last - middle) > MIDDLE_ROW

    def _relay(self) -> list[Row] | None:
        self._relay_asked, self._depth_due, self._showing = False, None, None
        middle = self._market.middle
        if middle is None:
            return None
        return self._lay(middle, self._market.windows.around(middle))

    def _lay(self, middle: int, rows: Sequence[Row]) -> list[Row]:
        self._middle, self._shown, self._version = middle, rows, self._market.version
        return list(rows)

    def _delta(self, middle: int, now: float) -> list[Row] | None:
        warm = self._depth_due is None or now >= self._depth_due
        if warm and self._depth_due is not None:
            self._depth_due = None
        elif self._version == self._market.version:
            return None
        rows: Sequence[Row] = self._market.windows.around(middle)
        self._showing = None
        if not warm:
            self._showing = frozenset({self._market.best_bid, self._market.best_ask})
            rows = self._only(self._showing, middle)
        pairs = zip(self._shown, rows, strict=True)
        changed = [new for old, new in pairs if old is not new and old != new]
        self._shown, self._version = rows, self._market.version
        return changed or None

    def _only(self, visible: frozenset[int | None], middle: int) -> list[Row]:
        """The window with sizes at the ``visible`` prices alone."""
        top = middle + MIDDLE_ROW
        return [
            row if not row.has_size or top - row.row in visible else row.without_size()
            for row in self._market.windows.around(middle)
        ]
