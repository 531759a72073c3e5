"""``ib-platform spool check``: names what is wrong, where, and what to do; only reads."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.config import ClickHouse
from ib_platform.states import StreamEventKind
from ib_platform.streamer.batches import load_manifest, save_manifest
from ib_platform.streamer.segments import Position, list_segments
from ib_platform.streamer.spool_commands.findings import Finding, Kind, check
from ib_platform_tests.streamer.spool_cli import Bench
from ib_platform_tests.streamer.spools import (
    PAPER_USER,
    RunProcess,
    append,
    died_run,
    loader_of,
    open_spool,
)
from ib_platform_tests.streamer.test_spool_ls import quarantine_one

PAYLOADS = [b"first frame", b"second frame!", b'{"topic":"sbd+DU1+5","data":[]}']


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.create(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, list[int]]:
    """Name and content of a segment of three frames, and where its records begin and it ends."""
    folder = tmp_path_factory.mktemp("whole")
    spool = open_spool(folder)
    borders = [spool.tail.offset]
    for payload in PAYLOADS:
        append(spool, [payload])
        borders.append(spool.tail.offset)
    spool.close()
    (segment,) = list_segments(folder)
    return segment.path.name, segment.path.read_bytes(), borders


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file): (file.read_bytes(), file.stat().st_mtime_ns) for file in files}


def kinds(found: list[Finding]) -> list[Kind]:
    return [finding.kind for finding in found]


def found_in(folder: Path) -> list[Finding]:
    """What a check finds; it must not touch anything."""
    before = snapshot(folder)
    found = check(folder, PAPER_USER)
    assert snapshot(folder) == before
    return found


def test_a_sound_spool_and_a_missing_one(bench: Bench) -> None:
    result = bench.run("spool", "check")
    assert result.exit_code == 0
    assert result.stdout == "alpha: nothing is wrong\nbeta: nothing is wrong\n"
    assert not bench.folder.exists()
    died_run(bench.folder, [b"x" * 1000] * 9, segment_bytes=4096)
    assert found_in(bench.folder) == []
    assert bench.json("spool", "check", "--json") == []


def test_a_tail_torn_at_every_byte_of_the_last_record(
    tmp_path: Path, whole: tuple[str, bytes, list[int]]
) -> None:
    name, data, borders = whole
    file = tmp_path / name
    for end in range(borders[-2], len(data) + 1):
        file.write_bytes(data[:end])
        torn = end - borders[-2]
        found = found_in(tmp_path)
        if torn in (0, borders[-1] - borders[-2]):
            assert found == []
            continue
        (finding,) = found
        assert (finding.kind, finding.file) == (Kind.TORN_TAIL, file)
        assert (finding.offset, finding.length) == (borders[-2], torn)
        assert "spool repair" in finding.cure


@settings(deadline=None)
@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_a_byte_that_flips_anywhere_is_found_where_it_is(
    tmp_path_factory: pytest.TempPathFactory,
    whole: tuple[str, bytes, list[int]],
    place: int,
    flip: int,
) -> None:
    name, data, borders = whole
    at = borders[0] + place % (len(data) - borders[0])
    folder = tmp_path_factory.mktemp("flipped")
    damaged = bytearray(data)
    damaged[at] ^= flip
    (folder / name).write_bytes(damaged)
    (finding,) = found_in(folder)
    record = max(number for number, border in enumerate(borders) if border <= at)
    assert (finding.offset, finding.length) == (
        borders[record],
        borders[record + 1] - borders[record],
    )
    assert finding.kind is (Kind.TORN_TAIL if record == 2 else Kind.DAMAGE)
    if record == 1:
        assert finding.what.endswith("frame 1 is lost")


def test_every_byte_of_the_header_counts(
    tmp_path: Path, whole: tuple[str, bytes, list[int]]
) -> None:
    name, data, borders = whole
    file = tmp_path / name
    for at in range(borders[0]):
        damaged = bytearray(data)
        damaged[at] ^= 1
        file.write_bytes(damaged)
        # A length that could be true makes it a header that is not all there.
        (finding,) = found_in(tmp_path)
        assert finding.kind in (Kind.UNUSABLE_FILE, Kind.DAMAGE), at
        assert finding.offset in (None, 0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"PK\x03\x04 a zip file" * 9, "not a spool segment"),
        (b"IBPSPOOL\x07" + bytes(50), "spool format 7"),
    ],
)
def test_foreign_and_newer_files_are_named_and_the_rest_is_checked(
    bench: Bench, content: bytes, message: str
) -> None:
    died_run(bench.folder, PAYLOADS)
    (segment,) = list_segments(bench.folder)
    with segment.path.open("ab") as file:
        file.write(b"torn")
    foreign = bench.folder / "alpha-20251113T132000999Z-ffff.000000.spool"
    foreign.write_bytes(content)
    assert sorted(kinds(found_in(bench.folder))) == [Kind.TORN_TAIL, Kind.UNUSABLE_FILE]
    result = bench.run("spool", "check", "--paper-user", PAPER_USER)
    assert result.exit_code == 1
    assert f"unusable file: {foreign}: {message}" in result.stdout


def test_the_spool_of_another_paper_user(bench: Bench) -> None:
    died_run(bench.folder, PAYLOADS)
    os.rename(bench.folder, bench.folder.with_name("beta"))
    (finding,) = bench.json("spool", "check", "--json")
    assert finding["paper_user"] == "beta"
    assert "belongs to paper user 'alpha', not 'beta'" in finding["what"]


def test_json_says_where(bench: Bench) -> None:
    died_run(bench.folder, PAYLOADS)
    (segment,) = list_segments(bench.folder)
    size = segment.path.stat().st_size
    os.truncate(segment.path, size - 3)
    result = bench.run("spool", "check", "--json")
    assert result.exit_code == 1
    (finding,) = bench.json("spool", "check", "--json")
    assert finding["kind"] == "torn tail"
    assert finding["file"] == str(segment.path)
    assert finding["offset"] + finding["bytes"] == size - 3
    assert finding["to_do"]
    text = bench.run("spool", "check").stdout
    assert f"torn tail: {segment.path}, byte {finding['offset']}: " in text
    assert "to do: " in text


def test_a_missing_segment_is_told_from_one_that_is_loaded(
    bench: Bench, warehouse: ClickHouse
) -> None:
    spool = open_spool(bench.folder, segment_bytes=4096)
    append(spool, [b"x" * 1500] * 9)
    assert loader_of(spool, warehouse).drain()
    append(spool, [b"y" * 1500] * 9)
    spool.close()
    there = list_segments(bench.folder)
    assert there[0].number == 4
    assert found_in(bench.folder) == []
    there[2].path.unlink()
    (finding,) = found_in(bench.folder)
    assert (finding.kind, finding.file) == (Kind.MISSING_SEGMENT, there[3].path)
    assert "1 segment before it missing, from 000006" in finding.what


def test_the_first_segment_of_a_run_that_waits(bench: Bench) -> None:
    died_run(bench.folder, [b"x" * 1500] * 5, segment_bytes=4096)
    list_segments(bench.folder)[0].path.unlink()
    assert kinds(found_in(bench.folder)) == [Kind.MISSING_SEGMENT]


def test_a_torn_segment_in_the_middle_of_a_run_is_damage(bench: Bench) -> None:
    died_run(bench.folder, [b"x" * 1500] * 5, segment_bytes=4096)
    first = list_segments(bench.folder)[0].path
    os.truncate(first, first.stat().st_size - 10)
    (finding,) = found_in(bench.folder)
    assert (finding.kind, finding.file) == (Kind.DAMAGE, first)
    assert "at the end are no record" in finding.what


def test_frames_that_are_not_there_without_any_damage(bench: Bench) -> None:
    spool = open_spool(bench.folder)
    append(spool, [b"a"])
    before = spool.tail.offset
    append(spool, [b"b"])
    behind = spool.tail.offset
    append(spool, [b"c"])
    spool.close()
    (segment,) = list_segments(bench.folder)
    data = segment.path.read_bytes()
    segment.path.write_bytes(data[:before] + data[behind:])
    (finding,) = found_in(bench.folder)
    assert finding.kind is Kind.MISSING_FRAMES
    assert "frame 2 follows where frame 1 was expected" in finding.what


def test_a_damaged_manifest(bench: Bench) -> None:
    died_run(bench.folder, PAYLOADS)
    manifest = bench.folder / "manifest.json"
    for content, message, cure in (
        ("{", "the manifest is damaged", "spool repair"),
        ('{"crc32c":1,"manifest":{"version":1}}', "its checksum is wrong", "spool repair"),
    ):
        manifest.write_text(content)
        (finding,) = found_in(bench.folder)
        assert (finding.kind, finding.file) == (Kind.MANIFEST, manifest)
        assert message in finding.what
        assert cure in finding.cure


@pytest.fixture
def partly(bench: Bench, warehouse: ClickHouse) -> Bench:
    """A spool that is loaded up to the border between two frames."""
    spool = open_spool(bench.folder)
    append(spool, [b"x" * 100])
    assert loader_of(spool, warehouse).drain()
    append(spool, [b"y" * 100])
    spool.close()
    return bench


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"offset": 1}, "in the middle of a record"),
        ({"offset": "+1"}, "in the middle of a record"),
        ({"offset": 10**6}, "bytes"),
        ({"run_id": "alpha-gone"}, "of which no segment is there"),
    ],
)
def test_a_manifest_that_does_not_fit(partly: Bench, change: dict[str, Any], message: str) -> None:
    manifest = load_manifest(partly.folder, PAPER_USER)
    assert manifest.position is not None
    assert found_in(partly.folder) == []
    if change.get("offset") == "+1":
        change = {"offset": manifest.position.offset + 1}
    position = Position(
        change.get("run_id", manifest.position.run_id),
        manifest.position.segment,
        change.get("offset", manifest.position.offset),
    )
    assert manifest.decoder is not None
    manifest.decoder.run_id = position.run_id
    save_manifest(
        partly.folder, type(manifest)(PAPER_USER, position=position, decoder=manifest.decoder)
    )
    (finding,) = found_in(partly.folder)
    assert finding.kind is Kind.MANIFEST
    assert message in finding.what


def test_leftovers_of_crashes(bench: Bench, warehouse: ClickHouse) -> None:
    spool = open_spool(bench.folder, segment_bytes=4096)
    append(spool, [b"x" * 1500] * 5)
    assert loader_of(spool, warehouse).drain()
    spool.append_event(StreamEventKind.RUN_STOPPED)
    spool.close()
    # A segment that was loaded comes back, as after a crash before it was freed.
    freed = bench.folder / f"{spool.run_id}.000000.spool"
    freed.write_bytes(list_segments(bench.folder)[0].path.read_bytes())
    (bench.folder / "manifest.tmp").write_text("{")
    (bench.folder / "loaded").mkdir()
    (bench.folder / "loaded" / "x.000001.state.tmp").write_text("{")
    (bench.folder / "quarantine" / ".batch.tmp").mkdir(parents=True)
    (bench.folder / "spool.pid").write_text("4194304")
    found = found_in(bench.folder)
    leftovers = {finding.file.name for finding in found if finding.kind is Kind.LEFTOVER}
    assert leftovers == {
        freed.name, "manifest.tmp", "x.000001.state.tmp", ".batch.tmp", "spool.pid",
    }  # fmt: skip


def test_files_of_others_are_no_findings(bench: Bench) -> None:
    died_run(bench.folder, PAYLOADS)
    for name in ("capability.json", "logins.json", "logins.tmp", "notes.txt"):
        (bench.folder / name).write_text("{}")
    assert found_in(bench.folder) == []


def test_a_batch_in_the_quarantine_is_checked_too(bench: Bench) -> None:
    run_id = died_run(bench.folder, PAYLOADS)
    name = quarantine_one(bench.folder, run_id)
    assert found_in(bench.folder) == []
    result = bench.run("spool", "check", "--paper-user", PAPER_USER)
    assert result.exit_code == 0, "nothing is wrong with the files"
    said = result.stdout.splitlines()
    assert said[0] == "alpha: nothing is wrong"
    assert said[1].startswith("  ClickHouse refused 1 batch that waits in the quarantine: ")
    assert "`ib-platform spool resend --paper-user alpha`" in said[1]
    records = bench.folder / "quarantine" / name / "records.spool"
    data = bytearray(records.read_bytes())
    data[data.index(PAYLOADS[1])] ^= 1
    records.write_bytes(data)
    (finding,) = found_in(bench.folder)
    assert (finding.kind, finding.file) == (Kind.DAMAGE, records)


def test_beside_a_running_streamer_nothing_is_wrong_until_it_is_killed(
    bench: Bench, warehouse: ClickHouse
) -> None:
    settings_file = bench.file.with_name("settings.json")
    settings_file.write_text(warehouse.model_dump_json())
    run = RunProcess(bench.folder, settings_file)
    for frames in (100, 400, 700, 1000):
        run.wait_for_frames(frames)
        assert check(bench.folder, PAPER_USER) == []
    run.end(signal.SIGKILL)
    assert set(kinds(check(bench.folder, PAPER_USER))) <= {Kind.LEFTOVER, Kind.TORN_TAIL}


def test_an_incomplete_last_record_is_a_finding_only_without_its_owner(bench: Bench) -> None:
    spool = open_spool(bench.folder)
    append(spool, PAYLOADS)
    (segment,) = list_segments(bench.folder)
    with segment.path.open("ab") as file:
        file.write(b"\x05\x00\x00\x00 half a record")
    assert check(bench.folder, PAPER_USER) == []
    spool.close()
    assert kinds(found_in(bench.folder)) == [Kind.TORN_TAIL]


def test_a_header_of_zeros_is_a_tail(bench: Bench) -> None:
    bench.folder.mkdir(parents=True)
    (bench.folder / "alpha-1.000000.spool").write_bytes(bytes(100))
    (finding,) = found_in(bench.folder)
    assert (finding.kind, finding.offset, finding.length) == (Kind.TORN_TAIL, 0, 100)
