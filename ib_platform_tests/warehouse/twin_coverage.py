"""What a bar's span was worth: how long it was covered, which states are suspect, and returns of
1-minute mids where both ends can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ib_platform_tests.warehouse.recording import State
from ib_platform_tests.warehouse.twin_steps import Break

MINUTE = 60 * 10**9


@dataclass(frozen=True)
class Followed:
    """Spells of a contract in all runs, [begin, end) in nanoseconds, its breaks, and when its
    market is open."""

    spells: Sequence[tuple[int, int]]
    breaks: Sequence[Break]
    market: Sequence[tuple[int, int]]

    def covered(self, begin: int, end: int) -> int:
        """Nanoseconds of [begin, end) inside a spell and outside every gap."""
        gaps = [(b.begin, b.end) for b in self.breaks if b.run_id is None]
        cuts = sorted(
            {begin, end}
            | {cut for span in (*self.spells, *gaps) for cut in span if begin < cut < end}
        )
        return sum(
            right - left
            for left, right in zip(cuts, cuts[1:], strict=False)
            if any(b <= left and right <= e for b, e in self.spells)
            and not any(b <= left and right <= e for b, e in gaps)
        )

    def doubts(self, state: State) -> bool:
        """Whether a state must not be trusted."""
        return (
            state.update.suspect
            or (state.touch.crossed and any(b <= state.at < e for b, e in self.market))
            or any(b.run_id == state.run_id and b.begin <= state.at < b.end for b in self.breaks)
        )

    def doubted_between(self, begin: int, end: int) -> bool:
        """Whether a suspect window of any run lies between two instants."""
        return any(b.run_id is not None and b.begin <= end and b.end > begin for b in self.breaks)


def minute_returns(states: Iterable[State], followed: Followed) -> list[tuple[int, float]]:
    """(instant of the later mid, log return) of a contract's states of one trade date."""
    closes: dict[int, State] = {}
    for state in sorted(states, key=lambda s: (s.at, s.run_id, s.seq)):
        touch = state.touch
        sided = touch.bid is not None and touch.ask is not None and touch.bid + touch.ask > 0
        if sided and not touch.crossed and not followed.doubts(state):
            closes[state.at // MINUTE] = state
    mids = [(state.at, _twice(state)) for _, state in sorted(closes.items())]
    return [
        (at, math.log(mid / mid_before))
        for (at_before, mid_before), (at, mid) in zip(mids, mids[1:], strict=False)
        if followed.covered(at_before, at) == at - at_before
        and not followed.doubted_between(at_before, at)
    ]


def _twice(state: State) -> int:
    assert state.touch.bid is not None
    assert state.touch.ask is not None
    return state.touch.bid + state.touch.ask
