"""What the rows of a ladder truly are when a frame leaves: an oracle for whoever rebuilds books.

Taken from the market itself, never from the rows that were sent, so that it shares nothing with the
encoding, the decoder or the definition of depth. Off unless ``World.truths`` is set. Pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.simulator.market import Market


@dataclass(frozen=True, slots=True)
class LadderTruth:
    """One ladder at the instant of a frame.

    ``top``: tick of row 0. ``sizes``: signed sizes of the 21 rows, bid > 0, ask < 0, as deep as a
    ladder ever shows. ``withheld``: rows whose size has not been shown since the window was laid,
    so that no client can know it. ``last``: tick and size of the last trade, None before the first.
    ``begins``: the first frame of 21 rows after a request. ``whole``: the frame has 21 rows.
    ``faithful``: the frame was sent as it should be; false while a fault makes it lie.
    """

    top: int
    sizes: tuple[int, ...]
    withheld: frozenset[int]
    last: tuple[int, int] | None
    begins: bool
    whole: bool
    faithful: bool = True

    @property
    def known(self) -> tuple[int, ...]:
        """The book of a client that missed nothing: 0 where a size is withheld."""
        return tuple(0 if row in self.withheld else size for row, size in enumerate(self.sizes))


Truths = Callable[[str, int, LadderTruth], None]
"""Takes username, conid and truth just before the frame is handed on."""


def truth_of(
    market: Market, top: int, shown: frozenset[int | None] | None, *, begins: bool, whole: bool
) -> LadderTruth:
    """The truth of a window. ``shown``: ticks whose sizes it shows, None for all of them."""
    lowest_bid, highest_ask = market.levels(market.levels_shown)
    sizes = []
    for tick in range(top, top - WINDOW_ROWS, -1):
        size = market.size_at(tick)
        is_shown = tick >= lowest_bid if size > 0 else tick <= highest_ask
        sizes.append(size if is_shown else 0)
    withheld = frozenset(
        row
        for row, size in enumerate(sizes)
        if size and shown is not None and top - row not in shown
    )
    last = None if market.last is None else (market.last, market.last_size)
    return LadderTruth(top, tuple(sizes), withheld, last, begins, whole)
