"""A seeded synthetic futures market: an order book around a walking price. Pure, no clock.

Events (trades, changed sizes, orders inside the spread, jumps, changes of pace) come at random
instants of the market's own time. The path depends on the seed alone, not on how often ``advance``
is called; only a market that nobody looked at for longer than ``longest_catch_up`` skips time.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from random import Random

from ib_platform.simulator.catalogue import SimulatedContract

_LOWEST_TICK = 200
"""Prices stay above this, so that a whole window is positive."""


class Phase(StrEnum):
    """Pace of the market."""

    QUIET = "quiet"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class MarketParameters:
    """How lively a market is. Rates are events a second, times are means in seconds.

    The rates give about the 1.5 to 3 ladder frames and 10 rows a second of the recorded busy
    hours (observed page, point 9). How often windows are re-laid is not known from recordings;
    ``jump_every`` is a guess on purpose lively, so that a short demo shows it.
    """

    quiet_rate: float = 2.0
    busy_rate: float = 12.0
    quiet_seconds: float = 40.0
    busy_seconds: float = 20.0
    jump_every: float = 75.0
    jump_ticks: tuple[int, int] = (12, 40)
    levels: int = 24
    trade_share: float = 0.3
    improve_share: float = 0.35
    widest_spread: int = 3
    longest_catch_up: float = 60.0


class Market:
    """Order book of one contract. Prices are whole ticks, sizes contracts, times seconds."""

    def __init__(
        self,
        contract: SimulatedContract,
        *,
        seed: int,
        start: float,
        parameters: MarketParameters | None = None,
    ) -> None:
        self.contract = contract
        self.parameters = parameters or MarketParameters()
        self.phase = Phase.QUIET
        self.volume = 0
        self.last_size = 1
        self.last = contract.start_tick
        self._anchor = contract.start_tick
        self._random = Random(f"{seed}/{contract.conid}")
        self._now = start
        self._bids: dict[int, int] = {}
        self._asks: dict[int, int] = {}
        self._lay_book(best_bid=self.last)
        self._next_event = start + self._random.expovariate(self._rate)
        self._next_phase = start + self._random.expovariate(1 / self.parameters.quiet_seconds)
        self._next_jump = start + self._random.expovariate(1 / self.parameters.jump_every)

    @property
    def best_bid(self) -> int:
        return max(self._bids)

    @property
    def best_ask(self) -> int:
        return min(self._asks)

    def size_at(self, tick: int) -> int:
        """Signed size: bid > 0, ask < 0, 0 where nobody stands."""
        return self._bids.get(tick, 0) - self._asks.get(tick, 0)

    def advance(self, now: float) -> None:
        """Let the market live until ``now``; an earlier instant changes nothing."""
        self._skip_idle_time(now)
        while (due := min(self._next_event, self._next_phase, self._next_jump)) <= now:
            if due == self._next_phase:
                self._change_phase(due)
            elif due == self._next_jump:
                self._jump()
                self._next_jump = due + self._random.expovariate(1 / self.parameters.jump_every)
            else:
                self._event()
                self._next_event = due + self._random.expovariate(self._rate)
        self._now = max(self._now, now)

    @property
    def _rate(self) -> float:
        quiet = self.phase is Phase.QUIET
        return self.parameters.quiet_rate if quiet else self.parameters.busy_rate

    def _skip_idle_time(self, now: float) -> None:
        skipped = now - self._now - self.parameters.longest_catch_up
        if skipped > 0:
            self._now += skipped
            self._next_event += skipped
            self._next_phase += skipped
            self._next_jump += skipped

    def _change_phase(self, now: float) -> None:
        busy = self.phase is Phase.QUIET
        self.phase = Phase.BUSY if busy else Phase.QUIET
        mean = self.parameters.busy_seconds if busy else self.parameters.quiet_seconds
        self._next_phase = now + self._random.expovariate(1 / mean)

    def _event(self) -> None:
        spread = self.best_ask - self.best_bid
        choice = self._random.random()
        if spread > self.parameters.widest_spread:
            self._improve()
        elif choice < self.parameters.trade_share:
            self._trade()
        elif choice < self.parameters.trade_share + self.parameters.improve_share and spread > 1:
            self._improve()
        else:
            self._resize()

    def _buyers_share(self) -> float:
        """Chance that the next move is up: the price is drawn back to where it began."""
        away = (self.last - self._anchor) / max(100, self._anchor // 20)
        return 0.5 - 0.4 * max(-1.0, min(1.0, away))

    def _trade(self) -> None:
        buy = self._random.random() < self._buyers_share()
        side, price = (self._asks, self.best_ask) if buy else (self._bids, self.best_bid)
        wanted = 1 + int(self._random.expovariate(3 / self.contract.product.typical_size))
        traded = min(wanted, side[price])
        self.last, self.last_size = price, traded
        self.volume += traded
        side[price] -= traded
        if side[price] == 0:
            del side[price]
            self._keep_depth()

    def _improve(self) -> None:
        """A new best order, one tick inside the spread."""
        if self._random.random() < self._buyers_share():
            self._bids[self.best_bid + 1] = self._level_size()
        else:
            self._asks[self.best_ask - 1] = self._level_size()
        self._keep_depth()

    def _resize(self) -> None:
        """Orders come and go at a level, more often near the touch; deeper levels may empty."""
        distance = min(int(self._random.expovariate(0.3)), self.parameters.levels - 1)
        bid = self._random.random() < 0.5
        side = self._bids if bid else self._asks
        price = self.best_bid - distance if bid else self.best_ask + distance
        if distance > 0 and self._random.random() < 0.03:
            side.pop(price, None)
        else:
            side[price] = self._level_size()

    def _jump(self) -> None:
        """News: trading goes on at a distance, in a book that was laid anew."""
        distance = self._random.randint(*self.parameters.jump_ticks)
        up = self._random.random() < self._buyers_share()
        self.last = max(_LOWEST_TICK, self.last + (distance if up else -distance))
        self.last_size = 1 + int(self._random.expovariate(1 / self.contract.product.typical_size))
        self.volume += self.last_size
        self._lay_book(best_bid=self.last if up else self.last - 1)

    def _lay_book(self, best_bid: int) -> None:
        self._bids = {best_bid: self._level_size()}
        self._asks = {best_bid + 1: self._level_size()}
        self._keep_depth()

    def _keep_depth(self) -> None:
        """Both sides reach ``levels`` ticks from their best price, and no further."""
        lowest = self.best_bid - self.parameters.levels
        highest = self.best_ask + self.parameters.levels
        for price in range(min(self._bids) - 1, lowest, -1):
            self._bids[price] = self._level_size()
        for price in range(max(self._asks) + 1, highest):
            self._asks[price] = self._level_size()
        self._bids = {price: size for price, size in self._bids.items() if price > lowest}
        self._asks = {price: size for price, size in self._asks.items() if price < highest}

    def _level_size(self) -> int:
        return 1 + int(self._random.expovariate(1 / self.contract.product.typical_size))
