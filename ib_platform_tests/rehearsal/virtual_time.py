"""An event loop in which a week passes in minutes: time jumps to the next timer when nobody works.

Sockets, files and threads are real. What is written to a socket of this machine can be read at
once, so that "nothing to read" means that everybody waits for time to pass; work in threads of the
loop's executor is waited for. A loop that is ``held`` lives in the machine's time.
"""

from __future__ import annotations

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any, TypeVar, TypeVarTuple

from ib_platform.clocks import Clocks

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")
_NANOS = 1_000_000_000
_BUSY = 0.001
_LEAST = 1e-6


class _PatientSelector(selectors.DefaultSelector):
    """Waits for nothing while there is something to read, and asks ``pass_time`` otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = 0
        self.held = True
        self.pass_time: Callable[[float], None] = lambda seconds: None

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is not None and timeout <= 0:
            return super().select(0)
        if found := super().select(0):
            return found
        if self.held or self.busy or timeout is None:
            return super().select(_BUSY if timeout is None else min(timeout, _BUSY))
        # What the kernel had under way at the first look may be there now.
        if found := super().select(0):
            return found
        self.pass_time(timeout)
        return []


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Its ``time`` is virtual monotonic seconds."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._real = time.monotonic()
        selector = _PatientSelector()
        selector.pass_time = self._pass
        self._patient = selector
        super().__init__(selector)

    def time(self) -> float:
        if self._patient.held:
            now = time.monotonic()
            self._passed += now - self._real
            self._real = now
        return self._passed

    def release(self) -> None:
        """From now on time jumps."""
        self.time()
        self._patient.held = False

    def _pass(self, seconds: float) -> None:
        # Clocks count whole nanoseconds: who waits for less than one would wait for ever.
        self._passed += max(seconds, _LEAST)

    def run_in_executor(
        self,
        executor: Executor | None,
        func: Callable[[*_Ts], _T],
        *args: *_Ts,
    ) -> asyncio.Future[_T]:
        self._patient.busy += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._less_busy)
        return future

    def _less_busy(self, _: asyncio.Future[Any]) -> None:
        self._patient.busy -= 1

    def clocks(self, wall_at_zero: int) -> Clocks:
        """Both clocks of this loop; ``wall_at_zero``: ns since 1970 when its time was 0."""
        return Clocks(
            wall=lambda: wall_at_zero + round(self.time() * _NANOS),
            monotonic=lambda: round(self.time() * _NANOS),
        )


@contextmanager
def virtual_time() -> Iterator[asyncio.Runner]:
    """A runner whose loop is a ``VirtualTimeLoop``, held at first."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        yield runner
