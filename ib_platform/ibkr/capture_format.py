"""The lines of a capture: what the recorder writes and the simulator plays. PURE.

Version 2 begins with a header line; each further line is one frame, one REST exchange or one note,
as ``docs/recording.md`` describes. Version 1 has no header and knows frames only: ``t``, ``dir``,
``msg``. Both decode to the same shapes.
"""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

FORMAT = "ib_platform capture"
VERSION = 2

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
Nanoseconds = Annotated[int, msgspec.Meta(ge=0)]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
Direction = Literal["in", "out"]
"""``in``: to the client; ``out``: from it."""


class Header(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """First line of version 2. ``account`` and ``username`` are the masked ones; ``gateway`` says
    what was recorded, ``programs`` names versions by program."""

    format: str = FORMAT
    version: int = VERSION
    recorded_at: Instant
    programs: dict[str, str]
    gateway: str
    account: str
    username: str
    products: tuple[str, ...]


class _Line(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True
):
    """``t``: wall clock when it was received or sent. ``ns``: monotonic nanoseconds since the
    recording began, which never go back, whatever the wall clock does."""

    t: Instant
    ns: Nanoseconds


class Frame(_Line, tag="frame", frozen=True, kw_only=True, omit_defaults=True):
    """One websocket message, unchanged but for masking. ``msg`` is its text; a payload that is no
    UTF-8 stands in ``base64`` instead. ``connection`` counts the websockets of the recording."""

    dir: Direction
    opcode: Literal["text", "binary"] = "binary"
    connection: int = 1
    msg: str | None = None
    base64: str | None = None

    @property
    def payload(self) -> bytes:
        """The message's bytes."""
        if self.msg is not None:
            return self.msg.encode()
        return base64.b64decode(self.base64 or "")


class Exchange(_Line, tag="rest", frozen=True, kw_only=True, omit_defaults=True):
    """One REST call and its answer. ``path`` without ``/v1/api``; ``query`` as it stood in the URL;
    ``request`` and ``body`` are texts. ``status`` None: nobody answered, ``body`` says why."""

    took_ns: Nanoseconds
    method: str
    path: str
    query: str = ""
    request: str = ""
    status: Annotated[int, msgspec.Meta(ge=200, le=599)] | None = None
    headers: dict[str, HeaderValue] = {}
    body: str = ""


class Note(_Line, tag="note", frozen=True, kw_only=True, omit_defaults=True):
    """Something the recorder did or concluded: ``name`` is a word, ``text`` is for people."""

    name: str
    text: str = ""
    data: dict[str, Any] = {}


Line = Frame | Exchange | Note


class _FirstVersion(msgspec.Struct, forbid_unknown_fields=True):
    t: Instant
    dir: Direction
    msg: str


class _Opening(msgspec.Struct):
    """What tells the versions apart."""

    format: str | None = None
    version: int | None = None


_ERRORS = (msgspec.DecodeError, UnicodeError, RecursionError)
_ECHO = "ech+hb"
_decode_opening = msgspec.json.Decoder(_Opening).decode
_decode_header = msgspec.json.Decoder(Header).decode
_decode_line = msgspec.json.Decoder(Line).decode
_decode_first_version = msgspec.json.Decoder(_FirstVersion).decode
_encode = msgspec.json.Encoder().encode


class BadLineError(ValueError):
    """A line that cannot be used; the message is the reason, without file and line."""


def encode_line(line: Header | Line) -> bytes:
    """One line without its line end."""
    return _encode(line)


def frame_line(
    at: datetime, ns: int, direction: Direction, payload: bytes, *, text: bool, connection: int
) -> Frame:
    """A frame, its payload as text if it is UTF-8."""
    try:
        msg, packed = payload.decode(), None
    except UnicodeDecodeError:
        msg, packed = None, base64.b64encode(payload).decode()
    opcode: Literal["text", "binary"] = "text" if text else "binary"
    return Frame(
        t=at,
        ns=ns,
        dir=direction,
        opcode=opcode,
        connection=connection,
        msg=msg,
        base64=packed,
    )


class LineReader:
    """Decodes the lines of one capture in their order, whatever its version.

    ``header`` is None before the first line, and for version 1.
    """

    def __init__(self) -> None:
        self.header: Header | None = None
        self._first_at: datetime | None = None
        self._begun = False
        self._ns = 0

    def read(self, text: bytes) -> Line | None:
        """The next line; None for the header.

        Raises:
            BadLineError: not a line of a capture, or its time goes back.
        """
        if not self._begun:
            self._begun = True
            self.header = read_header(text)
            if self.header is not None:
                return None
        line = self._second_version(text) if self.header else self._first_version(text)
        self._ns = line.ns
        return line

    def _second_version(self, text: bytes) -> Line:
        try:
            line: Line = _decode_line(text)
            if isinstance(line, Frame) and line.base64 is not None:
                base64.b64decode(line.base64, validate=True)
        except (*_ERRORS, ValueError) as error:
            raise BadLineError(f"not a line of a capture: {error}") from error
        if isinstance(line, Frame) and (line.msg is None) == (line.base64 is None):
            raise BadLineError("a frame has either msg or base64")
        if line.ns < self._ns:
            raise BadLineError(f"times must not go back: ns {line.ns} comes after {self._ns}")
        return line

    def _first_version(self, text: bytes) -> Frame:
        try:
            line = _decode_first_version(text)
        except _ERRORS as error:
            raise BadLineError(f"not a recorded message: {error}") from error
        if self._first_at is None:
            self._first_at = line.t
        ns = round((line.t - self._first_at).total_seconds() * 1e9)
        if ns < self._ns:
            earlier = f"{line.t.isoformat()} is earlier than the line before it"
            raise BadLineError(f"times must not go back: {earlier}")
        # Version 1 does not say it, but the one message that is no JSON is the one sent as text.
        opcode: Literal["text", "binary"] = "text" if line.msg == _ECHO else "binary"
        return Frame(t=line.t, ns=ns, dir=line.dir, opcode=opcode, msg=line.msg)


def read_header(text: bytes) -> Header | None:
    """Header of version 2; None when the line is one of version 1, or not readable as any.

    Raises:
        BadLineError: another program's format, a newer version, or a damaged header.
    """
    try:
        opening = _decode_opening(text)
    except _ERRORS:
        return None
    if opening.format is None:
        return None
    if opening.format != FORMAT:
        raise BadLineError(f"a file of the format {opening.format[:60]!r}, not {FORMAT!r}")
    if opening.version is not None and opening.version > VERSION:
        raise BadLineError(
            f"capture version {opening.version} is newer than this program reads ({VERSION}); "
            "use a newer ib_platform"
        )
    try:
        header = _decode_header(text)
    except _ERRORS as error:
        raise BadLineError(f"not a header of a capture: {error}") from error
    if header.version != VERSION:
        raise BadLineError(f"a header of version {header.version}; headers began with {VERSION}")
    return header
