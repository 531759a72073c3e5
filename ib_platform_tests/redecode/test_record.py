"""A run read back from the warehouse: as its streamer spooled it."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.redecode.record import RecordedRun, RunReader, first_date, plain, read_runs
from ib_platform.states import StreamEventKind
from ib_platform.streamer.arrow import to_arrow
from ib_platform.streamer.decode import TABLES, RunDecoder
from ib_platform.streamer.records import Record, RecordKind, StreamEvent, encode_event, event_of
from ib_platform.warehouse.connect import connect

DAY = date(2025, 11, 12)
BEGIN_NS = 1_762_970_000_000_000_000
RUN = RecordedRun("alpha", "run-a", 9)


def event(number: int, payload: bytes) -> Record:
    return Record(RecordKind.EVENT, BEGIN_NS + number, 0, number, 0, payload)


def told(kind: StreamEventKind, after_seq: int, **detail: Any) -> bytes:
    return encode_event(StreamEvent(kind, conid=7, after_seq=after_seq, detail=detail))


def spooled() -> list[Record]:
    """Ten frames and three events, in the order of the spool."""
    frames = [
        Record(RecordKind.FRAME, BEGIN_NS + seq, 5 + seq, seq, 2, f"frame \xff {seq}".encode())
        for seq in range(10)
    ]
    return [
        event(0, told(StreamEventKind.RUN_STARTED, 0, source="ibkr")),
        *frames[:4],
        event(1, told(StreamEventKind.SUBSCRIBE_REQUESTED, 4)),
        event(2, told(StreamEventKind.DISCONNECTED, 4, why='"quoted"')),
        *frames[4:],
    ]


@pytest.fixture
def client(warehouse: ClickHouse) -> Any:
    with closing(connect(warehouse)) as opened:
        rows = RunDecoder("alpha", "run-a").decode(spooled())
        for table in TABLES:
            # Twice, as after a loader's restart without its manifest.
            for _ in range(2):
                opened.insert_arrow(table, to_arrow(table, rows[table]))
        yield opened


@pytest.mark.parametrize("block", [1, 3, 100])
def test_records_come_back_in_the_order_of_the_spool(client: Any, block: int) -> None:
    reader = RunReader(client, RUN)
    read = [
        record
        for begin in range(0, 10, block)
        for record in reader.records(begin, begin + block - 1)
    ]
    kept = spooled()
    assert [(one.kind, one.number, one.received_ns) for one in read] == [
        (one.kind, one.number, one.received_ns) for one in kept
    ]
    frames = [[one for one in those if one.kind is RecordKind.FRAME] for those in (read, kept)]
    assert frames[0] == frames[1]
    assert list(map(event_of, read)) == list(map(event_of, kept))


def test_an_event_that_nobody_can_read_stays_unreadable(client: Any) -> None:
    broken = event(3, b"\x00 no JSON")
    rows = RunDecoder("alpha", "run-a", next_seq=10).decode([broken])["stream_events"]
    client.insert_arrow("stream_events", to_arrow("stream_events", rows))
    later = RunDecoder("alpha", "run-a", next_seq=10).decode(
        [Record(RecordKind.FRAME, BEGIN_NS + 10, 0, 10, 2, b"{}")]
    )
    client.insert_arrow("frames", to_arrow("frames", later["frames"]))
    read = list(RunReader(client, RUN).records(0, 10))
    assert [one.number for one in read if event_of(one) is None] == [*range(10), 3, 10]


def test_runs_and_where_they_begin(client: Any) -> None:
    assert read_runs(client, DAY, DAY) == [RUN]
    assert read_runs(client, date(2025, 11, 13), date(2025, 11, 14)) == []
    assert first_date(client, RUN) == DAY
    # Events tell of it too: its first frames may be gone.
    earlier = Record(
        RecordKind.EVENT,
        BEGIN_NS - 3 * 86_400 * 10**9,
        0,
        9,
        0,
        told(StreamEventKind.RUN_STARTED, 0),
    )
    rows = RunDecoder("alpha", "run-a").decode([earlier])["stream_events"]
    client.insert_arrow("stream_events", to_arrow("stream_events", rows))
    assert first_date(client, RUN) == date(2025, 11, 10)


def test_arrays_compare_as_tuples() -> None:
    assert plain([1, [None, 2], "x"]) == (1, (None, 2), "x")
