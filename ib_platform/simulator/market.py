"""A market as ladders and quotes see it: the order book of one contract, and its last trade. Pure.

Who moves it is the subclass: ``synthetic`` walks at random, ``scripted`` plays what a file says.
"""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod

from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.ladder_rows import Windows


class Market(ABC):
    """Prices are whole ticks, sizes contracts, instants simulated monotonic seconds.

    ``last`` is None before the first trade. ``version`` counts changes: while it stays, nothing
    that can be seen here has changed. ``levels_shown``: levels of a side that a ladder shows; the
    recorded ladders never show many more than ten.
    """

    def __init__(self, contract: SimulatedContract, levels_shown: int = 10) -> None:
        self.contract = contract
        self.last: int | None = None
        self.last_size = 0
        self.volume = 0
        self.high: int | None = None
        self.low: int | None = None
        self.version = 0
        self.levels_shown = levels_shown
        self.windows = Windows(self, levels_shown)
        self._sizes: dict[int, int] = {}
        """Signed size by tick, bid > 0, ask < 0, no zeroes."""

    @abstractmethod
    def advance(self, now: float) -> None:
        """Let the market live until ``now``; an earlier instant changes nothing."""

    @property
    def best_bid(self) -> int | None:
        """Highest price with a bid; None if there is none."""
        return max((tick for tick, size in self._sizes.items() if size > 0), default=None)

    @property
    def best_ask(self) -> int | None:
        """Lowest price with an ask; None if there is none."""
        return min((tick for tick, size in self._sizes.items() if size < 0), default=None)

    @property
    def middle(self) -> int | None:
        """Where a window is laid: the last trade, else the touch; None while no price is known."""
        if self.last is not None:
            return self.last
        return self.best_ask if self.best_bid is None else self.best_bid

    def size_at(self, tick: int | None) -> int:
        """Signed size: bid > 0, ask < 0, 0 where nobody stands."""
        return 0 if tick is None else self._sizes.get(tick, 0)

    def levels(self, most: int) -> tuple[int, int]:
        """Lowest of the ``most`` best bids and highest of the ``most`` best asks; 0 for none."""
        bids = heapq.nlargest(most, (tick for tick, size in self._sizes.items() if size > 0))
        asks = heapq.nsmallest(most, (tick for tick, size in self._sizes.items() if size < 0))
        return min(bids, default=0), max(asks, default=0)

    def price_text(self, tick: int | None) -> str:
        """A price as IBKR shows it; empty for one that is not known."""
        return "" if tick is None else self.windows.text(tick)

    def _traded(self, tick: int, size: int) -> None:
        self.last, self.last_size = tick, size
        self.volume += size
        self.high = tick if self.high is None else max(self.high, tick)
        self.low = tick if self.low is None else min(self.low, tick)
