"""Steps from one book state to the next: what flowed at the touch, and trades that were seen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ib_platform.marketdata.prices import to_decimal
from ib_platform_tests.warehouse.recording import State


@dataclass(frozen=True)
class Break:
    """A gap (``run_id`` is None) or a suspect window of a run: [begin, end) in nanoseconds."""

    conid: int
    run_id: str | None
    begin: int
    end: int

    def parts(self, earlier: State, later: State) -> bool:
        """Whether it lies between two states of a run. A state at the begin of a gap is the last
        one before it, a state at the begin of a suspect window is suspect already."""
        if self.conid != later.conid or self.run_id not in (None, later.run_id):
            return False
        begun = self.begin < later.at if self.run_id is None else self.begin <= later.at
        return begun and self.end > earlier.at


@dataclass(frozen=True)
class Lasting:
    """A state, the instant until which it lasted, and the state of its run before it."""

    state: State
    until: int
    before: Lasting | None
    last_trade: tuple[int, int] | None
    """(price, size) of the last trade that the window has shown so far."""

    @property
    def spread(self) -> int:
        touch = self.state.touch
        return touch.ask - touch.bid if touch.ask is not None and touch.bid is not None else 0


def steps_of(members: Sequence[Lasting], breaks: Sequence[Break]) -> Iterator[Lasting]:
    """The members that may be compared with the state before them, in the same order."""
    for member in members:
        if member.before is None:
            continue
        earlier, later = member.before.state, member.state
        doubted = any(s.update.suspect or s.touch.crossed for s in (earlier, later))
        same = earlier.update.epoch == later.update.epoch
        if same and not doubted and not any(b.parts(earlier, later) for b in breaks):
            yield member


def step_columns(steps: Iterator[Lasting]) -> dict[str, Any]:
    """Columns of the steps of a bar, ordered by the clock."""
    flows, trades, compared = [], [], 0
    for step in steps:
        assert step.before is not None
        flow = order_flow(step.before.state, step.state)
        if flow is not None:
            flows.append(flow)
        if step.last_trade is not None and step.before.last_trade is not None:
            compared += 1
            if step.last_trade != step.before.last_trade:
                trades.append(to_decimal(step.last_trade[0]))
    return {
        "order_flow_imbalance": sum(flows) if flows else None,
        "order_flow_steps": len(flows),
        "last_trade_open": trades[0] if trades else None,
        "last_trade_high": max(trades, default=None),
        "last_trade_low": min(trades, default=None),
        "last_trade_close": trades[-1] if trades else None,
        "last_trade_changes": len(trades) if compared else None,
    }


def order_flow(earlier: State, later: State) -> int | None:
    """e_n of Cont, Kukanov and Stoikov (2014) case by case: None unless both are two-sided."""
    old, new = earlier.touch, later.touch
    if None in (old.bid, old.ask, new.bid, new.ask):
        return None
    sides = (
        (1, old.bid, new.bid, old.bid_size, new.bid_size),
        # An ask that falls is as strong as a bid that rises.
        (-1, -old.ask, -new.ask, old.ask_size, new.ask_size),  # type: ignore[operator]
    )
    flow = 0
    for sign, price_before, price, size_before, size in sides:
        assert price is not None
        assert price_before is not None
        assert size is not None
        assert size_before is not None
        if price > price_before:
            flow += sign * size
        elif price < price_before:
            flow -= sign * size_before
        else:
            flow += sign * (size - size_before)
    return flow
