"""A seeded synthetic futures market: an order book around a walking price. Pure, no clock.

Changes come in bursts at random instants of the market's own time: sizes grow and shrink, orders
step into the spread, the best level is traded or withdrawn. Its rates and sizes are calibrated on
recorded frames (``python -m benchmarks.calibration`` prints the comparison). The path depends on
the seed alone, not on how often ``advance`` is called; only a market that nobody looked at for
longer than ``longest_catch_up`` skips time. While trading rests, so does the market's time.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum
from random import Random

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.market import Market
from ib_platform.simulator.market_parameters import MarketParameters

_LOWEST_TICK = 200
"""Prices stay above this, so that a whole window is positive."""

Phases = Callable[[float], tuple[MarketPhase, float]]
"""Phase at an instant, and the instant at which the next one begins."""


class Pace(StrEnum):
    """How busy the market is while it is open."""

    QUIET = "quiet"
    BUSY = "busy"


class SyntheticMarket(Market):
    """Order book of one contract that lives by itself; never crossed, always two-sided."""

    def __init__(
        self,
        contract: SimulatedContract,
        *,
        seed: int,
        start: float,
        parameters: MarketParameters | None = None,
        phases: Phases | None = None,
    ) -> None:
        self.parameters = parameters or MarketParameters()
        super().__init__(contract, self.parameters.levels_shown)
        self.pace = Pace.QUIET
        self._phases = phases or (lambda _: (MarketPhase.OPEN, math.inf))
        self._random = Random(f"{seed}/{contract.conid}")
        self._now = start
        self._bid = self._ask = self._anchor = contract.start_tick
        if self.parameters.traded_before:
            self.last, self.last_size = self._anchor, 1
        self._lay_book(best_bid=self._anchor)
        self._next_burst = start + self._random.expovariate(self._rate)
        self._next_pace = start + self._random.expovariate(1 / self.parameters.quiet_seconds)
        self._next_jump = start + self._random.expovariate(1 / self.parameters.jump_every)
        self._phase, self._next_phase = MarketPhase.OPEN, start
        self._enter_phase(start)

    @property
    def best_bid(self) -> int:
        return self._bid

    @property
    def best_ask(self) -> int:
        return self._ask

    def advance(self, now: float) -> None:
        self._skip_idle_time(now)
        while (due := min(self._next_burst, self._next_phase, self._next_pace)) <= now:
            if due == self._next_phase:
                self._enter_phase(due)
            elif due == self._next_pace:
                self._change_pace(due)
            else:
                self._burst(due)
        self._now = max(self._now, now)

    @property
    def _rate(self) -> float:
        quiet = self.pace is Pace.QUIET
        return self.parameters.quiet_rate if quiet else self.parameters.busy_rate

    def _rests(self) -> bool:
        return not self._phase.moves

    def _skip_idle_time(self, now: float) -> None:
        """Time that nobody looked at is not lived through; a rest that is known does not count."""
        since = max(self._now, self._next_phase) if self._rests() else self._now
        skipped = now - since - self.parameters.longest_catch_up
        if skipped > 0:
            self._now = since + skipped
            self._postpone(skipped)
            self._enter_phase(self._now)

    def _postpone(self, seconds: float) -> None:
        self._next_burst += seconds
        self._next_pace += seconds
        self._next_jump += seconds

    def _enter_phase(self, now: float) -> None:
        before = self._phase
        self._phase, self._next_phase = self._phases(now)
        if self._rests():
            self._postpone(self._next_phase - now)
        elif self._phase is MarketPhase.OPEN and before is not MarketPhase.OPEN:
            self._open()

    def _open(self) -> None:
        if self._random.random() < self.parameters.opening_jump_share:
            self._jump(self.parameters.opening_jump_ticks)

    def _change_pace(self, now: float) -> None:
        busy = self.pace is Pace.QUIET
        self.pace = Pace.BUSY if busy else Pace.QUIET
        mean = self.parameters.busy_seconds if busy else self.parameters.quiet_seconds
        self._next_pace = now + self._random.expovariate(1 / mean)

    def _burst(self, now: float) -> None:
        trading = self._phase is MarketPhase.OPEN
        self.version += 1
        if self._next_jump <= now:
            self._next_jump = now + self._random.expovariate(1 / self.parameters.jump_every)
            if trading:
                self._jump(self.parameters.jump_ticks)
        mean_further = self.parameters.changes - 1
        further = int(self._random.expovariate(1 / mean_further)) if mean_further > 0 else 0
        for _ in range(1 + further):
            self._change(trading)
        self._next_burst = now + self._random.expovariate(self._rate)

    def _change(self, trading: bool) -> None:
        spread = self._ask - self._bid
        if spread > self.parameters.widest_spread or (
            spread > 1 and self._random.random() < self.parameters.improve_share
        ):
            self._improve()
        elif trading and spread == 1 and self._random.random() < self.parameters.trade_share:
            self._trade()
        elif self._random.random() < self.parameters.withdraw_share:
            self._withdraw()
        else:
            self._resize()

    def _buyers_share(self) -> float:
        """Chance that the next move is up: the price is drawn back to where it began."""
        away = (self._bid - self._anchor) / max(100, self._anchor // 20)
        return 0.5 - 0.4 * max(-1.0, min(1.0, away))

    def _trade(self) -> None:
        buy = self._random.random() < self._buyers_share()
        price = self._ask if buy else self._bid
        there = abs(self._sizes[price])
        size = min(self._traded_size(), there)
        self._traded(price, size)
        self._set(price, there - size, bid=not buy)

    def _improve(self) -> None:
        """A new best order, one tick inside the spread."""
        bid = self._random.random() < self._buyers_share()
        price = self._bid + 1 if bid else self._ask - 1
        self._set(price, max(1, self._drawn_size(0) // 3), bid=bid)

    def _withdraw(self) -> None:
        """The orders of a best price are cancelled: the spread opens without a trade."""
        bid = self._random.random() >= self._buyers_share()
        self._set(self._bid if bid else self._ask, 0, bid=bid)

    def _resize(self) -> None:
        """Orders come and go at a level, more often near the touch."""
        distance = int(self._random.expovariate(self.parameters.nearness))
        distance = min(distance, self.parameters.levels - 1)
        bid = self._random.random() < 0.5
        price = self._bid - distance if bid else self._ask + distance
        if self._random.random() < self.parameters.renew_share:
            self._set(price, self._drawn_size(distance), bid=bid)
            return
        mean, size = self._mean_size(distance), abs(self._sizes.get(price, 0))
        grows = self._random.random() < 0.5 + 0.4 * max(-1.0, min(1.0, (mean - size) / mean))
        wanted = self.parameters.size_step * self.contract.product.typical_size
        step = 1 + int(self._random.expovariate(1 / wanted))
        self._set(price, max(0, size + step if grows else size - step), bid=bid)

    def _set(self, price: int, size: int, *, bid: bool) -> None:
        """A level's new size; the touch moves where it appears or is gone."""
        if size > 0:
            self._sizes[price] = size if bid else -size
        else:
            self._sizes.pop(price, None)
        if bid and size > 0 and price > self._bid:
            self._bid = price
        elif not bid and size > 0 and price < self._ask:
            self._ask = price
        elif size == 0 and price == self._bid:
            self._bid = next(p for p in range(price - 1, 0, -1) if self._sizes.get(p, 0) > 0)
        elif size == 0 and price == self._ask:
            self._ask = next(p for p in range(price + 1, price + 10_000) if p in self._sizes)
        else:
            return
        self._keep_depth()

    def _jump(self, ticks: tuple[int, int]) -> None:
        """News: trading goes on at a distance, in a book that was laid anew."""
        distance = self._random.randint(*ticks)
        up = self._random.random() < self._buyers_share()
        price = max(_LOWEST_TICK, self._bid + (distance if up else -distance))
        self.version += 1
        self._traded(price, self._traded_size())
        self._lay_book(best_bid=price if up else price - 1)

    def _lay_book(self, best_bid: int) -> None:
        self._bid, self._ask = best_bid, best_bid + 1
        self._sizes = {self._bid: self._drawn_size(0), self._ask: -self._drawn_size(0)}
        self._keep_depth()

    def _keep_depth(self) -> None:
        """Both sides reach ``levels`` ticks from their best price, and no further."""
        sizes, levels = self._sizes, self.parameters.levels
        lowest, highest = min(sizes), max(sizes)
        for price in range(lowest - 1, self._bid - levels, -1):
            sizes[price] = self._drawn_size(self._bid - price)
        for price in range(highest + 1, self._ask + levels):
            sizes[price] = -self._drawn_size(price - self._ask)
        for price in range(lowest, self._bid - levels + 1):
            sizes.pop(price, None)
        for price in range(self._ask + levels, highest + 1):
            sizes.pop(price, None)

    def _mean_size(self, distance: int) -> float:
        profile = self.parameters.profile
        return profile[min(distance, len(profile) - 1)] * self.contract.product.typical_size

    def _drawn_size(self, distance: int) -> int:
        """A level's size that nobody has seen before."""
        return 1 + int(self._random.gammavariate(6.0, self._mean_size(distance) / 6.0))

    def _traded_size(self) -> int:
        if self._random.random() < self.parameters.one_lot_share:
            return 1
        mean = self.parameters.trade_size * self.contract.product.typical_size
        return 1 + int(self._random.expovariate(1 / mean))
