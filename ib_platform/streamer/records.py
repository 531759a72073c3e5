"""The spool's on-disk format, version 1: bytes in, records out. No I/O, no clocks.

A segment file is one segment header and then records, all integers little-endian:

========  =====================================================================
segment   ``IBPSPOOL``, format version u16, length u32 and CRC-32C u32 of the JSON
          that follows (``SegmentHeader``)
record    payload length u32, CRC-32C u32 over every other byte of the record, kind
          u8, wall clock i64 (ns since 1970, UTC), monotonic clock u64 (ns), number
          u64 (frame: seq, event: event number, both from 0), connection u32, payload
========  =====================================================================

Whatever the bytes are, ``scan_records`` and ``find_record`` answer and never raise: a torn or
damaged record is a result. Only a file that is not ours, or newer than we are, raises.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Annotated, Any

import google_crc32c
import msgspec

from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind

FORMAT_VERSION = 1
MAX_PAYLOAD_BYTES = 16 * 1024**2
HEADER_BYTES_AT_MOST = 4096
_MAGIC = b"IBPSPOOL"
_PREFIX = struct.Struct("<8sHII")
_LENGTH = struct.Struct("<I")
_CHECKED = struct.Struct("<BqQQI")
_HEADER = struct.Struct("<IIBqQQI")
RECORD_HEADER_BYTES = _HEADER.size
_KIND_OFFSET = 8
# A record that may be real has a length of at most 16 MiB, so its high byte is 0 or 1.
_CANDIDATE = re.compile(rb"(?=...[\x00\x01]....[\x01\x02])", re.DOTALL)


class RecordKind(IntEnum):
    """FRAME: a websocket message as received. EVENT: JSON of a ``StreamEvent`` of our own."""

    FRAME = 1
    EVENT = 2


@dataclass(frozen=True, slots=True)
class Record:
    """One complete record. ``end`` is the offset of the byte behind it in the scanned buffer."""

    kind: RecordKind
    received_ns: int
    monotonic_ns: int
    number: int
    connection: int
    payload: bytes
    end: int = 0


class StreamEvent(msgspec.Struct, frozen=True):
    """Payload of an EVENT record. ``after_seq``: frames of the run that were stamped before it."""

    kind: StreamEventKind
    cause: Cause | None = None
    contract: str | None = None
    conid: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] | None = None
    after_seq: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    detail: dict[str, Any] = msgspec.field(default_factory=dict)


class SegmentHeader(msgspec.Struct, frozen=True):
    """Whose segment it is: written once, at the start of the file. ``boot_id``: the start of the
    machine that monotonic stamps count from. None: not known, or written by an older version."""

    paper_user: str
    run_id: str
    segment: int
    created_ns: int
    created_monotonic_ns: int | None = None
    boot_id: str | None = None


class ScanEnd(StrEnum):
    """Why a scan stopped. CLEAN: the buffer ends with a record. TORN: what is left is too short
    for the record it begins. DAMAGED: what is left is no record. LIMIT: the caller's limit."""

    CLEAN = "clean"
    TORN = "torn"
    DAMAGED = "damaged"
    LIMIT = "limit"


@dataclass(frozen=True, slots=True)
class Scan:
    """Complete records in order; ``end`` is the offset behind the last one."""

    records: list[Record]
    end: int
    status: ScanEnd


def encode_event(event: StreamEvent) -> bytes:
    """Payload of an EVENT record."""
    return msgspec.json.encode(event)


decode_event = msgspec.json.Decoder(StreamEvent).decode
"""Payload -> StreamEvent; raises msgspec.DecodeError (ValidationError included)."""


def event_of(record: Record) -> StreamEvent | None:
    """The event of the record; None for a frame, and for what cannot be understood."""
    if record.kind is not RecordKind.EVENT:
        return None
    try:
        return decode_event(record.payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def encode_segment_header(header: SegmentHeader) -> bytes:
    """First bytes of a segment file."""
    body = msgspec.json.encode(header)
    return _PREFIX.pack(_MAGIC, FORMAT_VERSION, len(body), google_crc32c.value(body)) + body


def decode_segment_header(data: bytes, file: str) -> tuple[SegmentHeader, int] | None:
    """The header and the offset of the first record; None for a header that was torn.

    Torn means shorter than itself, or zeros that a power cut left.

    Raises:
        SpoolError: a foreign file, a damaged header or a newer format; the message names ``file``.
    """
    head = data[: _PREFIX.size]
    if len(head) < _PREFIX.size:
        if _MAGIC.startswith(head[: len(_MAGIC)]) or not any(head):
            return None
        raise SpoolError(_foreign(file))
    magic, version, length, crc = _PREFIX.unpack(head)
    if not any(head):
        return None
    if magic != _MAGIC:
        raise SpoolError(_foreign(file))
    if version != FORMAT_VERSION:
        raise SpoolError(
            f"{file}: spool format {version}, but this program reads format {FORMAT_VERSION} only. "
            "Load it with the version that wrote it, or update ib_platform."
        )
    body = data[_PREFIX.size : _PREFIX.size + length]
    possible = _PREFIX.size + length <= HEADER_BYTES_AT_MOST
    if possible and len(body) < length:
        return None
    if not possible or google_crc32c.value(body) != crc:
        raise SpoolError(f"{file}: the segment header is damaged. Move the file away and report it")
    try:
        return msgspec.json.decode(body, type=SegmentHeader), _PREFIX.size + length
    except msgspec.DecodeError as error:
        raise SpoolError(f"{file}: the segment header cannot be read ({error})") from error


def _foreign(file: str) -> str:
    return f"{file}: not a spool segment of ib_platform. Move it out of the spool folder."


def encode_record(
    kind: RecordKind,
    received_ns: int,
    monotonic_ns: int,
    number: int,
    connection: int,
    payload: bytes,
) -> bytes:
    """Bytes of one record. Raises SpoolError for a payload over 16 MiB."""
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SpoolError(
            f"a payload of {len(payload)} bytes does not fit into a spool record "
            f"(at most {MAX_PAYLOAD_BYTES}); it was not spooled"
        )
    length = _LENGTH.pack(len(payload))
    checked = _CHECKED.pack(kind, received_ns, monotonic_ns, number, connection)
    crc = google_crc32c.extend(google_crc32c.value(length + checked), payload)
    return length + _LENGTH.pack(crc) + checked + payload


def scan_records(buffer: bytes, offset: int = 0, limit: int | None = None) -> Scan:
    """Complete records from ``offset`` on, at most ``limit``. Never raises."""
    records: list[Record] = []
    status = ScanEnd.CLEAN
    while offset < len(buffer):
        if limit is not None and len(records) >= limit:
            return Scan(records, offset, ScanEnd.LIMIT)
        found = _record_at(buffer, offset)
        if isinstance(found, ScanEnd):
            status = found
            break
        records.append(found)
        offset = found.end
    return Scan(records, offset, status)


def first_frame(records: Iterable[Record]) -> int | None:
    """Seq of the first frame among the records, None where there is none."""
    return next((r.number for r in records if r.kind is RecordKind.FRAME), None)


def find_record(buffer: bytes, offset: int) -> int | None:
    """Offset of the first complete record at or behind ``offset``; None where there is none.

    Used to step over damage: a record counts only with its checksum.
    """
    for candidate in _CANDIDATE.finditer(buffer, offset):
        if isinstance(_record_at(buffer, candidate.start()), Record):
            return candidate.start()
    return None


def _record_at(buffer: bytes, offset: int) -> Record | ScanEnd:
    if len(buffer) - offset < RECORD_HEADER_BYTES:
        return ScanEnd.TORN
    length, crc, kind, wall, monotonic, number, connection = _HEADER.unpack_from(buffer, offset)
    if length > MAX_PAYLOAD_BYTES or kind not in (RecordKind.FRAME, RecordKind.EVENT):
        return ScanEnd.DAMAGED
    begin = offset + RECORD_HEADER_BYTES
    end = begin + length
    if end > len(buffer):
        return ScanEnd.TORN
    payload = buffer[begin:end]
    head = buffer[offset : offset + _LENGTH.size] + buffer[offset + _KIND_OFFSET : begin]
    if google_crc32c.extend(google_crc32c.value(head), payload) != crc:
        return ScanEnd.DAMAGED
    return Record(RecordKind(kind), wall, monotonic, number, connection, payload, end)
