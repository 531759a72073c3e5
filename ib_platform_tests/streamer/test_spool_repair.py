"""``ib-platform spool repair``: clears away what a crash left, never a record; takes the lock."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import google_crc32c
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.errors import SpoolError
from ib_platform.streamer.batches import load_manifest
from ib_platform.streamer.segments import list_segments, list_torn
from ib_platform.streamer.spool_commands.findings import Kind, check
from ib_platform.streamer.spool_commands.repair import repair
from ib_platform_tests.streamer.spool_cli import Bench
from ib_platform_tests.streamer.spools import (
    PAPER_USER,
    RunProcess,
    append,
    died_run,
    events,
    loader_of,
    open_spool,
    query,
    records_of,
    stop_merges,
    stored_seqs,
)
from ib_platform_tests.streamer.test_spool_check import snapshot
from ib_platform_tests.support import capture_ladder_payloads

NOW = Clocks().utc()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.create(tmp_path)


def test_a_sound_spool_needs_nothing(bench: Bench) -> None:
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert (result.exit_code, result.stdout) == (0, "alpha: nothing to repair\n")
    assert not bench.folder.exists()
    died_run(bench.folder, [b"x"] * 3)
    before = snapshot(bench.folder)
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert (result.exit_code, result.stdout) == (0, "alpha: nothing to repair\n")
    assert {name: content for name, (content, _) in snapshot(bench.folder).items()} == {
        name: content for name, (content, _) in before.items()
    }


@settings(deadline=None, max_examples=60)
@given(lost=st.integers(1, 400), junk=st.binary(max_size=60))
def test_a_torn_tail_moves_whole_and_no_record_is_lost(
    tmp_path_factory: pytest.TempPathFactory, lost: int, junk: bytes
) -> None:
    folder = tmp_path_factory.mktemp("torn")
    run_id = died_run(folder, [b"x" * 100] * 3)
    (segment,) = list_segments(folder)
    size = segment.path.stat().st_size
    os.truncate(segment.path, max(1, size - lost))
    with segment.path.open("ab") as file:
        file.write(junk)
    before = segment.path.read_bytes()
    records = [(r.kind, r.number, r.payload) for r in records_of(folder, run_id)]
    wrong = [finding.kind for finding in check(folder, PAPER_USER)]
    result = repair(folder, PAPER_USER, NOW)
    assert result.left == []
    assert check(folder, PAPER_USER) == []
    if wrong == [Kind.TORN_TAIL]:
        (torn,) = list_torn(folder)
        rest = segment.path.read_bytes() if segment.path.exists() else b""
        assert rest + torn.torn_path.read_bytes() == before
    else:
        assert wrong == []
        assert segment.path.read_bytes() == before
    assert [(r.kind, r.number, r.payload) for r in records_of(folder, run_id)] == records


def test_damage_and_foreign_files_are_left_and_said(bench: Bench) -> None:
    died_run(bench.folder, [b"one", b"two", b"three"])
    (segment,) = list_segments(bench.folder)
    data = bytearray(segment.path.read_bytes())
    data[data.index(b"two")] ^= 1
    segment.path.write_bytes(bytes(data) + b"torn")
    foreign = bench.folder / "alpha-20251113T132000999Z-ffff.000000.spool"
    foreign.write_bytes(b"PK\x03\x04 a zip file" * 9)
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert result.exit_code == 1
    assert f"{segment.path}: 4 bytes behind the last record moved to .torn" in result.stdout
    assert f"still wrong: damage: {segment.path}" in result.stdout
    assert f"still wrong: unusable file: {foreign}" in result.stdout
    assert segment.path.read_bytes() == bytes(data)
    assert foreign.exists()


def test_leftovers_are_removed_and_nothing_of_others(bench: Bench) -> None:
    run_id = died_run(bench.folder, [b"x"])
    (bench.folder / "loaded").mkdir()
    (bench.folder / "quarantine" / ".batch.tmp").mkdir(parents=True)
    (bench.folder / "quarantine" / ".batch.tmp" / "records.spool").write_text("half")
    gone = ["manifest.tmp", "loaded/x.000001.state.tmp", "spool.pid"]
    stays = ["logins.tmp", "capability.json", "loaded/y.state.json"]
    for name in (*gone, *stays):
        (bench.folder / name).write_text("4194304")
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert result.exit_code == 0, result.stdout
    for name in (*gone, "quarantine/.batch.tmp"):
        assert f"{bench.folder / name}: removed" in result.stdout
        assert not (bench.folder / name).exists()
    assert all((bench.folder / name).exists() for name in stays)
    assert len(records_of(bench.folder, run_id)) == 2
    assert check(bench.folder, PAPER_USER) == []


def test_a_dry_run_says_the_same_and_does_nothing(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    (segment,) = list_segments(bench.folder)
    with segment.path.open("ab") as file:
        file.write(b"torn")
    (bench.folder / "manifest.json").write_text("{")
    (bench.folder / "manifest.tmp").write_text("{")
    before = snapshot(bench.folder)
    dry = bench.run("spool", "repair", "--paper-user", PAPER_USER, "--dry-run")
    assert dry.exit_code == 0
    assert snapshot(bench.folder) == before
    would_be = [line.removeprefix("would be: ") for line in dry.stdout.splitlines()]
    done = bench.run("spool", "repair", "--paper-user", PAPER_USER).stdout.splitlines()
    assert [line.split(":")[0] for line in done] == [line.split(":")[0] for line in would_be]
    assert len(done) == 3


def test_a_running_owner_is_named(bench: Bench) -> None:
    run = RunProcess(bench.folder)
    run.wait_for_frames(50)
    for options in ([], ["--dry-run"]):
        result = bench.run("spool", "repair", "--paper-user", PAPER_USER, *options)
        assert result.exit_code == 9
        assert f"owned by process {run.pid}" in result.stderr
    run.wait_for_frames(100)
    run.end(signal.SIGKILL)
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert result.exit_code == 0
    assert "spool.pid: removed" in result.stdout


def test_an_owner_in_this_process_is_one_too(tmp_path: Path) -> None:
    spool = open_spool(tmp_path)
    with pytest.raises(SpoolError, match=f"process {os.getpid()}"):
        repair(tmp_path, PAPER_USER, NOW)
    spool.close()


def test_a_newer_manifest_is_left_alone(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    body = b'{"paper_user":"alpha","version":2}'
    content = msgspec.json.encode(
        {"crc32c": google_crc32c.value(body), "manifest": msgspec.Raw(body)}
    )
    (bench.folder / "manifest.json").write_bytes(content)
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert result.exit_code == 1
    assert "manifest version 2" in result.stdout
    assert (bench.folder / "manifest.json").read_bytes() == content


def test_after_a_damaged_manifest_everything_is_loaded_again(
    bench: Bench, warehouse: ClickHouse
) -> None:
    spool = open_spool(bench.folder)
    append(spool, [b"x"] * 10)
    assert loader_of(spool, warehouse).drain()
    append(spool, [b"y"] * 5)
    spool.close()
    manifest = bench.folder / "manifest.json"
    damaged = manifest.read_bytes().replace(b"offset", b"0ffset")
    manifest.write_bytes(damaged)
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert result.exit_code == 0, result.stdout
    assert "replacing keys merge them" in result.stdout
    (aside,) = bench.folder.glob("manifest.json.damaged-*Z")
    assert aside.read_bytes() == damaged
    assert check(bench.folder, PAPER_USER) == []
    following = open_spool(bench.folder)
    assert loader_of(following, warehouse).drain()
    following.close()
    sql = f"SELECT count() FROM frames FINAL WHERE run_id = '{spool.run_id}'"
    assert query(warehouse, sql) == [(15,)]
    assert set(stored_seqs(warehouse, spool.run_id)) == set(range(15))


@pytest.mark.parametrize("kept", [True, False])
def test_ladders_of_a_run_that_was_loaded_in_part_are_read_on(
    bench: Bench, warehouse: ClickHouse, kept: bool
) -> None:
    """With the decoder's state at the first segment that is there, every row comes out as before;
    without it epochs are counted anew, which is said."""
    stop_merges(warehouse)
    payloads = list(capture_ladder_payloads()[:300])
    spool = open_spool(bench.folder, segment_bytes=20_000, keep_loaded=60 if kept else 0)
    append(spool, payloads[:200])
    assert loader_of(spool, warehouse).drain()
    spool.close()
    first = list_segments(bench.folder)[0]
    assert first.number > 0
    columns = "seq, epoch, window, role, top_price, sizes, suspect"
    ladder = f"SELECT DISTINCT {columns} FROM ladder_frames WHERE run_id = '{spool.run_id}'"
    before = set(map(str, query(warehouse, ladder)))
    (bench.folder / "manifest.json").write_text("{")
    result = bench.run("spool", "repair", "--paper-user", PAPER_USER)
    assert result.exit_code == (0 if kept else 1), result.stdout
    assert ("its ladders are read on from where they were" in result.stdout) is kept
    assert ("epochs are counted anew" in result.stdout) is not kept
    position = load_manifest(bench.folder, PAPER_USER).position
    assert (position is not None and position.segment == first.number) is kept
    following = open_spool(bench.folder)
    # Other batches than before, hence other tokens: what is sent again does arrive.
    assert loader_of(following, warehouse, Limits(load_rows=7)).drain()
    following.close()
    assert (set(map(str, query(warehouse, ladder))) == before) is kept
    damage = events(warehouse, "spool_torn")
    assert (damage == []) is kept, "what is loaded is not missed"
    assert check(bench.folder, PAPER_USER) == []
