"""A spool compared with the table: equal, other bytes, not loaded yet, loaded and gone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.streamer.batches import MANIFEST_NAME, Manifest, load_manifest
from ib_platform.streamer.segments import Position, SegmentFile, list_segments
from ib_platform.verify.spools import LOADED, compare_spool, is_acknowledged
from ib_platform.warehouse.spans import SECOND, Span
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    PAPER_USER,
    append,
    loader_of,
    open_spool,
    records_of,
)
from ib_platform_tests.support import PATIENT
from ib_platform_tests.verify.recorded import (
    DAY,
    again,
    begin_run,
    change,
    delete,
    load,
    payloads,
    recorded,
    stop,
    told,
    verify_with_spool,
)

Row = tuple[int, int, int, str]


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_clean_run_is_compared_and_nothing_is_touched(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    recorded(tmp_path, warehouse)
    before = files_of(tmp_path)
    found = verify_with_spool(warehouse, tmp_path)
    assert files_of(tmp_path) == before
    assert found.findings == []
    (spool,) = found.spools
    assert (spool.segments, spool.compared, spool.different, spool.not_loaded) == (1, 20, 0, 0)


@pytest.mark.parametrize(
    "other",
    ["'other' AS payload", "received_at + 1 AS received_at", "connection + 1 AS connection"],
)
def test_a_row_that_was_changed_is_found_by_the_spool_only(
    tmp_path: Path, warehouse: ClickHouse, other: str
) -> None:
    recorded(tmp_path, warehouse)
    change(warehouse, "CREATE TABLE kept AS frames", "INSERT INTO kept SELECT * FROM frames")
    change(warehouse, "SYSTEM START MERGES frames", delete("seq = 7"))
    change(warehouse, f"INSERT INTO frames SELECT * REPLACE ({other}) FROM kept WHERE seq = 7")
    found = verify_with_spool(warehouse, tmp_path)
    assert told(found.findings) == [("different", "unexplained", 1)]
    assert found.findings[0].text.endswith(": 7")
    assert (found.spools[0].compared, found.spools[0].different) == (20, 1)


def test_of_repeated_rows_each_is_compared(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    change(warehouse, again("seq = 3"), again("seq = 5", "* REPLACE ('other' AS payload)"))
    found = verify_with_spool(warehouse, tmp_path)
    assert ("different", "unexplained", 1) in told(found.findings)
    assert ("conflicting", "unexplained", 1) in told(found.findings)


def test_frames_that_are_not_loaded_yet_are_pending(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 12)
    assert loader_of(spool, warehouse).drain()
    append(spool, payloads(8))
    found = verify_with_spool(warehouse, tmp_path)
    assert told(found.findings) == [("no_end", "unknown", None), ("not_loaded", "pending", 8)]
    assert "seq 12 to 19" in found.findings[1].text
    assert (found.total.received, found.total.stored, found.total.pending) == (20, 12, 8)
    assert (found.spools[0].compared, found.spools[0].not_loaded) == (12, 8)
    stop(spool)
    load(spool, warehouse)
    assert verify_with_spool(warehouse, tmp_path).findings == []


def test_a_run_that_only_the_spool_knows(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 5)
    found = verify_with_spool(warehouse, tmp_path)
    spool.close()
    (run,) = found.runs
    assert (run.run_id, run.balance.received, run.balance.pending) == (spool.run_id, 5, 5)
    assert found.unexplained == []


def test_acknowledged_frames_that_are_gone_fail(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 10)
    load(spool, warehouse)
    change(warehouse, delete("seq >= 8"))
    found = verify_with_spool(warehouse, tmp_path)
    assert told(found.unexplained) == [("missing", "unexplained", 2)]
    assert "still in the spool" in (found.unexplained[0].remedy or "")
    assert found.total.received == 10


def test_kept_segments_are_compared_and_must_be_stored(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    recorded(tmp_path, warehouse)
    (segment,) = list_segments(tmp_path)
    (tmp_path / LOADED).mkdir()
    segment.path.rename(tmp_path / LOADED / segment.path.name)
    assert verify_with_spool(warehouse, tmp_path).spools[0].compared == 20
    change(warehouse, delete("seq = 19"))
    (tmp_path / MANIFEST_NAME).unlink()
    found = verify_with_spool(warehouse, tmp_path)
    assert told(found.unexplained) == [("missing", "unexplained", 1)]


def test_a_segment_that_moves_while_it_is_compared_counts_once(tmp_path: Path) -> None:
    spool = begin_run(tmp_path, 3)
    spool.close()
    (segment,) = list_segments(tmp_path)
    records = [r for r in records_of(tmp_path, spool.run_id) if r.payload.startswith(b"frame")]
    (tmp_path / LOADED).mkdir()

    def rows_of(run_id: str, begin: int, end: int) -> Mapping[int, Sequence[Row]]:
        if segment.path.exists():
            segment.path.rename(tmp_path / LOADED / segment.path.name)
        return {
            r.number: [(r.received_ns, r.monotonic_ns, 1, hashlib.sha256(r.payload).hexdigest())]
            for r in records
        }

    proof, runs = compare_spool(tmp_path, PAPER_USER, DAY, rows_of)
    assert (proof.segments, proof.compared, proof.findings) == (1, 3, ())
    assert runs[spool.run_id].not_loaded == ()


def test_a_segment_that_is_freed_meanwhile_is_left_out(tmp_path: Path) -> None:
    spool = begin_run(tmp_path, 500, segment_bytes=4096)
    spool.close()
    files = list_segments(tmp_path)
    assert len(files) > 3

    def rows_of(run_id: str, begin: int, end: int) -> Mapping[int, Sequence[Row]]:
        for segment in files[1:]:
            segment.path.unlink(missing_ok=True)
        return {}

    proof, _ = compare_spool(tmp_path, PAPER_USER, DAY, rows_of)
    assert (proof.segments, proof.findings) == (1, ())


def test_half_a_record_at_the_end_is_left_alone(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    with list_segments(tmp_path)[0].path.open("ab") as file:
        file.write(b"half a rec")
    found = verify_with_spool(warehouse, tmp_path)
    assert (found.findings, found.spools[0].compared) == ([], 20)


def test_damage_in_the_middle_is_said(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    path = list_segments(tmp_path)[0].path
    data = bytearray(path.read_bytes())
    data[data.index(b"frame 4")] ^= 1
    path.write_bytes(data)
    found = verify_with_spool(warehouse, tmp_path)
    assert told(found.findings) == [("spool", "unknown", None)]
    assert "44 bytes at" in found.findings[0].text
    assert found.spools[0].compared == 19


def test_only_frames_of_the_span_are_compared(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    span = Span(BASE_NS + 2 * SECOND, BASE_NS + 6 * SECOND)
    assert verify_with_spool(warehouse, tmp_path, span).spools[0].compared == 8


def test_no_folder_and_an_empty_folder(tmp_path: Path, warehouse: ClickHouse) -> None:
    (finding,) = verify_with_spool(warehouse, tmp_path / "absent").findings
    assert (finding.kind, finding.standing) == ("spool", "unknown")
    assert "no spool on this machine" in finding.text
    assert verify_with_spool(warehouse, tmp_path).findings == []


def test_what_cannot_be_read_is_unknown(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    (tmp_path / "foreign-1.000000.spool").write_bytes(b"something else altogether")
    (tmp_path / MANIFEST_NAME).write_text("{}")
    found = verify_with_spool(warehouse, tmp_path)
    texts = sorted(finding.text for finding in found.findings)
    assert len(texts) == 2
    assert "not a spool segment" in texts[0]
    assert "what is loaded already is unknown" in texts[1]
    assert found.spools[0].compared == 20


def test_a_running_streamer_is_not_disturbed(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = begin_run(tmp_path, 10)
    loader = loader_of(spool, warehouse)
    loader.start()
    for _ in range(5):
        append(spool, payloads(20))
        found = verify_with_spool(warehouse, tmp_path)
        assert found.unexplained == []
        assert found.total.received <= spool.frames_written
    stop(spool)
    assert loader.stop(60)
    spool.close()
    assert verify_with_spool(warehouse, tmp_path).total.stored == 110


def test_the_folder_may_be_read_only(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    os.chmod(tmp_path, 0o500)
    try:
        assert verify_with_spool(warehouse, tmp_path).spools[0].compared == 20
    finally:
        os.chmod(tmp_path, 0o700)


def test_the_next_run_in_the_folder(tmp_path: Path, warehouse: ClickHouse) -> None:
    recorded(tmp_path, warehouse)
    second = open_spool(tmp_path, clocks=Clocks(wall=lambda: BASE_NS))
    append(second, payloads(4))
    found = verify_with_spool(warehouse, tmp_path)
    second.close()
    assert (found.spools[0].compared, found.spools[0].not_loaded) == (20, 4)
    assert found.unexplained == []


@PATIENT
@given(
    st.integers(0, 4), st.integers(0, 300), st.integers(0, 4), st.integers(1, 300), st.booleans()
)
def test_what_is_acknowledged(at: int, offset: int, number: int, end: int, finished: bool) -> None:
    manifest = Manifest(
        PAPER_USER, Position("r", at, offset), finished=("other",) if finished else ()
    )
    segment = SegmentFile("r", number, Path("x"))
    expected = number < at or (number == at and end <= offset)
    assert is_acknowledged(manifest, segment, end) == expected
    other = SegmentFile("other", number, Path("x"))
    assert is_acknowledged(manifest, other, end) == finished
    assert not is_acknowledged(load_manifest(Path("/nonexistent"), PAPER_USER), segment, end)
