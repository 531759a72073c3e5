"""Captures: what can be played, and what is refused with file, line and reason."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest

from ib_platform.errors import ConfigurationError
from ib_platform.ibkr.capture_file import CaptureWriter
from ib_platform.ibkr.capture_format import Direction, Exchange, Frame, Line, Note, frame_line
from ib_platform.simulator.capture import RecordedMessage, load_capture
from ib_platform_tests.ibkr.test_capture_format import AT, HEADER
from ib_platform_tests.support import CAPTURE_CONID, capture_messages, capture_path

QUOTE = '{"topic":"smd+42","conid":42,"55":"CL"}'
LADDER = '{"topic":"sbd+DU1000001+42","data":[]}'


def line(second: float, text: str, direction: str = "in") -> str:
    at = f"2026-01-01T00:00:{second:06.3f}Z"
    return json.dumps({"t": at, "dir": direction, "msg": text})


GOOD = [
    line(0, '{"topic":"system","hb":1}'),
    line(1, "sbd+DU1000001+42", "out"),
    line(2.5, QUOTE),
    line(3, LADDER),
]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def reason(path: Path) -> str:
    with pytest.raises(ConfigurationError) as caught:
        load_capture(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_recorded_capture() -> None:
    capture = load_capture(capture_path())
    inbound = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    assert [message.payload for message in capture.messages] == inbound
    assert capture.conid == CAPTURE_CONID
    assert capture.symbol == "CL"
    assert all(message.pause >= 0 for message in capture.messages)


def test_pauses_are_between_inbound_messages(tmp_path: Path) -> None:
    capture = load_capture(written(tmp_path / "good.jsonl", GOOD))
    assert [message.pause for message in capture.messages] == [0.0, 2.5, 0.5]
    assert (capture.conid, capture.symbol) == (42, "CL")


def test_gzip_is_known_by_its_content(tmp_path: Path) -> None:
    packed = tmp_path / "capture.jsonl"
    packed.write_bytes(gzip.compress("\n".join(GOOD).encode()))
    assert load_capture(packed).conid == 42


def test_the_contract_is_the_one_with_most_ladder_frames(tmp_path: Path) -> None:
    lines = [
        line(0, LADDER.replace("+42", "+7")),
        line(1, QUOTE.replace("42", "7").replace("CL", "ES")),
        *GOOD[2:],
        line(4, LADDER),
    ]
    lines[2:] = [line(second, text) for second, text in ((2, QUOTE), (3, LADDER), (4, LADDER))]
    assert load_capture(written(tmp_path / "two.jsonl", lines)).conid == 42


def test_text_survives_byte_for_byte(tmp_path: Path) -> None:
    odd = '{"topic":"ntf","args":{"text":"caf\u00e9 \u2603 \U0001f600 \\u0041"}}'
    capture = load_capture(written(tmp_path / "odd.jsonl", [*GOOD, line(5, odd)]))
    assert capture.messages[-1].payload == odd.encode()


def test_a_missing_file(tmp_path: Path) -> None:
    assert "No such file" in reason(tmp_path / "absent.jsonl.gz")


def test_a_folder(tmp_path: Path) -> None:
    assert "cannot be read" in reason(tmp_path)


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty.jsonl").touch()
    assert "no ladder frame" in reason(tmp_path / "empty.jsonl")


def test_a_name_that_lies_about_gzip(tmp_path: Path) -> None:
    assert "line 1: the name says gzip" in reason(written(tmp_path / "plain.jsonl.gz", GOOD))


def test_torn_gzip(tmp_path: Path) -> None:
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(capture_path().read_bytes()[:5000])
    assert "damaged gzip data" in reason(torn)


def test_flipped_bytes_in_gzip(tmp_path: Path) -> None:
    data = bytearray(gzip.compress("\n".join(GOOD * 1).encode()))
    data[-6] ^= 0xFF
    damaged = tmp_path / "damaged.jsonl.gz"
    damaged.write_bytes(data)
    assert "damaged gzip data" in reason(damaged)


@pytest.mark.parametrize(
    "bad",
    [
        "not json",
        "",
        "[]",
        '{"t":"2026-01-01T00:00:00Z","dir":"in"}',
        '{"t":"2026-01-01T00:00:00Z","dir":"in","msg":"x","more":1}',
        '{"t":"2026-01-01T00:00:00Z","dir":"sideways","msg":"x"}',
        '{"t":"2026-01-01T00:00:00","dir":"in","msg":"x"}',
        '{"t":"yesterday","dir":"in","msg":"x"}',
        '{"t":"2026-01-01T00:00:00Z","dir":"in","msg":7}',
        "[" * 100_000,
    ],
)
def test_a_bad_line_is_named(tmp_path: Path, bad: str) -> None:
    text = reason(written(tmp_path / "bad.jsonl", [GOOD[0], bad, *GOOD[1:]]))
    assert "line 2: not a recorded message" in text


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "bytes.jsonl"
    path.write_bytes(GOOD[0].encode() + b'\n{"t":"2026-01-01T00:00:00Z","dir":"in","msg":"\xff"}\n')
    assert "line 2: not a recorded message" in reason(path)


def test_time_that_goes_back(tmp_path: Path) -> None:
    swapped = [GOOD[0], GOOD[2], GOOD[1], GOOD[3]]
    assert "line 3: times must not go back" in reason(written(tmp_path / "back.jsonl", swapped))


def test_no_ladder(tmp_path: Path) -> None:
    assert "no ladder frame (sbd)" in reason(written(tmp_path / "none.jsonl", GOOD[:3]))


def test_no_symbol(tmp_path: Path) -> None:
    lines = [GOOD[0], line(2, QUOTE.replace('"55":"CL"', '"55":7')), GOOD[3]]
    assert "names the symbol" in reason(written(tmp_path / "nameless.jsonl", lines))


# Version 2: a header, REST exchanges, notes, opcodes, several ladders.


def second_version(path: Path, *lines: Line) -> Path:
    writer = CaptureWriter(path, HEADER)
    for entry in lines:
        writer.write(entry)
    writer.close()
    return path


def frame(ns: int, text: str, direction: Direction = "in", *, is_text: bool = False) -> Frame:
    return frame_line(AT, ns, direction, text.encode(), text=is_text, connection=1)


def info(conid: int, symbol: str, ns: int = 0) -> Exchange:
    body = {"con_id": conid, "symbol": symbol, "exchange": "NYMEX", "rules": {"increment": 0.01}}
    return Exchange(
        t=AT,
        ns=ns,
        took_ns=1,
        method="GET",
        path=f"/iserver/contract/{conid}/info-and-rules",
        status=200,
        body=json.dumps(body),
    )


def test_only_inbound_frames_are_played_and_pauses_are_monotonic(tmp_path: Path) -> None:
    path = second_version(
        tmp_path / "c.jsonl.gz",
        info(42, "HO"),
        frame(1_000_000_000, "sbd+DU1000001+42", "out"),
        frame(2_000_000_000, LADDER),
        Note(t=AT, ns=3_000_000_000, name="x"),
        frame(3_500_000_000, "ech+hb", is_text=True),
    )
    capture = load_capture(path)
    assert capture.messages == (
        RecordedMessage(0.0, LADDER.encode()),
        RecordedMessage(1.5, b"ech+hb", is_text=True),
    )
    assert [(c.conid, c.symbol, c.exchange) for c in capture.contracts] == [(42, "HO", "NYMEX")]
    assert [exchange.path for exchange in capture.exchanges] == [info(42, "HO").path]


def test_several_ladders_most_frames_first(tmp_path: Path) -> None:
    other = LADDER.replace("+42", "+7")
    nameless = LADDER.replace("+42", "+8")
    path = second_version(
        tmp_path / "c.jsonl.gz",
        info(42, "HO"),
        info(7, "RB"),
        info(9, "never shown"),
        *(frame(1, text) for text in (other, LADDER, LADDER, nameless)),
    )
    capture = load_capture(path)
    assert [contract.symbol for contract in capture.contracts] == ["HO", "RB"]
    assert (capture.conid, capture.symbol) == (42, "HO")
    assert capture.shows(7)
    assert not capture.shows(9)
    assert len(capture.messages) == 4, "a nameless ladder is played too"


def test_a_price_of_the_recording(tmp_path: Path) -> None:
    rows = [{"row": row, "focus": 0, "price": f"{58.40 - row / 100:.2f}"} for row in range(21)]
    full = json.dumps({"topic": "sbd+DU1000001+42", "data": rows})
    path = second_version(tmp_path / "c.jsonl", info(42, "HO"), frame(1, LADDER), frame(2, full))
    assert load_capture(path).contracts[0].price == Decimal("58.3")


def test_a_recorder_that_was_killed(tmp_path: Path) -> None:
    whole = second_version(tmp_path / "c.jsonl.gz", info(42, "HO"), frame(1, LADDER))
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(whole.read_bytes()[:-1])
    assert "ends in the middle" in reason(torn)
    capture = load_capture(torn, allow_torn=True)
    assert capture.torn is not None
    assert capture.conid == 42


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ('{"format":"ib_platform capture","version":3}', "line 1: capture version 3 is newer"),
        ('{"format":"HAR","version":1}', "line 1: a file of the format 'HAR'"),
        ('{"format":"ib_platform capture","version":2}', "line 1: not a header of a capture"),
    ],
)
def test_foreign_and_newer_files_by_name(tmp_path: Path, header: str, said: str) -> None:
    assert said in reason(written(tmp_path / "c.jsonl", [header, *GOOD]))


def test_a_ladder_that_nothing_names(tmp_path: Path) -> None:
    path = second_version(tmp_path / "c.jsonl", info(7, "RB"), frame(1, LADDER))
    assert "conid 42, and no recorded REST answer does" in reason(path)
