"""Staying below IBKR's request limits, together with the other programs of the same pod.

IBKR counts the calls of a gateway, not those of a process: 10 a second, and fewer to some paths
(``ibkr_web_api.md`` section 2.3). One call too many, and everything is refused for 15 minutes. So a
pod's programs share a small file, the *ledger*, with the instants of their last calls to those
paths; it outlives restarts. Calls a second are counted by each program for its own share.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

TICKLE = "/tickle"
VALIDATE = "/sso/validate"
INTERVALS: Mapping[str, float] = {TICKLE: 1.2, VALIDATE: 61.0, "/portfolio/accounts": 5.2}
"""Seconds between two calls. A little more than IBKR asks for: calls travel at different speeds."""
SHARE = 4
"""Calls a second of one program, unless it is told its own share of the gateway's ten."""
_WINDOW = 1.1
_LOCK_TIMEOUT = 0.5


def due_in(last: float | None, interval: float, now: float) -> float:
    """Seconds until the next call may be made; 0 = now. Both instants are monotonic seconds of
    this machine: a last call in the future was made before the machine was started anew."""
    if last is None or last > now:
        return 0.0
    return max(0.0, last + interval - now)


class Ledger:
    """Instants (monotonic seconds of the machine) of the last call by path, kept in a file if one
    is given.

    A file that cannot be read or written is no reason to stop: then this process remembers its own
    calls only.
    """

    def __init__(self, file: Path | None, clock: Callable[[], float]) -> None:
        self._file = file
        self._clock = clock
        self._own: dict[str, float] = {}

    def due_in(self, path: str) -> float:
        """Seconds until ``path`` may be called; 0 = now."""
        return self._due_in(path, self._read())

    def take(self, path: str) -> float:
        """Note a call to ``path`` and return 0, or return the seconds until it may be made."""
        with self._locked():
            known = self._read()
            pause = self._due_in(path, known)
            if pause == 0:
                self._note(path, known)
            return pause

    def answered(self, path: str) -> None:
        """The call has come back: it arrived at IBKR at some instant up to now."""
        with self._locked():
            self._note(path, self._read())

    def _due_in(self, path: str, known: dict[str, float]) -> float:
        # The clock is read after the file: what others have noted is past.
        now, interval = self._clock(), INTERVALS.get(path, 0.0)
        return max(due_in(last.get(path), interval, now) for last in (known, self._own))

    def _note(self, path: str, known: dict[str, float]) -> None:
        self._own[path] = self._clock()
        if self._file is None:
            return
        with suppress(OSError):
            handle, name = tempfile.mkstemp(dir=self._file.parent, prefix=f"{self._file.name}.")
            with open(handle, "wb") as file:
                file.write(msgspec.json.encode(known | {path: self._own[path]}))
            os.replace(name, self._file)

    def _read(self) -> dict[str, float]:
        if self._file is None:
            return {}
        try:
            return msgspec.json.decode(self._file.read_bytes(), type=dict[str, float])
        except (OSError, ValueError):
            return {}

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self._file is not None:
                with suppress(OSError, Timeout):
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                    lock = FileLock(f"{self._file}.lock", timeout=_LOCK_TIMEOUT)
                    stack.enter_context(lock)
            yield


class Pace:
    """When this program may call. One for a program, however many clients it opens.

    ``share``: its calls a second. All programs of a pod together stay below ten.
    """

    def __init__(
        self,
        ledger: Path | None = None,
        *,
        share: int = SHARE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._ledger = Ledger(ledger, clock)
        self._clock, self._sleep = clock, sleep
        self._recent: deque[float] = deque(maxlen=share)

    def due_in(self, path: str) -> float:
        """Seconds until the limit of ``path`` itself allows a call; 0 = now."""
        return self._ledger.due_in(path) if path in INTERVALS else 0.0

    @asynccontextmanager
    async def turn(self, path: str) -> AsyncIterator[None]:
        """Wait until ``path`` may be called; the block makes the call."""
        limited = path in INTERVALS
        while limited and (pause := self._ledger.take(path)) > 0:
            await self._sleep(pause)
        while (pause := self._until_share_allows()) > 0:
            await self._sleep(pause)
        self._recent.append(self._clock())
        try:
            yield
        finally:
            if limited:
                self._ledger.answered(path)

    def _until_share_allows(self) -> float:
        if len(self._recent) < (self._recent.maxlen or 0):
            return 0.0
        return max(0.0, self._recent[0] + _WINDOW - self._clock())
