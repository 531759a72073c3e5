"""Records of a run -> rows: against the recorded capture, and what happens to the unreadable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, date, datetime
from decimal import Decimal

import msgspec
import pytest

from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.arrow import COLUMNS, to_arrow
from ib_platform.streamer.decode import TABLES, Row, Rows, RunDecoder, trade_date_of_ns
from ib_platform.streamer.records import Record, RecordKind, StreamEvent, encode_event
from ib_platform_tests.streamer.spools import BASE_NS, HEARTBEAT
from ib_platform_tests.support import (
    CAPTURE_CONID,
    capture_ladder_payloads,
    capture_messages,
)


def frame(seq: int, payload: bytes, ns: int = BASE_NS) -> Record:
    return Record(RecordKind.FRAME, ns + seq, 7 + seq, seq, 1, payload)


def event(number: int, kind: StreamEventKind, **fields: object) -> Record:
    payload = encode_event(StreamEvent(kind, **fields))  # type: ignore[arg-type]
    return Record(RecordKind.EVENT, BASE_NS, 7, number, 1, payload)


def requested(conid: int = CAPTURE_CONID) -> Record:
    return event(0, StreamEventKind.SUBSCRIBE_REQUESTED, conid=conid)


def new_decoder() -> RunDecoder:
    return RunDecoder("alpha", "run-1")


def capture_records() -> list[Record]:
    frames = [frame(seq, p) for seq, p in enumerate(capture_ladder_payloads())]
    return [requested(), *frames]


def column(table: str, rows: Iterable[Row], name: str) -> list[object]:
    position = [column for column, _ in COLUMNS[table]].index(name)
    return [row[position] for row in rows]


def two_sided_states(rows: list[Row]) -> tuple[int, int]:
    """(two-sided, crossed or locked) states, rebuilt from stored columns alone."""
    names = [name for name, _ in COLUMNS["ladder_frames"]]
    window, sizes = None, [0] * 21
    two_sided = crossed = 0
    for row in rows:
        values = dict(zip(names, row, strict=True))
        if (values["epoch"], values["window"]) != window:
            window, sizes = (values["epoch"], values["window"]), [0] * 21
        sizes = [
            old if new is None else new for old, new in zip(sizes, values["sizes"], strict=True)
        ]
        bids = [r for r in range(21) if sizes[r] > 0]
        asks = [r for r in range(21) if sizes[r] < 0]
        two_sided += bool(bids and asks)
        crossed += bool(bids and asks and min(bids) <= max(asks))
    return two_sided, crossed


def test_the_capture_gives_its_1525_ladder_rows() -> None:
    decoder = new_decoder()
    rows = decoder.decode(capture_records())
    ladder = rows["ladder_frames"]
    assert len(ladder) == len(rows["frames"]) == 1525
    assert decoder.undecodable == {}
    assert two_sided_states(ladder) == (1524, 0)
    assert set(column("ladder_frames", ladder, "epoch")) == {1}
    windows = {w for w in column("ladder_frames", ladder, "window") if w}
    roles = Counter(column("ladder_frames", ladder, "role"))
    assert roles["full"] == 196
    assert len(windows) == 197  # one more is laid by a delta that re-prices the ladder around zero
    assert roles["repriced"] == 1


def test_batches_of_any_size_give_the_same_rows() -> None:
    records = capture_records()
    whole = new_decoder().decode(records)
    decoder, pieces = new_decoder(), {table: [] for table in TABLES}  # type: ignore[var-annotated]
    for begin in range(0, len(records), 97):
        # Through the manifest's JSON, as between two lives of a loader.
        decoder = msgspec.json.decode(msgspec.json.encode(decoder), type=RunDecoder)
        for table, rows in decoder.decode(records[begin : begin + 97]).items():
            pieces[table] += rows
    assert pieces == whole


def test_every_inbound_message_of_the_capture_is_a_frame() -> None:
    inbound = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    decoder = new_decoder()
    rows = decoder.decode(frame(seq, payload) for seq, payload in enumerate(inbound))
    assert len(rows["frames"]) == decoder.frames == len(inbound) == 3005
    topics = Counter(column("frames", rows["frames"], "topic"))
    assert topics["sbd"] == len(rows["ladder_frames"]) == 1525
    assert topics["smd"] == len(rows["quote_frames"])
    assert column("frames", rows["frames"], "payload") == inbound
    assert decoder.undecodable == {}


def test_a_second_request_begins_a_second_epoch_with_its_full_frame() -> None:
    payloads = capture_ladder_payloads()
    records = [requested(), frame(0, payloads[0]), requested(), frame(1, payloads[0])]
    rows = new_decoder().decode(records)["ladder_frames"]
    assert column("ladder_frames", rows, "epoch") == [1, 2]
    assert column("ladder_frames", rows, "window") == [1, 1]


def test_a_disconnect_makes_deltas_orphans() -> None:
    full = next(p for p in capture_ladder_payloads() if p.count(b'"row"') == 21)
    delta = next(p for p in capture_ladder_payloads() if p.count(b'"row"') == 2)
    gone = event(1, StreamEventKind.DISCONNECTED, cause=Cause.DISCONNECTED)
    records = [requested(), frame(0, full), gone, frame(1, delta)]
    rows = new_decoder().decode(records)["ladder_frames"]
    assert column("ladder_frames", rows, "role") == ["full", "orphan"]
    assert column("ladder_frames", rows, "top_price")[1] is None


@pytest.mark.parametrize(
    ("payload", "reason", "topic", "conid"),
    [
        (b'{"topic":"sbd+DU1000001+304037393","data":', "not_json", "undecodable", None),
        (b'{"topic":"sbd+DU1000001+304037393","data":[]}', "no_rows", "sbd", 304037393),
        (b'{"topic":"sbd+DU1000001+x","data":[]}', "bad_topic", "sbd", None),
        (b"\xff\xfe", "not_json", "undecodable", None),
        (b"", "not_json", "undecodable", None),
        (b'{"topic":"smd+265598","31":"1.2.3"}', "bad_price", "smd", 265598),
        (b'{"topic":"smd+265598","_updated":99999999999999999}', "bad_time", "smd", 265598),
    ],
)
def test_what_cannot_be_decoded_keeps_its_payload_and_a_reason(
    payload: bytes, reason: str, topic: str, conid: int | None
) -> None:
    decoder = new_decoder()
    rows = decoder.decode([frame(0, payload)])
    assert decoder.undecodable == {reason: 1}
    assert column("frames", rows["frames"], "payload") == [payload]
    assert column("frames", rows["frames"], "decode_error") == [reason]
    assert column("frames", rows["frames"], "topic") == [topic]
    assert column("frames", rows["frames"], "conid") == [conid]
    assert rows["ladder_frames"] == []
    # A quote keeps its readable fields, here none: the row says that all are unknown.
    assert [set(row[6:-1]) for row in rows["quote_frames"]] == [{None}] * (topic == "smd")


@pytest.mark.parametrize(
    "bad",
    [
        b'{"topic":"sbd+DU1000001+304037393","data":[]}',
        b'{"topic":"sbd+DU1000001+3040',
        b'{"topic":"sbd+DU1000001","data":[]}',
    ],
)
def test_an_undecodable_frame_makes_its_ladder_suspect(bad: bytes) -> None:
    full = next(p for p in capture_ladder_payloads() if p.count(b'"row"') == 21)
    delta = b'{"topic":"sbd+DU1000001+304037393","data":[]}'
    top = msgspec.json.decode(full)["data"][0]["price"]
    delta = delta.replace(b"[]", b'[{"row":0,"focus":0,"price":"%s","ask":"1"}]' % top.encode())
    rows = new_decoder().decode([frame(0, full), frame(1, bad), frame(2, delta), frame(3, full)])
    assert column("ladder_frames", rows["ladder_frames"], "suspect") == [False, True, False]


def test_a_hole_in_seq_makes_every_ladder_suspect() -> None:
    payloads = capture_ladder_payloads()
    decoder = new_decoder()
    decoder.decode([frame(0, payloads[0]), frame(2, HEARTBEAT)])
    assert decoder.books[CAPTURE_CONID].suspect
    assert decoder.next_seq == 3


def test_a_price_beyond_the_column_is_undecodable() -> None:
    rows = [{"row": r, "focus": 0, "price": str(999_999_999 - r * 40_000_000)} for r in range(21)]
    topic = '{"topic":"sbd+DU1000001+1","data":%s}'
    full = (topic % msgspec.json.encode(rows).decode()).encode()
    high = (topic % '[{"row":20,"focus":0,"price":"999999999"}]').encode()
    decoder = new_decoder()
    decoded = decoder.decode([frame(0, full), frame(1, high)])
    assert len(decoded["ladder_frames"]) == 1
    assert decoder.undecodable == {"price_out_of_range": 1}
    to_arrow("ladder_frames", decoded["ladder_frames"])


def test_events_become_rows_and_state() -> None:
    decoder = new_decoder()
    rows = decoder.decode(
        [
            event(0, StreamEventKind.RUN_STARTED, detail={"pid": 4}),
            event(
                1,
                StreamEventKind.SUBSCRIBE_REQUESTED,
                contract="CL.NYMEX.front",
                conid=5,
                after_seq=9,
            ),
            Record(RecordKind.EVENT, BASE_NS, 7, 2, 1, b'{"kind":"from the future"}'),
            event(3, StreamEventKind.RUN_STOPPED, cause=Cause.MAINTENANCE),
        ]
    )["stream_events"]
    assert column("stream_events", rows, "kind") == [
        "run_started",
        "subscribe_requested",
        "unreadable",
        "run_stopped",
    ]
    assert column("stream_events", rows, "detail")[0] == '{"pid":4}'
    assert column("stream_events", rows, "detail")[2] == '{"kind":"from the future"}'
    assert column("stream_events", rows, "cause")[3] == "maintenance"
    assert column("stream_events", rows, "conid")[1] == 5
    assert column("stream_events", rows, "after_seq")[1] == 9
    assert decoder.stopped
    assert 5 in decoder.books


def test_trade_dates_by_minute_agree_with_the_calendar() -> None:
    for text in ("2025-11-13T22:29:59.999999", "2025-11-13T22:30:00", "2025-11-15T12:00:00"):
        instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
        ns = int(instant.timestamp()) * 10**9 + instant.microsecond * 1000
        assert trade_date_of_ns(ns) == trade_date_of(instant)
    assert trade_date_of_ns(BASE_NS) == date(2025, 11, 13)


def decoded_capture() -> Rows:
    inbound = [m["msg"].encode() for m in capture_messages() if m["dir"] == "in"]
    return new_decoder().decode([requested(), *(frame(s, p) for s, p in enumerate(inbound))])


@pytest.mark.parametrize("table", TABLES)
def test_arrow_tables_hold_the_rows_exactly(table: str) -> None:
    rows = decoded_capture()[table]
    arrow = to_arrow(table, rows)
    assert arrow.column_names == [name for name, _ in COLUMNS[table]]
    assert arrow.num_rows == len(rows)
    assert all(column.num_chunks == 1 for column in arrow.columns)
    for (name, kind), position in zip(COLUMNS[table], range(99), strict=False):
        expected = [row[position] for row in rows]
        found = arrow.column(name)
        if kind == "price":
            scaled = [None if v is None else Decimal(v).scaleb(-9) for v in expected]
            assert found.to_pylist() == scaled
        elif kind in ("ns", "ms"):
            assert found.cast("int64").to_pylist() == expected
        else:
            assert found.to_pylist() == [list(v) if kind == "sizes" else v for v in expected]


@pytest.mark.parametrize("table", TABLES)
def test_an_empty_table_has_its_types(table: str) -> None:
    empty = to_arrow(table, [])
    assert empty.num_rows == 0
    assert empty.schema == to_arrow(table, decoded_capture()[table][:1]).schema


def test_decimals_keep_sign_and_scale() -> None:
    import pyarrow as pa

    from ib_platform.streamer.arrow import _decimals

    values = [0, 1, -1, None, 58_280_000_000, -(10**18) + 1, 10**18 - 1]
    found = _decimals(pa, values)
    found.validate(full=True)
    expected = [None if v is None else Decimal(v).scaleb(-9) for v in values]
    assert found.to_pylist() == expected


FULL = next(p for p in capture_ladder_payloads() if p.count(b'"row"') == 21)
ROWS = msgspec.json.decode(FULL)
DELTA = msgspec.json.encode(ROWS | {"data": ROWS["data"][:2]})


def test_lost_frames_make_every_book_suspect_until_its_next_window() -> None:
    lost = event(1, StreamEventKind.FRAMES_LOST, cause=Cause.DISK_FULL)
    records = [requested(), frame(0, FULL), lost, frame(1, DELTA), frame(2, FULL), frame(3, DELTA)]
    rows = new_decoder().decode(records)["ladder_frames"]
    assert column("ladder_frames", rows, "suspect") == [False, True, False, False]


def test_a_session_that_is_lost_ends_every_ladder() -> None:
    lost = event(1, StreamEventKind.SESSION_CHANGED, cause=Cause.COMPETING_LOGIN)
    found = event(2, StreamEventKind.SESSION_CHANGED)
    records = [requested(), frame(0, FULL), lost, frame(1, DELTA), found, frame(2, FULL)]
    rows = new_decoder().decode([*records, found, frame(3, DELTA)])["ladder_frames"]
    assert column("ladder_frames", rows, "role") == ["full", "orphan", "full", "delta"]
    assert column("ladder_frames", rows, "epoch") == [1, 1, 2, 2]
