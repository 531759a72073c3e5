"""What the stream benchmarks are made of: frames made beforehand, percentiles, spans of samples."""

from __future__ import annotations

from datetime import date

import pytest

from benchmarks.endurance import Sample, growth, table
from benchmarks.ladder_cycle import ladder_cycle, websocket_frame
from benchmarks.ladder_source import Asked
from benchmarks.latency import Poll, waited
from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.frames import LADDER, classify
from ib_platform.marketdata.ladder import WINDOW_ROWS, LadderRows, decode_ladder
from ib_platform.simulator.catalogue import Catalogue

CONTRACT = Catalogue.on(date(2026, 11, 16)).months_of("CL")[0]


def test_a_cycle_is_a_ladder_that_may_begin_again() -> None:
    frames = ladder_cycle(CONTRACT, "DU1000001", 300, seed=1)
    assert frames == ladder_cycle(CONTRACT, "DU1000001", 300, seed=1)
    assert len(frames) == 300
    book = LadderBook()
    for number, payload in enumerate(frames + frames):
        kind = classify(payload)
        assert (kind.topic, kind.conid, kind.error) == (LADDER, CONTRACT.conid, None)
        rows = decode_ladder(payload)
        assert isinstance(rows, LadderRows)
        assert isinstance(book.apply(rows), LadderUpdate)
        if number % 300 == 0:
            assert payload.count(b'"row"') == WINDOW_ROWS


@pytest.mark.parametrize(
    ("size", "head"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_frames_as_rfc_6455_wants_them(size: int, head: bytes) -> None:
    payload = b"x" * size
    assert websocket_frame(payload) == head + payload


def test_the_ladders_of_a_client_take_turns() -> None:
    asked = Asked()
    assert list(asked.take(3)) == []
    asked.cycles = {1: [b"a", b"b"], 2: [b"A", b"B", b"C"]}
    assert list(asked.take(5)) == [b"a", b"A", b"b", b"B", b"a"]
    assert list(asked.take(3)) == [b"C", b"b", b"A"]


def test_a_frame_waits_until_the_poll_that_sees_it() -> None:
    ms = 1_000_000
    polls = [
        Poll(asked=100 * ms, answered=110 * ms, highest=0),
        Poll(asked=200 * ms, answered=215 * ms, highest=7),
        Poll(asked=300 * ms, answered=312 * ms, highest=9),
    ]
    stamps = [(5, 90 * ms), (7, 150 * ms), (8, 205 * ms), (9, 205 * ms)]
    most, least = waited(stamps, polls)
    assert most == [125.0, 65.0, 107.0, 107.0]
    # 7 came after the poll before was asked: it may have been there at once.
    assert least == [10.0, 0.0, 0.0, 0.0]


def test_what_the_first_poll_sees_may_have_been_there_at_once() -> None:
    assert waited([(0, 50)], [Poll(100, 1_000_050, 3)]) == ([1.0], [0.0])


def samples(*streamer: float) -> list[Sample]:
    return [
        Sample(float(at), 100 * at, 100 * at, size, 2 * size, 0.1 * at, 0, 4)
        for at, size in enumerate(streamer)
    ]


def test_spans_show_the_most_of_each() -> None:
    head, first, second = table(samples(50, 80, 60, 70), 2)
    assert "parts" in head
    assert first.split() == ["1", "s", "100", "80.0", "MB", "160", "MB", "0.10", "s", "4"]
    assert second.split() == ["3", "s", "300", "70.0", "MB", "140", "MB", "0.30", "s", "4"]


def test_more_spans_than_samples() -> None:
    assert len(list(table(samples(50), 10))) == 2


def test_growth_leaves_out_the_warming_up() -> None:
    assert growth(samples(10, 50, 60, 60, 60, 60, 61, 63)) == (2.0, 4.0)
    assert growth(samples(10)) == (0.0, 0.0)
