"""Recorded sessions: reading and checking a capture before anything is served.

A capture is a text file, plain or gzip, with one JSON object a line: ``t`` (ISO 8601 with time
zone), ``dir`` (``in`` to the client, ``out`` from it) and ``msg`` (the frame's text). Times never
go back. The contract it plays is the one with the most ladder frames.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.frames import LADDER, QUOTE, classify

_GZIP_MAGIC = b"\x1f\x8b"
_HINT = "Name a capture (.jsonl or .jsonl.gz with the keys t, dir, msg) as the replay."


@dataclass(frozen=True, slots=True)
class RecordedMessage:
    """An inbound message and the seconds that passed since the inbound message before it."""

    pause: float
    payload: bytes


@dataclass(frozen=True, slots=True)
class Capture:
    """The inbound side of a recorded session, in order, and the contract it shows."""

    messages: tuple[RecordedMessage, ...]
    conid: int
    symbol: str


class _Line(msgspec.Struct, forbid_unknown_fields=True):
    t: Annotated[datetime, msgspec.Meta(tz=True)]
    dir: Literal["in", "out"]
    msg: str


class _Symbol(msgspec.Struct):
    symbol: str | None = msgspec.field(default=None, name="55")


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_symbol = msgspec.json.Decoder(_Symbol).decode


def load_capture(path: Path) -> Capture:
    """Read a whole capture into memory.

    Raises:
        ConfigurationError: file, line and reason; nothing was started.
    """
    inbound = [line for line in _lines(path) if line.dir == "in"]
    messages, previous = [], None
    for line in inbound:
        pause = 0.0 if previous is None else (line.t - previous).total_seconds()
        messages.append(RecordedMessage(pause, line.msg.encode()))
        previous = line.t
    conid, symbol = _contract(path, messages)
    return Capture(tuple(messages), conid, symbol)


def _lines(path: Path) -> Iterator[_Line]:
    previous: datetime | None = None
    for number, text in enumerate(_text_lines(path), start=1):
        try:
            line = _decode_line(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise _bad(path, number, f"not a recorded message: {error}") from error
        if previous is not None and line.t < previous:
            earlier = f"{line.t.isoformat()} is earlier than the line before it"
            raise _bad(path, number, f"times must not go back: {earlier}")
        previous = line.t
        yield line


def _text_lines(path: Path) -> Iterator[bytes]:
    """Lines of a plain or gzip file, without their line ends."""
    number = 0
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP_MAGIC
            plain.seek(0)
            if path.suffix == ".gz" and not packed:
                raise _bad(path, 1, "the name says gzip, the content is not")
            # GzipFile owns no file that it was given: ``plain`` closes the one there is.
            for text in gzip.GzipFile(fileobj=plain) if packed else plain:
                number += 1
                yield text.rstrip(b"\r\n")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _bad(path, number + 1, f"damaged gzip data: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the capture cannot be read ({error.strerror or error}). {_HINT}"
        ) from error


def _contract(path: Path, messages: list[RecordedMessage]) -> tuple[int, str]:
    kinds = [(classify(message.payload), message.payload) for message in messages]
    ladders = Counter(k.conid for k, _ in kinds if k.topic == LADDER and k.conid is not None)
    if not ladders:
        raise ConfigurationError(f"{path}: no ladder frame (sbd) in the whole capture. {_HINT}")
    conid = ladders.most_common(1)[0][0]
    for kind, payload in kinds:
        if kind.topic == QUOTE and kind.conid == conid:
            symbol = _symbol(payload)
            if symbol:
                return conid, symbol
    raise ConfigurationError(
        f"{path}: no quote frame (smd) names the symbol (field 55) of conid {conid}, so the "
        f"simulator cannot know which contract is played. {_HINT}"
    )


def _symbol(payload: bytes) -> str | None:
    try:
        return _decode_symbol(payload).symbol
    except msgspec.DecodeError:
        return None


def _bad(path: Path, line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{path}, line {line}: {reason}. {_HINT}")
