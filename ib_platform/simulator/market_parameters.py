"""How lively a synthetic market is, calibrated on recorded frames."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from ib_platform.simulator.parameters import Rate, Seconds, Share, TickSpan, parameters

_Often = Annotated[float, Field(gt=0, le=1_000)]
_Levels = Annotated[int, Field(ge=1, le=1_000)]


@parameters
class MarketParameters:
    """How lively a market is. Rates are bursts of changes a second, times are means in seconds.

    ``changes``: mean number of changes in a burst. Shares are of changes: ``trade_share`` trades
    (while the spread is one tick), ``withdraw_share`` cancelled best levels, ``renew_share`` sizes
    drawn anew, the rest steps of a size; ``improve_share`` is the chance that a change fills a
    spread wider than one tick. ``nearness``: how strongly changes prefer levels near the touch.
    ``profile``: mean size by distance from the touch, in typical sizes, the last one for all deeper
    levels. ``size_step`` and ``trade_size``: means in typical sizes, the latter of trades that are
    no ``one_lot_share``. ``levels_shown``: levels of a side in a ladder.

    ``jump_every``: mean time between jumps of the price that make every window be laid anew. The
    recordings cannot tell it: in 17 minutes of watching the price never left a window.
    ``opening_jump_share``: how often the market opens at a distance after it was closed.
    ``traded_before``: false for a market whose first trade is still to come.
    """

    quiet_rate: _Often = 1.5
    busy_rate: _Often = 5.0
    quiet_seconds: Rate = 40.0
    busy_seconds: Rate = 20.0
    changes: _Often = 4.3
    trade_share: Share = 0.034
    improve_share: Share = 0.08
    withdraw_share: Share = 0.008
    renew_share: Share = 0.03
    nearness: Rate = 0.45
    profile: Annotated[tuple[Rate, ...], Field(min_length=1)] = (0.78, 3.2, 2.1, 0.88, 0.78)
    size_step: Rate = 0.12
    one_lot_share: Share = 0.5
    trade_size: Rate = 0.2
    levels: _Levels = 24
    levels_shown: _Levels = 10
    widest_spread: _Levels = 3
    jump_every: Annotated[float, Field(ge=1)] = 1800.0
    jump_ticks: TickSpan = (12, 40)
    opening_jump_share: Share = 0.5
    opening_jump_ticks: TickSpan = (1, 15)
    traded_before: bool = True
    longest_catch_up: Seconds = 60.0

    @model_validator(mode="after")
    def _levels_are_kept(self) -> Self:
        if self.levels_shown > self.levels:
            raise ValueError("levels_shown is more than levels: what is shown has to be kept")
        return self
