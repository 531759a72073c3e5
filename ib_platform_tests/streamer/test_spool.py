"""The spool: what it acknowledged is there after any kill, and only that."""

from __future__ import annotations

import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer import segments
from ib_platform.streamer.records import RecordKind, StreamEvent, decode_event
from ib_platform.streamer.segments import list_segments, list_torn, read_chunk, size_of
from ib_platform.streamer.spool import Spool, new_run_id
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    HEARTBEAT,
    PAPER_USER,
    RunProcess,
    append,
    next_run_id,
    open_spool,
    records_of,
)


def events_of(folder: Path, run_id: str) -> list[StreamEvent]:
    records = records_of(folder, run_id)
    return [decode_event(r.payload) for r in records if r.kind is RecordKind.EVENT]


def payloads_of(folder: Path, run_id: str) -> list[bytes]:
    return [r.payload for r in records_of(folder, run_id) if r.kind is RecordKind.FRAME]


@contextmanager
def file_size_limit(limit: int) -> Iterator[None]:
    """The kernel refuses to let files grow beyond ``limit``, as a full disk does: after a part."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, previous)


def test_run_ids_sort_by_start() -> None:
    moment = datetime(2026, 11, 22, 10, 57, 14, 123_999, UTC)
    run_id = new_run_id("alpha", moment.astimezone(timezone(timedelta(hours=-6))))
    assert run_id.startswith("alpha-20261122T105714123Z-")
    assert len(run_id.rsplit("-", 1)[1]) == 4
    assert run_id < new_run_id("alpha", moment + timedelta(milliseconds=1))


def test_frames_and_events_are_read_back_with_their_stamps(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, clocks=Clocks(lambda: 1000, lambda: 2000))
    assert spool.append_event(StreamEventKind.RUN_STARTED, detail={"pid": 1}) == 0
    assert spool.append_frame(10, 20, 1, b"first") == 0
    assert spool.append_frame(11, 21, 2, b"") == 1
    assert (
        spool.append_event(
            StreamEventKind.DISCONNECTED,
            cause=Cause.DISCONNECTED,
            contract="CL.NYMEX.front",
            conid=5,
            connection=2,
        )
        == 1
    )
    spool.close()
    found = records_of(tmp_path, spool.run_id)
    assert [(r.kind.name, r.number, r.connection) for r in found] == [
        ("EVENT", 0, 0),
        ("FRAME", 0, 1),
        ("FRAME", 1, 2),
        ("EVENT", 1, 2),
    ]
    assert [(r.received_ns, r.monotonic_ns) for r in found] == [
        (1000, 2000),
        (10, 20),
        (11, 21),
        (1000, 2000),
    ]
    assert events_of(tmp_path, spool.run_id)[1] == StreamEvent(
        StreamEventKind.DISCONNECTED, Cause.DISCONNECTED, "CL.NYMEX.front", 5, after_seq=2
    )
    assert spool.frames_written == 2
    assert spool.bytes_written == sum(37 + len(r.payload) for r in found)


def test_a_frame_is_in_the_file_when_append_returns(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    for number in range(3):
        append(spool, [b"frame %d" % number])
        assert payloads_of(tmp_path, spool.run_id)[-1] == b"frame %d" % number
        assert size_of(list_segments(tmp_path)[0].path) == spool.tail.offset
    spool.close()


def test_segments_rotate_by_size_and_keep_every_frame(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, segment_bytes=4096)
    payloads = [bytes([n]) * 700 for n in range(40)]
    for payload in payloads:
        append(spool, [payload])
        spool.sync()
    spool.close()
    files = list_segments(tmp_path)
    assert [f.number for f in files] == list(range(len(files)))
    assert len(files) == 8
    assert files[1].path.name == f"{spool.run_id}.000001.spool"
    assert all(size_of(f.path) <= 4096 for f in files)
    assert payloads_of(tmp_path, spool.run_id) == payloads


def test_a_frame_larger_than_a_segment_gets_one_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "CHUNK_BYTES", 1000)
    spool = open_spool(tmp_path, segment_bytes=4096)
    payloads = [b"small", b"x" * 50_000, b"small too"]
    append(spool, payloads)
    spool.close()
    assert payloads_of(tmp_path, spool.run_id) == payloads
    assert len(list_segments(tmp_path)) == 3


def test_threads_share_one_spool(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, segment_bytes=8192)
    seqs: list[int] = []

    def frames() -> None:
        seqs.extend(spool.append_frame(1, 1, 1, b"x" * 100) for _ in range(500))

    def events_and_syncs() -> None:
        for _ in range(50):
            spool.append_event(StreamEventKind.CONNECTED)
            spool.sync()

    threads = [threading.Thread(target=t) for t in (frames, frames, events_and_syncs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spool.close()
    assert sorted(seqs) == list(range(1000))
    found = records_of(tmp_path, spool.run_id)
    assert [r.number for r in found if r.kind is RecordKind.FRAME] == list(range(1000))
    assert [r.number for r in found if r.kind is RecordKind.EVENT] == list(range(50))


def test_a_second_owner_is_refused_by_pid_and_folder(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(SpoolError, match=rf"{tmp_path}: .* process {os.getpid()}"):
        open_spool(tmp_path)
    spool.close()
    open_spool(tmp_path).close()


def test_another_process_is_refused_until_the_owner_is_killed(tmp_path: Path) -> None:
    run = RunProcess(tmp_path)
    run.wait_for_frames(1)
    with pytest.raises(SpoolError, match=rf"process {run.pid}"):
        open_spool(tmp_path)
    run.end(signal.SIGKILL)
    open_spool(tmp_path).close()


def test_a_closed_spool_refuses_frames_and_closes_twice(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    spool.close()
    spool.close()
    with pytest.raises(SpoolError, match="is closed"):
        append(spool, [HEARTBEAT])


@pytest.mark.parametrize("round_", range(3))
def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path, round_: int) -> None:
    run = RunProcess(tmp_path)
    run.wait_for_frames(200 + 400 * round_)
    run.end(signal.SIGKILL)
    found = [r for r in records_of(tmp_path, run.run_id) if r.kind is RecordKind.FRAME]
    assert [r.number for r in found] == list(range(len(found)))
    assert run.acknowledged == list(range(len(run.acknowledged)))
    assert 0 <= len(found) - len(run.acknowledged) <= 1
    open_spool(tmp_path).close()


@pytest.mark.parametrize("cut", [1, 20, 36, 37, 40, 44])
def test_a_torn_tail_is_cut_kept_and_reported(tmp_path: Path, cut: int) -> None:
    first = open_spool(tmp_path)
    append(first, [b"complete", b"payload!"])
    first.close()
    file = list_segments(tmp_path)[0]
    before = file.path.read_bytes()
    os.truncate(file.path, len(before) - 45 + cut)
    second = open_spool(tmp_path)
    assert payloads_of(tmp_path, first.run_id) == [b"complete"]
    assert file.path.read_bytes() == before[:-45]
    assert [t.torn_path.read_bytes() for t in list_torn(tmp_path)] == [
        before[-45 : -45 + cut or None]
    ]
    (event,) = events_of(tmp_path, second.run_id)
    assert event.kind is StreamEventKind.SPOOL_TORN
    assert event.cause is Cause.STREAMER_DIED
    assert event.detail == {"run_id": first.run_id, "segment": 0, "torn_bytes": cut}
    second.close()
    third = open_spool(tmp_path)
    assert events_of(tmp_path, third.run_id) == []
    third.close()


def test_a_segment_without_its_header_is_no_obstacle(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    append(first, [b"complete"])
    first.close()
    torn = tmp_path / f"{first.run_id}.000001.spool"
    torn.write_bytes(b"IBPSP")
    second = open_spool(tmp_path)
    assert not torn.exists()
    assert events_of(tmp_path, second.run_id)[0].detail["torn_bytes"] == 5
    second.close()


def test_records_behind_a_header_that_a_power_cut_zeroed_are_kept(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    header = first.tail.offset
    append(first, [b"one", b"two"])
    first.close()
    file = list_segments(tmp_path)[0].path
    file.write_bytes(bytes(header) + file.read_bytes()[header:])
    open_spool(tmp_path).close()
    assert payloads_of(tmp_path, first.run_id) == [b"one", b"two"]


def test_damage_in_the_middle_is_stepped_over_not_cut(tmp_path: Path) -> None:
    first = open_spool(tmp_path)
    append(first, [b"one", b"two", b"three"])
    first.close()
    file = list_segments(tmp_path)[0].path
    data = bytearray(file.read_bytes())
    data[data.index(b"two")] ^= 1
    file.write_bytes(data)
    open_spool(tmp_path).close()
    assert file.read_bytes() == bytes(data)
    assert payloads_of(tmp_path, first.run_id) == [b"one", b"three"]


@pytest.mark.parametrize("name", ["alpha-20251113T132000000Z-ffff.000000.spool"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 a zip file" * 9, "not a spool segment"),
        (b"IBPSPOOL\x07" + bytes(50), "format 7"),
    ],
)
def test_foreign_and_newer_segments_are_refused_by_name(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SpoolError, match=rf"{name}.*{message}"):
        open_spool(tmp_path)
    (tmp_path / name).unlink()
    open_spool(tmp_path).close()


def test_the_spool_of_another_paper_user_is_refused(tmp_path: Path) -> None:
    Spool.open(tmp_path, "beta", "beta-1", segment_bytes=4096).close()
    with pytest.raises(SpoolError, match=r"beta-1.*belongs to paper user 'beta', not 'alpha'"):
        open_spool(tmp_path)


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "assignment.json").write_text("{}")
    open_spool(tmp_path).close()
    assert (tmp_path / "assignment.json").read_text() == "{}"


def test_a_run_id_that_is_no_file_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpoolError, match="cannot name a file"):
        open_spool(tmp_path, "../elsewhere")
    run_id = next_run_id()
    open_spool(tmp_path, run_id).close()
    with pytest.raises(SpoolError, match="cannot be created"):
        open_spool(tmp_path, run_id)


def test_a_full_disk_is_an_error_that_leaves_no_partial_record(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    append(spool, [b"before"])
    with file_size_limit(spool.tail.offset + 100), pytest.raises(SpoolError, match="not spooled"):
        append(spool, [b"x" * 500])
    assert size_of(list_segments(tmp_path)[0].path) == spool.tail.offset
    assert spool.frames_written == 1
    append(spool, [b"after"])
    spool.close()
    found = [r for r in records_of(tmp_path, spool.run_id) if r.kind is RecordKind.FRAME]
    assert [(r.number, r.payload) for r in found] == [(0, b"before"), (1, b"after")]


def test_a_disk_that_is_full_at_rotation_keeps_the_old_segment(tmp_path: Path) -> None:
    spool = open_spool(tmp_path, segment_bytes=4096)
    append(spool, [b"x" * 3900])
    with file_size_limit(20), pytest.raises(SpoolError, match="cannot be started"):
        append(spool, [b"y" * 500])
    append(spool, [b"z" * 500])
    spool.close()
    assert payloads_of(tmp_path, spool.run_id) == [b"x" * 3900, b"z" * 500]
    assert [f.number for f in list_segments(tmp_path)] == [0, 1]


def test_read_only_folders_are_one_clear_error(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("not a folder")
    with pytest.raises(SpoolError, match="cannot be used"):
        open_spool(target / "spool")


def test_reading_stops_at_the_given_end(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    append(spool, [b"one"])
    tail = spool.tail
    append(spool, [b"two"])
    path = list_segments(tmp_path)[0].path
    chunk = read_chunk(path, 0, tail.offset, PAPER_USER)
    assert [r.payload for r in chunk.records] == [b"one"]
    assert chunk.end == tail.offset
    assert read_chunk(path, chunk.end, tail.offset, PAPER_USER).records == []
    rest = read_chunk(path, chunk.end, spool.tail.offset, PAPER_USER, max_records=1)
    assert [r.received_ns for r in rest.records] == [BASE_NS + 500_000_000]
    spool.close()
