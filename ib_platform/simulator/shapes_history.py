"""The body of ``/iserver/marketdata/history``, as recorded from the real API. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.history import Bar, bar_seconds
from ib_platform.simulator.shapes import Json


def history(
    contract: SimulatedContract, bars: Sequence[Bar], *, period: str, bar: str, outside_rth: bool
) -> Json:
    """``bars``: at least one, oldest first. ``t`` is in milliseconds, ``points`` the index of the
    last bar. ``mdAvailability`` is S for everybody: history is not field 6509."""
    digits = -int(contract.product.tick.as_tuple().exponent)
    begin = datetime.fromtimestamp(bars[0].begin, UTC)
    return {
        "serverId": "20477",
        "symbol": contract.product.symbol,
        "text": contract.product.name,
        "priceFactor": 10**digits,
        "startTime": f"{begin:%Y%m%d-%H:%M:%S}",
        "high": _extreme(max(bars, key=lambda one: one.high), "high", bars[0], digits),
        "low": _extreme(min(bars, key=lambda one: one.low), "low", bars[0], digits),
        "timePeriod": period,
        "barLength": bar_seconds(bar),
        "mdAvailability": "S",
        "mktDataDelay": 0,
        "outsideRth": outside_rth,
        "tradingDayDuration": 1380,
        "volumeFactor": 1,
        "priceDisplayRule": 1,
        "priceDisplayValue": str(digits),
        "negativeCapable": False,
        "messageVersion": 2,
        "data": [
            {
                "o": one.open,
                "c": one.close,
                "h": one.high,
                "l": one.low,
                "v": float(one.volume),
                "t": one.begin * 1000,
            }
            for one in bars
        ],
        "points": len(bars) - 1,
    }


def _extreme(one: Bar, side: str, first: Bar, digits: int) -> str:
    """``price x priceFactor / volume / minutes since the begin``."""
    price = one.high if side == "high" else one.low
    minutes = (one.begin - first.begin) // 60
    return f"{round(price * 10**digits)}/{one.volume}/{minutes}"
