"""The record format: what was written is read, what was not written is never read."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.records import (
    MAX_PAYLOAD_BYTES,
    RECORD_HEADER_BYTES,
    Record,
    RecordKind,
    ScanEnd,
    SegmentHeader,
    StreamEvent,
    decode_event,
    decode_segment_header,
    encode_event,
    encode_record,
    encode_segment_header,
    find_record,
    scan_records,
)

HEADER = SegmentHeader("alpha", "alpha-20261122T105714123Z-3f2a", 3, 1_763_000_000_000_000_000)

records = st.builds(
    Record,
    kind=st.sampled_from(RecordKind),
    received_ns=st.integers(-(2**63), 2**63 - 1),
    monotonic_ns=st.integers(0, 2**64 - 1),
    number=st.integers(0, 2**64 - 1),
    connection=st.integers(0, 2**32 - 1),
    payload=st.binary(max_size=200),
)


def encoded(record: Record) -> bytes:
    return encode_record(
        record.kind,
        record.received_ns,
        record.monotonic_ns,
        record.number,
        record.connection,
        record.payload,
    )


def without_ends(found: list[Record]) -> list[Record]:
    return [without_end(record) for record in found]


def without_end(record: Record) -> Record:
    return Record(
        record.kind,
        record.received_ns,
        record.monotonic_ns,
        record.number,
        record.connection,
        record.payload,
    )


@given(st.lists(records, max_size=8))
def test_what_was_encoded_is_read_back(written: list[Record]) -> None:
    buffer = b"".join(map(encoded, written))
    scan = scan_records(buffer)
    assert without_ends(scan.records) == written
    assert (scan.end, scan.status) == (len(buffer), ScanEnd.CLEAN)


@given(st.lists(records, min_size=1, max_size=6), st.data())
def test_a_truncated_buffer_gives_the_records_before_the_cut(
    written: list[Record], data: st.DataObject
) -> None:
    pieces = list(map(encoded, written))
    buffer = b"".join(pieces)
    cut = data.draw(st.integers(0, len(buffer)))
    ends = [sum(map(len, pieces[: n + 1])) for n in range(len(pieces))]
    complete = sum(end <= cut for end in ends)
    scan = scan_records(buffer[:cut])
    assert without_ends(scan.records) == written[:complete]
    assert scan.end == (ends[complete - 1] if complete else 0)
    assert scan.status is (ScanEnd.CLEAN if scan.end == cut else ScanEnd.TORN)


@given(st.binary(max_size=2000), st.integers(0, 50))
def test_random_bytes_hold_no_record_and_raise_nothing(noise: bytes, offset: int) -> None:
    scan = scan_records(noise, offset)
    assert scan.records == []
    assert (scan.status is ScanEnd.CLEAN) == (offset >= len(noise))
    assert find_record(noise, offset) is None


@given(st.lists(records, min_size=1, max_size=5), st.data())
def test_a_flipped_bit_never_changes_a_record(written: list[Record], data: st.DataObject) -> None:
    pieces = list(map(encoded, written))
    buffer = bytearray(b"".join(pieces))
    at = data.draw(st.integers(0, len(buffer) - 1))
    buffer[at] ^= 1 << data.draw(st.integers(0, 7))
    hit = next(n for n in range(len(pieces)) if at < sum(map(len, pieces[: n + 1])))
    scan = scan_records(bytes(buffer))
    assert without_ends(scan.records) == written[:hit]
    assert scan.status in (ScanEnd.TORN, ScanEnd.DAMAGED)


@given(records, st.binary(max_size=300), records)
def test_damage_is_stepped_over(before: Record, noise: bytes, after: Record) -> None:
    first, second = encoded(before), encoded(after)
    damaged = bytearray(first)
    damaged[4] ^= 1
    buffer = bytes(damaged) + noise + second
    assert scan_records(buffer).records == []
    assert find_record(buffer, 0) == len(first) + len(noise)


def test_a_limit_ends_the_scan_between_records() -> None:
    piece = encode_record(RecordKind.FRAME, 1, 2, 3, 4, b"five")
    scan = scan_records(piece * 3, 0, 2)
    assert len(scan.records) == 2
    assert (scan.end, scan.status) == (2 * len(piece), ScanEnd.LIMIT)
    assert scan_records(piece * 3, scan.end, 2).status is ScanEnd.CLEAN


def test_the_layout_is_the_documented_one() -> None:
    data = encode_record(RecordKind.EVENT, -1, 2, 3, 4, b"payload")
    assert RECORD_HEADER_BYTES == 37
    assert data[:4] == (7).to_bytes(4, "little")
    assert data[8] == 2
    assert data[9:17] == b"\xff" * 8
    assert data[17:25] == (2).to_bytes(8, "little")
    assert data[25:33] == (3).to_bytes(8, "little")
    assert data[33:37] == (4).to_bytes(4, "little")
    assert data[37:] == b"payload"


def test_a_payload_of_16_mib_fits_and_one_more_byte_does_not() -> None:
    payload = bytes(MAX_PAYLOAD_BYTES)
    buffer = encode_record(RecordKind.FRAME, 1, 1, 0, 1, payload)
    assert scan_records(buffer).records[0].payload == payload
    with pytest.raises(SpoolError, match="does not fit"):
        encode_record(RecordKind.FRAME, 1, 1, 0, 1, payload + b"x")


def test_an_unknown_kind_is_damage() -> None:
    data = bytearray(encode_record(RecordKind.FRAME, 1, 1, 0, 1, b"x"))
    data[8] = 9
    assert scan_records(bytes(data)).status is ScanEnd.DAMAGED


def test_segment_header_round_trip() -> None:
    data = encode_segment_header(HEADER)
    assert decode_segment_header(data + b"records", "file") == (HEADER, len(data))


@given(st.integers(0, 200))
def test_a_cut_segment_header_is_torn(cut: int) -> None:
    data = encode_segment_header(HEADER)
    if cut < len(data):
        assert decode_segment_header(data[:cut], "file") is None


def test_zeros_of_a_power_cut_are_a_torn_header() -> None:
    assert decode_segment_header(bytes(4096), "file") is None
    assert decode_segment_header(bytes(5), "file") is None


@pytest.mark.parametrize("foreign", [b"PK\x03\x04", b"NOTSPOOL" + bytes(80), b'{"a": 1}' * 9])
def test_a_foreign_file_is_refused_by_name(foreign: bytes) -> None:
    with pytest.raises(SpoolError, match=r"some/file\.spool: not a spool segment"):
        decode_segment_header(foreign, "some/file.spool")


def test_a_newer_format_is_refused_by_name() -> None:
    data = bytearray(encode_segment_header(HEADER))
    data[8] = 2
    with pytest.raises(SpoolError, match=r"some/file\.spool: spool format 2"):
        decode_segment_header(bytes(data), "some/file.spool")


@pytest.mark.parametrize("at", [-1, 12, 13, 14])
def test_a_damaged_header_is_refused_by_name(at: int) -> None:
    data = bytearray(encode_segment_header(HEADER) + bytes(4096))
    data[at if at >= 0 else at - 4096] ^= 0x80
    with pytest.raises(SpoolError, match=r"some/file\.spool: the segment header is damaged"):
        decode_segment_header(bytes(data), "some/file.spool")


@given(st.binary(max_size=300))
def test_a_random_header_is_refused_or_torn(noise: bytes) -> None:
    refused = None
    try:
        assert decode_segment_header(noise, "file") is None
    except SpoolError as error:
        refused = str(error)
    assert refused is None or refused.startswith("file: ")


def test_event_round_trip() -> None:
    event = StreamEvent(
        StreamEventKind.SUBSCRIBE_REQUESTED,
        Cause.SILENT_LADDER,
        "CL.NYMEX.front",
        304037393,
        17,
        {"attempt": 2},
    )
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize(
    "payload", [b"", b"[]", b'{"kind":"no such"}', b'{"kind":"connected","conid":-1}']
)
def test_an_unreadable_event_is_a_decode_error(payload: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_event(payload)
