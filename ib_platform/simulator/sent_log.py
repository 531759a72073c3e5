"""The sent log: one line of JSON for every frame that is handed to a socket, for proofs.

Each line is in the file before its frame goes to the socket, so a simulator that is killed has
lost no line of a frame that anybody may have received.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import google_crc32c
import msgspec

from ib_platform.clocks import Clocks
from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.frames import classify


class SentFrame(msgspec.Struct, frozen=True):
    """One line. ``user``: username, None before a login was greeted. ``websocket``: its number in
    the file, from 0, in the order in which they were opened; ``index``: of the frame in it, from 0.
    ``at_ns``: since 1970; ``monotonic_ns``: of this machine. ``length`` and ``crc32c`` are those of
    the payload.
    """

    user: str | None
    websocket: int
    index: int
    at_ns: int
    monotonic_ns: int
    topic: str
    conid: int | None
    length: int
    crc32c: int


class SentLog:
    """Writes the file of one simulator process. Made by ``open``."""

    def __init__(self, descriptor: int, clocks: Clocks) -> None:
        self._descriptor = descriptor
        self._clocks = clocks
        self._websockets = itertools.count()

    @classmethod
    def open(cls, file: Path, clocks: Clocks | None = None) -> SentLog:
        """Begin a new file.

        Raises:
            ConfigurationError: it exists, since two processes in one file would prove nothing, or
                it cannot be made.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        try:
            return cls(os.open(file, flags, 0o600), clocks or Clocks())
        except FileExistsError:
            raise ConfigurationError(
                f"--sent-log {file}: is there already; name a new file, or move it away"
            ) from None
        except OSError as error:
            raise ConfigurationError(
                f"--sent-log {file}: cannot be written ({error.strerror})"
            ) from error

    def websocket(self) -> Callable[[str | None, bytes], None]:
        """What a websocket that has just been opened calls with username and payload before it
        writes a frame. That raises OSError where the disk takes no line: then nothing is sent."""
        number, indexes = next(self._websockets), itertools.count()

        def note(user: str | None, payload: bytes) -> None:
            self._note(user, number, next(indexes), payload)

        return note

    def close(self) -> None:
        os.close(self._descriptor)

    def _note(self, user: str | None, websocket: int, index: int, payload: bytes) -> None:
        kind = classify(payload)
        frame = SentFrame(
            user,
            websocket,
            index,
            self._clocks.wall(),
            self._clocks.monotonic(),
            kind.topic,
            kind.conid,
            len(payload),
            google_crc32c.value(payload),
        )
        # One write of a short line: never half of it, as far as a kill of this process goes.
        os.write(self._descriptor, msgspec.json.encode(frame) + b"\n")


def read_sent_log(file: Path) -> Iterator[SentFrame]:
    """The frames of a file, in the order in which they were sent. It may still be written to.

    Raises:
        ConfigurationError: a line is not one of a sent log.
    """
    decode = msgspec.json.Decoder(SentFrame).decode
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise ConfigurationError(
                    f"{file}:{number}: no line of a sent log: {error}"
                ) from error
