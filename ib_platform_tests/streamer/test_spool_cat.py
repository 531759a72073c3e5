"""``ib-platform spool cat``: records as JSON lines."""

from __future__ import annotations

import base64
import signal
from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.records import RecordKind, encode_record
from ib_platform.streamer.segments import list_segments
from ib_platform_tests.streamer.spool_cli import Bench
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    HEARTBEAT,
    PAPER_USER,
    RunProcess,
    append,
    died_run,
    loader_of,
    open_spool,
    records_of,
)
from ib_platform_tests.streamer.test_spool_ls import quarantine_one


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.create(tmp_path)


def test_every_field_of_a_record(bench: Bench) -> None:
    spool = open_spool(bench.folder, clocks=Clocks(lambda: BASE_NS + 7, lambda: 5))
    first = spool.tail.offset
    spool.append_event(
        StreamEventKind.DISCONNECTED,
        cause=Cause.SESSION_LOST,
        contract="CL.NYMEX.front",
        conid=5,
        connection=3,
        detail={"why": "a test"},
    )
    second = spool.tail.offset
    spool.append_frame(BASE_NS + 1, 2**63, 2, HEARTBEAT)
    spool.close()
    name = f"{spool.run_id}.000000"
    event, frame = bench.lines("spool", "cat", name)
    assert event == {
        "segment": name,
        "offset": first,
        "kind": "event",
        "number": 0,
        "at": "2025-11-13T13:20:00.000000007Z",
        "received_ns": BASE_NS + 7,
        "monotonic_ns": 5,
        "connection": 3,
        "bytes": event["bytes"],
        "event": {
            "kind": "disconnected",
            "cause": "session_lost",
            "contract": "CL.NYMEX.front",
            "conid": 5,
            "after_seq": 0,
            "detail": {"why": "a test"},
        },
    }
    assert frame == {
        "segment": name,
        "offset": second,
        "kind": "frame",
        "number": 0,
        "at": "2025-11-13T13:20:00.000000001Z",
        "received_ns": BASE_NS + 1,
        "monotonic_ns": 2**63,
        "connection": 2,
        "bytes": len(HEARTBEAT),
    }


def test_payloads_only_when_asked_as_text_or_base64(bench: Bench) -> None:
    payloads = [b"plain", "Zürich €".encode(), b"\xff\x00 raw", b""]
    run_id = died_run(bench.folder, payloads)
    frames = [line for line in bench.lines("spool", "cat", run_id) if line["kind"] == "frame"]
    assert not any("payload" in key for frame in frames for key in frame)
    shown = bench.lines("spool", "cat", run_id, "--payloads")[1:]
    assert [one.get("payload") for one in shown] == ["plain", "Zürich €", None, ""]
    assert base64.b64decode(shown[2]["payload_base64"]) == payloads[2]


def test_a_run_is_all_of_its_segments_in_order(bench: Bench) -> None:
    run_id = died_run(bench.folder, [bytes([65 + n]) * 1500 for n in range(9)], segment_bytes=4096)
    lines = bench.lines("spool", "cat", run_id)
    records = records_of(bench.folder, run_id)
    assert [line["received_ns"] for line in lines] == [r.received_ns for r in records]
    names = [segment.path.stem for segment in list_segments(bench.folder)]
    assert list(dict.fromkeys(line["segment"] for line in lines)) == names
    for name in (names[1], f"{names[1]}.spool"):
        only = bench.lines("spool", "cat", name)
        assert only == [line for line in lines if line["segment"] == names[1]]


@pytest.mark.parametrize(
    ("options", "numbers"),
    [
        (["--from-seq", "3"], [3, 4, 5]),
        (["--to-seq", "1"], [0, 1]),
        (["--from-seq", "2", "--to-seq", "3"], [2, 3]),
        (["--from-seq", "9"], []),
    ],
)
def test_a_span_of_frames_and_the_events_in_it(
    bench: Bench, options: list[str], numbers: list[int]
) -> None:
    spool = open_spool(bench.folder)
    for number in range(6):
        spool.append_event(StreamEventKind.CONNECTED)
        append(spool, [b"frame %d" % number])
    spool.close()
    lines = bench.lines("spool", "cat", spool.run_id, *options)
    frames = [line["number"] for line in lines if line["kind"] == "frame"]
    events = [line["event"]["after_seq"] for line in lines if line["kind"] == "event"]
    assert frames == events == numbers


def test_kept_and_quarantined_records_are_printed_too(bench: Bench, warehouse: ClickHouse) -> None:
    spool = open_spool(bench.folder, segment_bytes=4096, keep_loaded=60)
    append(spool, [b"x" * 1500] * 5)
    assert loader_of(spool, warehouse).drain()
    spool.close()
    assert [segment.number for segment in list_segments(bench.folder)] == [2]
    lines = bench.lines("spool", "cat", spool.run_id)
    assert [line["number"] for line in lines] == [0, 1, 2, 3, 4]
    other = died_run(bench.folder, [b"a", b"b"])
    name = quarantine_one(bench.folder, other)
    batch = bench.lines("spool", "cat", name, "--payloads")
    assert {line["segment"] for line in batch} == {name}
    assert [line.get("payload") for line in batch[1:]] == ["a", "b"]
    for segment in list_segments(bench.folder):
        segment.path.unlink()
    assert bench.lines("spool", "cat", other, "--payloads") == batch, "all that is left of the run"


def test_damage_is_a_line_of_its_own(bench: Bench) -> None:
    run_id = died_run(bench.folder, [b"one", b"two", b"three"])
    (segment,) = list_segments(bench.folder)
    data = bytearray(segment.path.read_bytes())
    at = data.index(b"two")
    data[at] ^= 1
    segment.path.write_bytes(data)
    lines = bench.lines("spool", "cat", run_id)
    assert [line.get("number") for line in lines] == [0, 0, None, 2]
    assert lines[2] == {
        "segment": segment.path.stem,
        "offset": at - 37,
        "damaged_bytes": 37 + len(b"two"),
    }


def test_an_event_that_cannot_be_read_is_printed_as_it_is(bench: Bench) -> None:
    spool = open_spool(bench.folder)
    tail = spool.tail.offset
    spool.append_event(StreamEventKind.CONNECTED)
    spool.close()
    (segment,) = list_segments(bench.folder)
    odd = encode_record(RecordKind.EVENT, 1, 1, 0, 0, b'{"kind":"of_the_future"}')
    segment.path.write_bytes(segment.path.read_bytes()[:tail] + odd)
    (line,) = bench.lines("spool", "cat", spool.run_id, "--payloads")
    assert "of_the_future" in line["unreadable_event"]
    assert line["payload"] == '{"kind":"of_the_future"}'


def test_a_name_that_nothing_has(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    for name in ("nothing", "../alpha", "alpha"):
        result = bench.run("spool", "cat", name)
        assert result.exit_code == 9
        assert f"no segment, run or quarantined batch {name!r}" in result.stderr
        assert "`ib-platform spool ls` prints the names" in result.stderr


def test_a_foreign_file_is_one_clear_error(bench: Bench) -> None:
    bench.folder.mkdir(parents=True)
    foreign = bench.folder / "alpha-1.000000.spool"
    foreign.write_bytes(b"IBPSPOOL\x07" + bytes(50))
    result = bench.run("spool", "cat", "alpha-1", "--paper-user", PAPER_USER)
    assert result.exit_code == 9
    assert "spool format 7" in result.stderr


def test_a_closed_pipe_ends_it_quietly(bench: Bench) -> None:
    run_id = died_run(bench.folder, [b"x" * 2000] * 400)
    process = bench.process("spool", "cat", run_id, "--payloads")
    assert process.stdout is not None
    assert process.stderr is not None
    first = process.stdout.readline()
    process.stdout.close()
    assert first.startswith(b'{"segment":')
    assert (process.wait(60), process.stderr.read()) == (0, b"")
    process.stderr.close()


def test_beside_a_running_streamer(bench: Bench) -> None:
    run = RunProcess(bench.folder)
    run.wait_for_frames(200)
    lines = bench.lines("spool", "cat", run.run_id)
    frames = [line["number"] for line in lines if line["kind"] == "frame"]
    assert frames == list(range(len(frames)))
    assert len(frames) >= 200
    run.end(signal.SIGKILL)
