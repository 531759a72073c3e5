"""``ib-platform drain-spool``: what dead runs left is loaded without a session, exactly once."""

from __future__ import annotations

import os
import signal
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.streamer.segments import list_segments
from ib_platform.warehouse.connect import connect
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.refusing import drained, forbid
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
    stop_merges,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads, wait_until


def bench_of(base: Path, settings: ClickHouse) -> Bench:
    return Bench.create(base, clickhouse=settings.model_dump(), limits={"load_rows": 50})


@pytest.fixture
def bench(tmp_path: Path, warehouse: ClickHouse) -> Bench:
    return bench_of(tmp_path, warehouse)


def snapshot(folder: Path) -> dict[str, Any]:
    """Name, size and content of every file of the spool but the lock's own."""
    return {str(file): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_runs_that_died_are_loaded_and_explained(bench: Bench, warehouse: ClickHouse) -> None:
    stop_merges(warehouse)
    payloads = list(capture_ladder_payloads())
    first = died_run(bench.folder, payloads[:170], segment_bytes=20_000)
    second = died_run(bench.folder, payloads[:130], segment_bytes=20_000)
    result = bench.run("drain-spool", PAPER_USER)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        f"{first}: 170 frames loaded",
        f"{second}: 130 frames loaded",
        "300 frames of 2 runs loaded",
    ]
    for run_id, count in ((first, 170), (second, 130)):
        assert stored_seqs(warehouse, run_id) == list(range(count))
    recovered = events(warehouse, "run_recovered")
    assert [detail["run_id"] for _, detail in recovered] == [first, second]
    (drain,) = {run_id for run_id, _ in recovered}
    started = dict(events(warehouse, "run_started"))[drain]
    assert (started["drain"], started["pid"]) == (True, os.getpid())
    stopped = dict(events(warehouse, "run_stopped"))[drain]
    assert (stopped["drain"], stopped["received"], stopped["spooled"]) == (True, 0, 0)
    assert {segment.run_id for segment in list_segments(bench.folder)} == {drain}


def test_with_nothing_to_load_nothing_is_written(bench: Bench, warehouse: ClickHouse) -> None:
    result = bench.run("drain-spool", PAPER_USER)
    assert (result.exit_code, result.stdout) == (0, "alpha: nothing to load\n")
    assert not bench.folder.exists()
    died_run(bench.folder, [b"x"])
    assert bench.run("drain-spool", PAPER_USER).exit_code == 0
    before = snapshot(bench.folder)
    stored = query(warehouse, "SELECT count() FROM stream_events")
    result = bench.run("drain-spool", PAPER_USER)
    assert (result.exit_code, result.stdout) == (0, "alpha: nothing to load\n")
    assert snapshot(bench.folder) == before
    assert query(warehouse, "SELECT count() FROM stream_events") == stored


def test_a_run_that_was_loaded_whole_and_died_is_still_explained(
    bench: Bench, warehouse: ClickHouse
) -> None:
    spool = open_spool(bench.folder)
    append(spool, [b"x", b"y"])
    assert loader_of(spool, warehouse).drain()
    spool.close()
    result = bench.run("drain-spool", PAPER_USER)
    assert f"{spool.run_id}: 0 frames loaded" in result.stdout
    assert [d["run_id"] for _, d in events(warehouse, "run_recovered")] == [spool.run_id]


def test_only_what_was_not_loaded_yet_counts(bench: Bench, warehouse: ClickHouse) -> None:
    stop_merges(warehouse)
    spool = open_spool(bench.folder)
    append(spool, [b"x"] * 5)
    assert loader_of(spool, warehouse).drain()
    append(spool, [b"y"] * 3)
    spool.close()
    result = bench.run("drain-spool", PAPER_USER)
    assert f"{spool.run_id}: 3 frames loaded" in result.stdout
    assert stored_seqs(warehouse, spool.run_id) == list(range(8))


def test_a_torn_tail_is_cut_and_reported(bench: Bench, warehouse: ClickHouse) -> None:
    run_id = died_run(bench.folder, [b"complete"] * 3)
    (segment,) = list_segments(bench.folder)
    with segment.path.open("ab") as file:
        file.write(b"torn!")
    assert f"{run_id}: 3 frames loaded" in bench.run("drain-spool", PAPER_USER).stdout
    ((_, torn),) = events(warehouse, "spool_torn")
    assert torn == {"run_id": run_id, "segment": 0, "torn_bytes": 5}


def test_a_running_streamer_is_named_and_left_alone(bench: Bench) -> None:
    run = RunProcess(bench.folder)
    run.wait_for_frames(50)
    result = bench.run("drain-spool", PAPER_USER)
    assert result.exit_code == 9
    assert f"owned by process {run.pid}" in result.stderr
    run.wait_for_frames(100)
    run.end(signal.SIGKILL)
    result = bench.run("drain-spool", PAPER_USER)
    assert result.exit_code == 0
    assert f"{run.run_id}: " in result.stdout


def test_the_deadline_leaves_the_rest_for_the_next_one(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    away = bench_of(tmp_path, warehouse.model_copy(update={"port": free_port()}))
    run_id = died_run(away.folder, [b"x"] * 60)
    result = away.run("drain-spool", PAPER_USER, "--deadline", "0.5")
    assert result.exit_code == 1
    assert f"{run_id}: 0 frames loaded" in result.stdout
    assert f"Left in {away.folder}: 60 frames of {run_id}" in result.stderr
    assert "Nothing is lost" in result.stderr
    assert "ClickHouse: " in result.stderr
    back = bench_of(tmp_path, warehouse)
    result = back.run("drain-spool", PAPER_USER, "--deadline", "120")
    assert result.exit_code == 0, result.stderr
    assert f"{run_id}: 60 frames loaded" in result.stdout
    recovered = [detail["run_id"] for _, detail in events(warehouse, "run_recovered")]
    assert recovered == [run_id], "the first drain has said its own end"
    assert len(events(warehouse, "run_stopped")) == 2


def test_a_batch_that_is_refused_is_said_and_the_rest_is_loaded(
    bench: Bench, warehouse: ClickHouse
) -> None:
    client = connect(warehouse, role="tests")
    client.command("ALTER TABLE frames ADD CONSTRAINT no_55 CHECK seq != 55")
    client.close()
    run_id = died_run(bench.folder, [b"x"] * 120)
    result = bench.run("drain-spool", PAPER_USER)
    assert result.exit_code == 0, result.stderr
    (batch,) = (bench.folder / "quarantine").iterdir()
    stored = stored_seqs(warehouse, run_id)
    assert 55 not in stored
    refused = 120 - len(stored)
    assert f"{run_id}: {len(stored)} frames loaded" in result.stdout
    assert (
        f"{refused} frames refused by ClickHouse and set aside as {batch.name} (" in result.stdout
    )
    assert "Constraint `no_55`" in result.stdout
    assert f"`ib-platform spool resend --paper-user {PAPER_USER}`" in result.stdout
    assert bench.run("drain-spool", PAPER_USER).stdout == "alpha: nothing to load\n"


@pytest.mark.parametrize("table", ["ladder_frames", "stream_events"])
def test_frames_are_loaded_where_only_other_rows_are_refused(
    bench: Bench, warehouse: ClickHouse, table: str
) -> None:
    forbidden = {
        "ladder_frames": "seq != 7",
        "stream_events": "kind != 'run_started' OR detail != '{}'",
    }
    client = connect(warehouse, role="tests")
    client.command(f"ALTER TABLE {table} ADD CONSTRAINT forbidden CHECK {forbidden[table]}")
    client.close()
    run_id = died_run(bench.folder, list(capture_ladder_payloads()[:40]))
    result = bench.run("drain-spool", PAPER_USER)
    assert result.exit_code == 0, result.stderr
    assert stored_seqs(warehouse, run_id) == list(range(40))
    assert f"{run_id}: 40 frames loaded" in result.stdout
    assert (
        f"{run_id}: rows of {table} (all frames are stored) refused by ClickHouse and set aside as "
    ) in result.stdout


def test_what_is_refused_of_an_earlier_run_is_not_recovered(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    client = connect(warehouse, role="tests")
    forbid(client, "frames", "seq != 55")
    client.close()
    died = died_run(tmp_path, [b"x"] * 120)
    with closing(open_spool(tmp_path)) as spool:
        append(spool, [b"y"])
        loader = drained(spool, warehouse)
    stored = stored_seqs(warehouse, died)
    assert 0 < len(stored) < 120
    assert loader.health().recovered_frames == len(stored)
    assert (loader.progress.stored, loader.progress.refused) == (1, 0)


def test_the_next_streamer_goes_on_after_a_drain(bench: Bench, warehouse: ClickHouse) -> None:
    first = died_run(bench.folder, [b"x"] * 3)
    assert bench.run("drain-spool", PAPER_USER).exit_code == 0
    spool = open_spool(bench.folder)
    append(spool, [b"y"])
    assert loader_of(spool, warehouse).drain()
    spool.close()
    assert stored_seqs(warehouse, spool.run_id) == [0]
    assert {segment.run_id for segment in list_segments(bench.folder)} == {spool.run_id}
    assert [detail["run_id"] for _, detail in events(warehouse, "run_recovered")] == [first]


def test_a_drain_that_is_told_to_end_says_so(tmp_path: Path, warehouse: ClickHouse) -> None:
    away = bench_of(tmp_path, warehouse.model_copy(update={"port": free_port()}))
    run_id = died_run(away.folder, [b"x"] * 5)
    process = away.process("drain-spool", PAPER_USER)
    wait_until(lambda: (away.folder / "manifest.json").exists(), "the first batch")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 1, said
    assert not (away.folder / "spool.pid").exists()
    assert bench_of(tmp_path, warehouse).run("drain-spool", PAPER_USER).exit_code == 0
    recovered = [detail["run_id"] for _, detail in events(warehouse, "run_recovered")]
    assert recovered == [run_id]


def test_who_left_the_configuration_is_drained_too(bench: Bench, warehouse: ClickHouse) -> None:
    run_id = died_run(bench.folder, [b"x"])
    other = Bench.create(
        bench.file.parent,
        clickhouse=warehouse.model_dump(),
        paper_users=[bench.config.paper_users[1].model_dump()],
        contracts=[bench.config.contracts[1].model_dump()],
    )
    assert f"{run_id}: 1 frames loaded" in other.run("drain-spool", PAPER_USER).stdout
    result = other.run("drain-spool", "nobody")
    assert result.exit_code == 2
    assert "no paper user 'nobody'" in result.stderr


def test_a_damaged_manifest_is_one_clear_error(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    (bench.folder / "manifest.json").write_text("{")
    before = snapshot(bench.folder)
    result = bench.run("drain-spool", PAPER_USER)
    assert result.exit_code == 9
    assert "ib-platform spool repair" in result.stderr
    assert snapshot(bench.folder) == before
