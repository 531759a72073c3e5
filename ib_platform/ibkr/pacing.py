"""Staying below IBKR's request limits, together with the other programs of the same pod.

IBKR allows a gateway 10 calls a second, and fewer to some paths (``ibkr_web_api.md`` section 2.3).
One call too many, and everything is refused for 10 to 15 minutes. Calls a second are counted by
each program for its own share; what several programs must know together stands in the ``Ledger``.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ib_platform.errors import PlatformError
from ib_platform.ibkr.pacing_ledger import (
    INTERVALS,
    PENALTY_PAUSE,
    TICKLE,
    VALIDATE,
    Ledger,
    Penalty,
)

__all__ = ["INTERVALS", "SHARE", "TICKLE", "VALIDATE", "Pace", "PenaltyError"]
SHARE = 4
"""Calls a second of a program that is told no share: the rest that a pod's two programs leave."""
_WINDOW = 1.1


class PenaltyError(PlatformError):
    """No call may be made for ``seconds``: IBKR has refused one (429). Nothing was sent."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(
            f"all requests pause for {seconds:.0f} s more, since IBKR has refused one (429); "
            "nothing was sent"
        )


class Pace:
    """When this program may call. One for a program, however many clients it opens.

    ``share``: its calls a second. All programs of a pod together stay below ten.
    ``penalty_pause``: seconds without any call after a 429.
    """

    def __init__(
        self,
        ledger: Path | None = None,
        *,
        share: int = SHARE,
        penalty_pause: float = PENALTY_PAUSE,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = Ledger(ledger, clock, wall, penalty_pause=penalty_pause)
        self._clock, self._sleep = clock, sleep
        self._recent: deque[float] = deque(maxlen=share)

    def due_in(self, path: str) -> float:
        """Seconds until the limit of ``path`` itself allows a call; 0 = now."""
        return self._ledger.due_in(path) if path in INTERVALS else 0.0

    def penalty_left(self) -> float:
        """Seconds during which no program of the pod may call anything; 0 = none."""
        return self._ledger.penalty_left()

    @property
    def penalty_until(self) -> float | None:
        """Unix seconds of the end of the penalty; None when there is none."""
        penalty = self._ledger.penalty
        return None if penalty is None else penalty.until

    @property
    def on_probation(self) -> bool:
        """Whether a penalty is over, and no call has shown yet that IBKR answers again."""
        return self._ledger.penalty is not None and self.penalty_left() == 0

    def take_probe(self) -> Penalty | None:
        """The penalty that is over, if this program is to make the first call after it: one
        tickle. None: another program makes it, or there is no penalty, or it is not over."""
        return self._ledger.take_probe()

    def penalised(self) -> None:
        """IBKR has answered 429: every program of the pod pauses."""
        self._ledger.penalised()

    def probed(self, penalty: Penalty, *, forgiven: bool) -> None:
        """The first call after ``penalty`` has come back; ``forgiven``: with an answer."""
        self._ledger.probed(penalty, forgiven=forgiven)

    @asynccontextmanager
    async def turn(self, path: str) -> AsyncIterator[None]:
        """Wait until ``path`` may be called; the block makes the call.

        Raises:
            PenaltyError: a penalty holds, perhaps since this call began to wait.
        """
        limited = path in INTERVALS
        self._refuse_in_penalty()
        while limited and (pause := self._ledger.take(path)) > 0:
            await self._sleep(pause)
        while (pause := self._until_share_allows()) > 0:
            await self._sleep(pause)
        self._refuse_in_penalty()
        self._recent.append(self._clock())
        try:
            yield
        finally:
            if limited:
                self._ledger.answered(path)

    def _refuse_in_penalty(self) -> None:
        if (left := self.penalty_left()) > 0:
            raise PenaltyError(left)

    def _until_share_allows(self) -> float:
        if len(self._recent) < (self._recent.maxlen or 0):
            return 0.0
        return max(0.0, self._recent[0] + _WINDOW - self._clock())
