"""Lines of a capture: what is written is what is read, and what cannot be read has a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.ibkr.capture_format import (
    FORMAT,
    BadLineError,
    Exchange,
    Frame,
    Header,
    Line,
    LineReader,
    Note,
    encode_line,
    frame_line,
)

AT = datetime(2026, 11, 23, 10, 0, 0, 123456, UTC)
PRINTABLE = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=4)
HEADER = Header(
    recorded_at=AT,
    programs={"ib_platform": "0.1.0"},
    gateway="simulator",
    account="DU1000001",
    username="papera01",
    products=("CL", "ES"),
)
FIRST = b'{"t":"2026-01-01T00:00:00.250Z","dir":"in","msg":"{\\"topic\\":\\"tic\\"}"}'


def read(*lines: bytes) -> tuple[LineReader, list[Line]]:
    reader = LineReader()
    found = [reader.read(text) for text in lines]
    return reader, [line for line in found if line is not None]


def reason(*lines: bytes) -> str:
    with pytest.raises(BadLineError) as caught:
        read(*lines)
    return str(caught.value)


@st.composite
def any_line(draw: st.DrawFn, ns: int) -> Line:
    at = AT + timedelta(microseconds=draw(st.integers(-(10**9), 10**9)))
    kind = draw(st.sampled_from(["frame", "rest", "note"]))
    if kind == "frame":
        return frame_line(
            at,
            ns,
            draw(st.sampled_from(["in", "out"])),
            draw(st.one_of(st.binary(max_size=20), st.text(max_size=20).map(str.encode))),
            text=draw(st.booleans()),
            connection=draw(st.integers(1, 3)),
        )
    if kind == "rest":
        return Exchange(
            t=at,
            ns=ns,
            took_ns=draw(st.integers(0, 10**12)),
            method=draw(st.sampled_from(["GET", "POST"])),
            path="/x",
            query=draw(st.text(max_size=9)),
            status=draw(st.one_of(st.none(), st.integers(200, 599))),
            headers=draw(st.dictionaries(st.text(max_size=4), PRINTABLE, max_size=2)),
            body=draw(st.text(max_size=20)),
        )
    data = draw(st.dictionaries(st.text(max_size=4), st.integers(0, 9), max_size=2))
    return Note(t=at, ns=ns, name="x", text=draw(st.text(max_size=9)), data=data)


@given(st.data(), st.lists(st.integers(0, 10**15), max_size=8).map(sorted))
def test_what_is_written_is_read(data: st.DataObject, instants: list[int]) -> None:
    lines = [data.draw(any_line(ns)) for ns in instants]
    reader, found = read(encode_line(HEADER), *map(encode_line, lines))
    assert reader.header == HEADER
    assert found == lines
    assert all(b"\n" not in encode_line(line) for line in lines)


@given(st.binary(max_size=40))
def test_a_payload_survives_whatever_it_is(payload: bytes) -> None:
    line = frame_line(AT, 0, "in", payload, text=False, connection=1)
    _, [found] = read(encode_line(HEADER), encode_line(line))
    assert isinstance(found, Frame)
    assert found.payload == payload
    assert (found.msg is None) is (found.base64 is not None)


def test_microseconds_and_text_as_they_were() -> None:
    line = frame_line(AT, 7, "in", "caf\u00e9 \u2603".encode(), text=True, connection=2)
    written = json.loads(encode_line(line))
    assert written == {
        "kind": "frame",
        "t": "2026-11-23T10:00:00.123456Z",
        "ns": 7,
        "dir": "in",
        "opcode": "text",
        "connection": 2,
        "msg": "caf\u00e9 \u2603",
    }


def test_the_first_version_has_no_header_and_only_frames() -> None:
    later = FIRST.replace(b"00.250", b"01.750").replace(b'"in"', b'"out"')
    reader, found = read(FIRST, later)
    assert reader.header is None
    assert [(line.ns, line.dir) for line in found if isinstance(line, Frame)] == [
        (0, "in"),
        (1_500_000_000, "out"),
    ]
    assert [line.opcode for line in found if isinstance(line, Frame)] == ["binary", "binary"]


def test_the_echo_of_the_first_version_was_text() -> None:
    echo = b'{"t":"2026-01-01T00:00:00Z","dir":"in","msg":"ech+hb"}'
    [found] = read(echo)[1]
    assert isinstance(found, Frame)
    assert found.opcode == "text"


def changed(**changes: Any) -> bytes:
    return json.dumps(json.loads(encode_line(HEADER)) | changes).encode()


def test_another_programs_file() -> None:
    assert reason(changed(format="HAR")) == f"a file of the format 'HAR', not {FORMAT!r}"


def test_a_newer_version_is_named() -> None:
    text = reason(changed(version=3))
    assert "version 3 is newer than this program reads (2)" in text


@pytest.mark.parametrize(
    "header",
    [changed(more=1), changed(version=1), changed(recorded_at="noon"), changed(products="CL")],
)
def test_a_damaged_header(header: bytes) -> None:
    assert "header" in reason(header)


GOOD = encode_line(Note(t=AT, ns=5, name="x"))
EXCHANGE = encode_line(
    Exchange(
        t=AT,
        ns=5,
        took_ns=1,
        method="GET",
        path="/tickle",
        status=200,
        headers={"Content-Type": "text/html"},
    )
)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"[]",
        b"{}",
        b'{"kind":"film"}',
        GOOD.replace(b'"note"', b'"frame"'),
        GOOD.replace(b'"ns":5', b'"ns":-5'),
        GOOD.replace(b"Z", b""),
        GOOD.replace(b"}", b',"more":1}'),
        EXCHANGE.replace(b"200", b"100"),
        EXCHANGE.replace(b"200", b"-7"),
        EXCHANGE.replace(b"text/html", b"a\\r\\nX: y"),
        FIRST,
        b"[" * 100_000,
        b"\xff",
        b'{"kind":"frame","t":"2026-01-01T00:00:00Z","ns":5,"dir":"in","base64":"?"}',
    ],
)
def test_a_bad_line_of_the_second_version(line: bytes) -> None:
    assert "not a line of a capture" in reason(encode_line(HEADER), line)


@pytest.mark.parametrize("what", ["", ',"msg":"x","base64":"eA=="'])
def test_a_frame_holds_one_payload(what: str) -> None:
    line = f'{{"kind":"frame","t":"2026-01-01T00:00:00Z","ns":5,"dir":"in"{what}}}'
    assert "either msg or base64" in reason(encode_line(HEADER), line.encode())


def test_the_monotonic_clock_does_not_go_back_but_the_wall_may() -> None:
    earlier = encode_line(Note(t=AT - timedelta(hours=1), ns=6, name="x"))
    assert len(read(encode_line(HEADER), GOOD, earlier)[1]) == 2
    back = encode_line(Note(t=AT, ns=4, name="x"))
    assert "ns 4 comes after 5" in reason(encode_line(HEADER), GOOD, back)


def test_a_header_in_the_middle_is_no_line() -> None:
    assert "not a line" in reason(encode_line(HEADER), encode_line(HEADER))
