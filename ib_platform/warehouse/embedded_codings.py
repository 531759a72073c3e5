"""Content encodings of requests and responses: lz4, zstd, gzip, deflate, identity.

Clients send one frame per block, so a decoder reads any number of frames one behind the other;
an encoder writes a single frame, whose pieces can be sent as they come.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Protocol

import lz4.frame
import zstandard

from ib_platform.warehouse.embedded_protocol import (
    CANNOT_READ_ALL_DATA,
    NOT_IMPLEMENTED,
    EngineError,
)

GZIP_WINDOW = 31
PREFERRED = ("lz4", "zstd", "gzip", "deflate")


class _FrameDecoder(Protocol):
    """One frame: what lz4, zstandard and zlib have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, /) -> bytes: ...


_DECODERS: dict[str, Callable[[], _FrameDecoder]] = {
    "lz4": lz4.frame.LZ4FrameDecompressor,
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
    "gzip": lambda: zlib.decompressobj(wbits=GZIP_WINDOW),
    "deflate": zlib.decompressobj,
}


class Decoder:
    """Decodes a body piece by piece."""

    def __init__(self, encoding: str) -> None:
        """``encoding`` is the Content-Encoding header; EngineError for an unknown one."""
        name = encoding.strip().lower() or "identity"
        if name != "identity" and name not in _DECODERS:
            raise EngineError.of(NOT_IMPLEMENTED, f"Content-Encoding {encoding!r} is not supported")
        self._new = _DECODERS.get(name)
        self._frame: _FrameDecoder | None = None

    def decode(self, data: bytes) -> bytes:
        """What ``data`` decodes to so far; EngineError if it is not in the encoding."""
        if self._new is None:
            return data
        pieces = []
        while data:
            self._frame = self._frame or self._new()
            try:
                pieces.append(self._frame.decompress(data))
            except (RuntimeError, zlib.error, zstandard.ZstdError) as error:
                raise EngineError.of(
                    CANNOT_READ_ALL_DATA, f"cannot decompress the request body: {error}"
                ) from error
            data = b""
            if self._frame.eof:
                data = self._frame.unused_data or b""
                self._frame = None
        return b"".join(pieces)

    def finish(self) -> None:
        """EngineError if the body ended within a frame."""
        if self._frame is not None:
            raise EngineError.of(CANNOT_READ_ALL_DATA, "the compressed request body is cut short")


class Encoder:
    """Leaves everything as it is: the encoder of ``identity``."""

    name = "identity"

    def encode(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _Lz4(Encoder):
    name = "lz4"

    def __init__(self) -> None:
        self._frame = lz4.frame.LZ4FrameCompressor(auto_flush=True)
        self._head: bytes = self._frame.begin()

    def encode(self, data: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + bytes(self._frame.compress(data))

    def finish(self) -> bytes:
        return self._head + bytes(self._frame.flush())


class _Zstd(Encoder):
    name = "zstd"

    def __init__(self) -> None:
        self._frame = zstandard.ZstdCompressor(level=1).compressobj()

    def encode(self, data: bytes) -> bytes:
        return bytes(
            self._frame.compress(data) + self._frame.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)
        )

    def finish(self) -> bytes:
        return bytes(self._frame.flush())


class _Zlib(Encoder):
    def __init__(self, name: str, window: int) -> None:
        self.name = name
        self._stream = zlib.compressobj(level=1, wbits=window)

    def encode(self, data: bytes) -> bytes:
        return self._stream.compress(data) + self._stream.flush(zlib.Z_SYNC_FLUSH)

    def finish(self) -> bytes:
        return self._stream.flush()


def encoder_for(accepted: str) -> Encoder:
    """The encoder for an Accept-Encoding header: the cheapest of those that it names."""
    names = {part.split(";")[0].strip().lower() for part in accepted.split(",")}
    chosen = next((name for name in PREFERRED if name in names), "identity")
    if chosen == "lz4":
        return _Lz4()
    if chosen == "zstd":
        return _Zstd()
    if chosen in ("gzip", "deflate"):
        return _Zlib(chosen, GZIP_WINDOW if chosen == "gzip" else zlib.MAX_WBITS)
    return Encoder()
