"""What bars average, of one book state at a time: fractions by price, where queries/measures.sql
has integers by row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from ib_platform_tests.warehouse.recording import State

SIDES = {"bid": 1, "ask": -1}
COUNTS = (1, 5, 10)


def measures_of(state: State) -> dict[str, Fraction | None]:
    """Measure -> value, None where it is unknown. Spread in nanos."""
    touch = state.touch
    found: dict[str, Fraction | None] = dict.fromkeys(("spread", "ticks", "basis_points"))
    if touch.bid is not None and touch.ask is not None:
        assert state.update.tick is not None
        spread = Fraction(touch.ask - touch.bid)
        found["spread"] = spread
        found["ticks"] = spread / state.update.tick
        if min(touch.bid, touch.ask) > 0:
            found["basis_points"] = _billionths(
                10_000 * spread / Fraction(touch.bid + touch.ask, 2)
            )
    for count in COUNTS:
        for side in SIDES:
            found[f"{side}_depth_{count}"] = depth_of(state, side, count)
        bids, asks = found[f"bid_depth_{count}"], found[f"ask_depth_{count}"]
        found[f"imbalance_{count}"] = (
            None if bids is None or asks is None else _billionths((bids - asks) / (bids + asks))
        )
    return found


def depth_of(state: State, side: str, count: int) -> Fraction | None:
    """Contracts on ``count`` prices of a side, from the touch away; None where one is unknown."""
    touch, tick = state.touch, state.update.tick
    best = touch.bid if side == "bid" else touch.ask
    if best is None or tick is None or state.update.top_price is None:
        return None
    if count > 1 and not state.complete:
        return None
    book = {state.update.top_price - row * tick: size for row, size in enumerate(state.book)}
    prices = [best - SIDES[side] * step * tick for step in range(count)]
    if any(price not in book for price in prices):
        return None
    return Fraction(sum(max(0, SIDES[side] * book[price]) for price in prices))


def average(weighted: Iterable[tuple[Fraction | None, int]]) -> float | None:
    """Mean of (value, weight) over the known values; None without any weight."""
    known = [(value, weight) for value, weight in weighted if value is not None]
    total = sum(weight for _, weight in known)
    return float(sum(v * w for v, w in known) / total) if total else None


def averaged_columns(
    by_state: list[State], by_time: list[tuple[State, int]], close: State
) -> Iterator[tuple[str, float | None]]:
    """(column, value) of every measure: over states, over time (state, nanoseconds), at close."""
    states = [(measures_of(state), 1) for state in by_state]
    times = [(measures_of(state), length) for state, length in by_time]
    for unit in ("ticks", "basis_points"):
        yield f"spread_mean_{unit}", average((m[unit], w) for m, w in states)
        yield f"spread_time_weighted_{unit}", average((m[unit], w) for m, w in times)
    last = measures_of(close)
    for count in COUNTS:
        names = [f"bid_depth_{count}", f"ask_depth_{count}", f"imbalance_{count}"]
        for name in names:
            yield f"{name}_time_weighted", average((m[name], w) for m, w in times)
        if count > 1:
            bids, asks, _ = (last[name] for name in names)
            yield f"bid_depth_{count}_close", None if bids is None else float(bids)
            yield f"ask_depth_{count}_close", None if asks is None else float(asks)
            yield (
                f"imbalance_{count}_close",
                None if bids is None or asks is None else float((bids - asks) / (bids + asks)),
            )
            seconds = sum(w for m, w in times if m[names[2]] is not None) / 1e9
            yield f"depth_{count}_seconds", seconds


def _billionths(value: Fraction) -> Fraction:
    """Rounded to a billionth towards zero."""
    return Fraction(int(value * 10**9), 10**9)
