"""The file through which the programs of a pod share IBKR's request limits and its penalty.

IBKR counts the calls of a gateway, not those of a process: so the programs note in one small file,
the *ledger*, when a path with a limit of its own was called last, and until when nobody may call
anything because IBKR has answered 429. It outlives restarts.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec
from filelock import FileLock, Timeout

TICKLE = "/tickle"
VALIDATE = "/sso/validate"
INTERVALS: Mapping[str, float] = {TICKLE: 1.2, VALIDATE: 61.0, "/portfolio/accounts": 5.2}
"""Seconds between two calls. A little more than IBKR asks for: calls travel at different speeds."""
PENALTY_PAUSE = 900.0
"""IBKR's penalty box holds an address for 10 or 15 minutes (``ibkr_web_api.md`` section 2.3)."""
PROBE_LEASE = 30.0
"""A program that has taken the first call after a penalty and says nothing more has died."""
_LOCK_TIMEOUT = 0.5


def due_in(last: float | None, interval: float, now: float) -> float:
    """Seconds until the next call may be made; 0 = now. Both instants are monotonic seconds of
    this machine: a last call in the future was made before the machine was started anew."""
    if last is None or last > now:
        return 0.0
    return max(0.0, last + interval - now)


class Penalty(msgspec.Struct, frozen=True):
    """IBKR has refused a call: nobody calls before ``until``, then one tickle tries.

    ``until``: Unix seconds, since a penalty outlives a restart of the machine. ``probed_at``: when
    a program took that first call.
    """

    until: float
    probed_at: float | None = None

    def left(self, wall: float, longest: float) -> float:
        """Seconds until the first call may be made; never more than ``longest``, also where the
        clock was set back."""
        return min(max(0.0, self.until - wall), longest)

    def may_probe(self, wall: float) -> bool:
        """Whether the first call is still free, or its taker has not come back."""
        at = self.probed_at
        return at is None or not at <= wall < at + PROBE_LEASE


class _Content(msgspec.Struct, frozen=True):
    calls: dict[str, float] = {}
    penalty: Penalty | None = None


def _joined(known: _Content, own: _Content) -> _Content:
    """The later of each."""
    calls = {
        path: max(content.calls.get(path, float("-inf")) for content in (known, own))
        for path in known.calls | own.calls
    }
    penalties = [content.penalty for content in (known, own) if content.penalty is not None]
    return _Content(calls, max(penalties, key=lambda penalty: penalty.until, default=None))


class Ledger:
    """Instants of last calls by path (monotonic seconds of the machine), and the penalty.

    Kept in a file if one is given. A file that cannot be read or written is no reason to stop: then
    this process remembers its own calls only. ``clock``: monotonic seconds, ``wall``: Unix seconds.
    """

    def __init__(
        self,
        file: Path | None,
        clock: Callable[[], float],
        wall: Callable[[], float],
        *,
        penalty_pause: float = PENALTY_PAUSE,
    ) -> None:
        self._file = file
        self._clock, self._wall = clock, wall
        self._pause = penalty_pause
        self._own = _Content()
        self._unwritten = False

    def due_in(self, path: str) -> float:
        """Seconds until the limit of ``path`` itself allows a call; 0 = now."""
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

    @property
    def penalty(self) -> Penalty | None:
        """The penalty that nobody has been forgiven yet; its time may be over."""
        return self._read().penalty

    def penalty_left(self) -> float:
        """Seconds during which nobody may call anything; 0 = none."""
        penalty = self.penalty
        return 0.0 if penalty is None else penalty.left(self._wall(), self._pause)

    def penalised(self) -> None:
        """IBKR has answered 429: nobody calls for the whole pause from now on."""
        with self._locked():
            known = self._read()
            penalty = Penalty(self._wall() + self._pause)
            self._write(msgspec.structs.replace(known, penalty=penalty))

    def take_probe(self) -> Penalty | None:
        """The penalty, if the caller is the one who makes the first call after it."""
        with self._locked():
            known = self._read()
            penalty, wall = known.penalty, self._wall()
            if penalty is None or penalty.left(wall, self._pause) or not penalty.may_probe(wall):
                return None
            taken = msgspec.structs.replace(penalty, probed_at=wall)
            self._write(msgspec.structs.replace(known, penalty=taken))
            return taken

    def probed(self, penalty: Penalty, *, forgiven: bool) -> None:
        """The first call after ``penalty`` has come back: answered (``forgiven``), or with no
        answer at all. A penalty that has begun since is another one, and stays."""
        with self._locked():
            known = self._read()
            if known.penalty is None or known.penalty.until != penalty.until:
                return
            still = msgspec.structs.replace(known.penalty, probed_at=None)
            self._write(msgspec.structs.replace(known, penalty=None if forgiven else still))

    def _due_in(self, path: str, known: _Content) -> float:
        # The clock is read after the file: what others have noted is past.
        now, interval = self._clock(), INTERVALS.get(path, 0.0)
        notes = (known.calls, self._own.calls)
        return max(due_in(calls.get(path), interval, now) for calls in notes)

    def _note(self, path: str, known: _Content) -> None:
        calls = known.calls | {path: self._clock()}
        self._write(msgspec.structs.replace(known, calls=calls))

    def _write(self, content: _Content) -> None:
        self._own = content
        if self._file is None:
            return
        temporary = self._file.with_name(f"{self._file.name}.{os.getpid()}.new")
        try:
            temporary.write_bytes(msgspec.json.encode(content))
            temporary.replace(self._file)
            self._unwritten = False
        except OSError:
            self._unwritten = True
            with suppress(OSError):
                temporary.unlink(missing_ok=True)

    def _read(self) -> _Content:
        """What all programs know. While this one could not write, also what only it knows: a
        penalty that it has seen must not be forgotten because a disk is full."""
        if self._file is None:
            return self._own
        try:
            known = msgspec.json.decode(self._file.read_bytes(), type=_Content)
        except (OSError, ValueError):
            return self._own  # not written yet, damaged, or in a folder that refuses it
        return _joined(known, self._own) if self._unwritten else known

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self._file is not None:
                with suppress(OSError, Timeout):
                    self._file.parent.mkdir(parents=True, exist_ok=True)
                    lock = FileLock(f"{self._file}.lock", timeout=_LOCK_TIMEOUT)
                    stack.enter_context(lock)
            yield
