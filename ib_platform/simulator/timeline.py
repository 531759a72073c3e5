"""When the faults of a scenario begin. Pure: elapsed simulated seconds come from the caller."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from random import Random

from ib_platform.simulator.scenario import ScheduledFault


class Timeline:
    """The occurrences of a scenario's faults, in order. The same seed draws the same evening."""

    def __init__(self, faults: Sequence[ScheduledFault], seed: int) -> None:
        self._faults = tuple(faults)
        self._luck = [Random(f"timeline/{seed}/{number}") for number in range(len(faults))]
        self._due = [(_first(fault), number) for number, fault in enumerate(faults)]
        heapq.heapify(self._due)

    @property
    def next_due(self) -> float | None:
        """Seconds after the start of the next occurrence; None when nothing comes any more.
        Whether it happens is drawn only then."""
        return self._due[0][0] if self._due else None

    def take(self, elapsed: float) -> list[ScheduledFault]:
        """What begins up to ``elapsed`` and has not been taken, in order."""
        begun = []
        while self._due and self._due[0][0] <= elapsed:
            due, number = heapq.heappop(self._due)
            fault = self._faults[number]
            if fault.every is not None:
                heapq.heappush(self._due, (due + fault.every, number))
            if self._luck[number].random() < fault.probability:
                begun.append(fault)
        return begun


def _first(fault: ScheduledFault) -> float:
    if fault.at is not None:
        return fault.at
    assert fault.every is not None, "one of both is there"
    return fault.every
