"""Faults that are active now, and who is told when one begins. Pure: instants come from the caller.

A fault has a kind, maybe a user and a contract symbol that it is limited to, parameters, and an
end. What a kind does, is documented in ``fault_kinds`` and done where the fault bites: REST guard,
websocket, ladder, session, login page.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ib_platform.simulator.fault_kinds import SPECS, FaultKind

Value = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Fault:
    """One injected fault. ``until``: simulated monotonic seconds, None = until stopped."""

    number: int
    kind: FaultKind
    username: str | None = None
    symbol: str | None = None
    until: float | None = None
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Value:
        """A parameter of this fault, or its documented default."""
        return self.parameters.get(name, SPECS[self.kind].parameters[name].default)

    def number_of(self, name: str) -> float:
        """A numeric parameter."""
        return float(self[name])

    def concerns(self, username: str | None, symbol: str | None) -> bool:
        """Whether it bites here. What is not limited bites everywhere."""
        if self.username is not None and (username or "").lower() != self.username.lower():
            return False
        return self.symbol in (None, symbol)


Listener = Callable[[Fault, float], None]
"""Called with a fault that begins, and the instant."""


class Faults:
    """The registry. Instant kinds are told to the listeners and not kept."""

    def __init__(self) -> None:
        self._active: dict[int, Fault] = {}
        self._numbers = itertools.count(1)
        self._listeners: list[Listener] = []
        self.begun = 0

    def listen(self, listener: Listener) -> None:
        """Tell ``listener`` of every fault that begins."""
        self._listeners.append(listener)

    def begin(
        self,
        kind: FaultKind,
        now: float,
        *,
        seconds: float | None = None,
        username: str | None = None,
        symbol: str | None = None,
        parameters: Mapping[str, Value] | None = None,
    ) -> Fault:
        """Start a fault; without ``seconds`` it lasts until it is stopped."""
        until = None if seconds is None else now + seconds
        fault = Fault(next(self._numbers), kind, username, symbol, until, dict(parameters or {}))
        self.begun += 1
        if not SPECS[kind].instant:
            self._active[fault.number] = fault
        for listener in self._listeners:
            listener(fault, now)
        return fault

    def active(
        self, kind: FaultKind, now: float, username: str | None = None, symbol: str | None = None
    ) -> Fault | None:
        """The newest fault of this kind that bites here, or None."""
        if not self._active:
            return None
        self._expire(now)
        found = [
            fault
            for fault in self._active.values()
            if fault.kind is kind and fault.concerns(username, symbol)
        ]
        return found[-1] if found else None

    def all(self, now: float) -> tuple[Fault, ...]:
        """Everything that is active, oldest first."""
        self._expire(now)
        return tuple(self._active.values())

    def stop(self, number: int) -> bool:
        """End one; False if there is none of that number."""
        return self._active.pop(number, None) is not None

    def clear(self) -> int:
        """End all; how many there were."""
        count = len(self._active)
        self._active.clear()
        return count

    def _expire(self, now: float) -> None:
        over = [n for n, f in self._active.items() if f.until is not None and f.until <= now]
        for number in over:
            del self._active[number]
