"""Captures: what can be played, and what is refused with file, line and reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from ib_platform.errors import ConfigurationError
from ib_platform.simulator.capture import load_capture
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
