"""Capture files: written so that a killed recorder leaves a readable one, read with care.

Plain text or gzip, one line each. The writer hands whole lines to the operating system, and ends
each block of gzip with a synchronising flush: whatever was flushed can be read, although the file
has no proper end yet.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ib_platform.errors import ConfigurationError, PlatformError
from ib_platform.ibkr.capture_format import (
    BadLineError,
    Header,
    Line,
    LineReader,
    encode_line,
)

_GZIP_MAGIC = b"\x1f\x8b"
_GZIP_WINDOW = 31
_CHUNK = 256 * 1024
_HINT = "docs/recording.md describes what a capture looks like."
_TORN = "damaged gzip data: it ends in the middle"


@dataclass(frozen=True, slots=True)
class CaptureFile:
    """A whole capture in memory. ``header`` None: version 1. ``torn``: what is missing at its end,
    in words, when the recorder was killed; None when it is whole."""

    header: Header | None
    lines: tuple[Line, ...]
    torn: str | None = None


def read_capture_file(path: Path, *, allow_torn: bool = False) -> CaptureFile:
    """Read a capture of any known version. ``allow_torn``: a tail that was cut off is left out and
    reported, instead of refused.

    Raises:
        ConfigurationError: unreadable, foreign, newer, or damaged: file, line and reason.
    """
    reader, lines, torn = LineReader(), [], None
    number = 0
    try:
        for text, ended in _text_lines(path):
            number += 1
            try:
                line = reader.read(text)
            except BadLineError as error:
                if allow_torn and not ended:
                    torn = f"line {number} is not whole"
                    break
                raise _bad(path, number, str(error)) from error
            if line is not None:
                lines.append(line)
    except EOFError as error:
        if not allow_torn:
            raise _bad(path, number + 1, str(error)) from error
        torn = f"the gzip data end after line {number}"
    except zlib.error as error:
        raise _bad(path, number + 1, f"damaged gzip data: {error}") from error
    return CaptureFile(reader.header, tuple(lines), torn)


def _text_lines(path: Path) -> Iterator[tuple[bytes, bool]]:
    """Lines without their ends, and whether there was an end. EOFError: gzip cut off, raised after
    everything that could be read."""
    rest, torn = b"", None
    try:
        with path.open("rb") as file:
            chunks = _chunks(path, file)
            while True:
                try:
                    chunk = next(chunks, None)
                except EOFError as error:
                    torn, chunk = error, None
                if chunk is None:
                    break
                *whole, rest = (rest + chunk).split(b"\n")
                for text in whole:
                    yield text.rstrip(b"\r"), True
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the capture cannot be read ({error.strerror or error}). {_HINT}"
        ) from error
    if torn is not None:
        raise torn
    if rest:
        yield rest, False


def _chunks(path: Path, file: BinaryIO) -> Iterator[bytes]:
    """The file's bytes, unpacked if they are gzip. EOFError: the last member has no end."""
    packed = file.read(2) == _GZIP_MAGIC
    file.seek(0)
    if path.suffix == ".gz" and not packed:
        raise _bad(path, 1, "the name says gzip, the content is not")
    if not packed:
        while chunk := file.read(_CHUNK):
            yield chunk
        return
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    while chunk := file.read(_CHUNK):
        while chunk:
            if unpacker.eof:
                # Zeros behind a member are padding; what else comes is another member.
                if not (chunk := chunk.lstrip(b"\0")):
                    break
                unpacker = zlib.decompressobj(_GZIP_WINDOW)
            yield unpacker.decompress(chunk)
            chunk = unpacker.unused_data
    if not unpacker.eof:
        raise EOFError(_TORN)


def _bad(path: Path, line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{path}, line {line}: {reason}. {_HINT}")


class CaptureWriter:
    """A new capture file, mode 0600. Written lines stay in memory until ``flush`` or ``close``."""

    def __init__(self, path: Path, header: Header) -> None:
        """Raises ConfigurationError when the file is there already or cannot be made."""
        self.path = path
        self._file = os.fdopen(_new_file(path), "wb", buffering=0)
        self._packer = zlib.compressobj(wbits=_GZIP_WINDOW) if path.suffix == ".gz" else None
        self._waiting: list[bytes] = []
        self._append(encode_line(header))
        self.flush()

    def write(self, line: Line) -> None:
        self._append(encode_line(line))

    def flush(self) -> None:
        """Hand everything over. Raises PlatformError: the disk does not take it."""
        if self._waiting:
            if self._packer is not None:
                self._waiting.append(self._packer.flush(zlib.Z_SYNC_FLUSH))
            self._hand_over()

    def close(self) -> None:
        """End the file properly. No-op when it is closed. Raises like ``flush``."""
        if self._file.closed:
            return
        try:
            if self._packer is not None:
                self._waiting.append(self._packer.flush(zlib.Z_FINISH))
            self._hand_over()
            os.fsync(self._file.fileno())
        finally:
            self._file.close()

    def _append(self, text: bytes) -> None:
        data = text + b"\n"
        self._waiting.append(data if self._packer is None else self._packer.compress(data))

    def _hand_over(self) -> None:
        data, self._waiting = memoryview(b"".join(self._waiting)), []
        try:
            while data:
                data = data[self._file.write(data) or 0 :]
        except OSError as error:
            raise PlatformError(
                f"{self.path}: the capture cannot be written ({error.strerror or error}). What was "
                "written until now can be read. Make room, and record into a new file."
            ) from error


def require_new(path: Path) -> None:
    """Raises ConfigurationError when the file is there: captures are never overwritten."""
    if os.path.lexists(path):
        raise ConfigurationError(
            f"{path}: there is such a file already, and captures are not overwritten. "
            "Name another file."
        )


def _new_file(path: Path) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        require_new(path)
        raise
    except OSError as error:
        raise ConfigurationError(
            f"{path}: the capture cannot be made ({error.strerror or error}). "
            "Name a file in a folder that exists and is yours."
        ) from error
