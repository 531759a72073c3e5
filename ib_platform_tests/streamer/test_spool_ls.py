"""``ib-platform spool ls``: every segment and what it is."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse, Limits
from ib_platform.states import StreamEventKind
from ib_platform.streamer.batches import Part
from ib_platform.streamer.decode import RunDecoder
from ib_platform.streamer.quarantine import Refusal, refused_batch, set_aside
from ib_platform.streamer.segments import Position, list_segments, size_of
from ib_platform_tests.streamer.spool_cli import Bench
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    PAPER_USER,
    RunProcess,
    append,
    died_run,
    loader_of,
    open_spool,
    records_of,
)
from ib_platform_tests.support import capture_ladder_payloads


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench.create(tmp_path)


def listed(bench: Bench, paper_user: str = PAPER_USER) -> dict[str, Any]:
    (found,) = bench.json("spool", "ls", "--json", "--paper-user", paper_user)
    return dict(found)


def by_name(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in found["segments"]}


def test_without_a_spool_there_is_nothing(bench: Bench) -> None:
    result = bench.run("spool", "ls")
    assert result.exit_code == 0
    assert result.stdout.count("no segments") == 2
    assert not bench.folder.exists(), "it only looks"
    assert [found["paper_user"] for found in bench.json("spool", "ls", "--json")] == [
        "alpha",
        "beta",
    ]


def test_what_waits_after_a_crash(bench: Bench) -> None:
    payloads = [b"x" * 1000] * 7
    run_id = died_run(bench.folder, payloads, segment_bytes=4096)
    found = listed(bench)
    assert found["owner_pid"] is None
    assert found["manifest"]["position"] is None
    segments = found["segments"]
    assert [one["number"] for one in segments] == [0, 1, 2]
    assert {one["what"] for one in segments} == {"waiting"}
    assert sum(one["frames"] for one in segments) == len(payloads)
    assert sum(one["records"] for one in segments) == len(records_of(bench.folder, run_id))
    assert segments[1]["first_seq"] == segments[0]["last_seq"] + 1
    assert segments[1]["first_at"] == "2025-11-13T13:20:01.500000000Z"
    sizes = [size_of(segment.path) for segment in list_segments(bench.folder)]
    assert [one["bytes"] for one in segments] == sizes
    assert found["budget"] == {"used": sum(sizes), "limit": bench.config.limits.spool_bytes}
    text = bench.run("spool", "ls", "--paper-user", PAPER_USER).stdout
    assert f"{run_id}.000002" in text
    assert "nobody owns it" in text
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_a_run_that_is_written_names_its_owner(bench: Bench) -> None:
    run = RunProcess(bench.folder)
    run.wait_for_frames(300)
    found = listed(bench)
    assert found["owner_pid"] == run.pid
    *waiting, live = found["segments"]
    assert live["what"] == "being written"
    assert {one["what"] for one in waiting} <= {"waiting"}
    assert live["torn_bytes"] == 0
    assert f"owned by process {run.pid}" in bench.run("spool", "ls").stdout
    run.end(signal.SIGKILL)
    found = listed(bench)
    assert found["owner_pid"] is None
    assert found["segments"][-1]["what"] == "waiting"


def test_a_dead_owner_whose_pid_is_another_process(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    (bench.folder / "spool.pid").write_text("1")
    assert listed(bench)["owner_pid"] is None
    (bench.folder / "spool.pid").write_text("nonsense")
    assert listed(bench)["owner_pid"] is None


def test_loaded_partly_loaded_kept_and_written(bench: Bench, warehouse: ClickHouse) -> None:
    now = 1_800_000_000
    clocks = Clocks(lambda: now * 10**9, lambda: 10**9)
    spool = open_spool(bench.folder, segment_bytes=4096, keep_loaded=60, clocks=clocks)
    append(spool, [b"x" * 1500] * 5)
    loader = loader_of(spool, warehouse)
    assert loader.drain()
    append(spool, [b"y"])
    found = listed(bench)
    position = found["manifest"]["position"]
    *kept, live = sorted(found["segments"], key=lambda one: one["number"])
    assert [one["what"] for one in kept] == ["kept", "kept"]
    lasts = now + bench.config.limits.keep_loaded
    assert lasts == now + 1800
    assert {one["kept_until"] for one in kept} == {"2027-01-15T08:30:00Z"}
    assert live["what"] == "being written"
    assert 0 < live["loaded_up_to"] == position["offset"] < live["bytes"]
    assert "kept until 2027-01-15T08:30:00Z" in bench.run("spool", "ls").stdout
    spool.close()
    found = listed(bench)
    (last,) = [one for one in found["segments"] if one["what"] != "kept"]
    assert (last["what"], last["loaded_up_to"]) == ("partly loaded", position["offset"])
    assert "partly loaded, up to" in bench.run("spool", "ls").stdout


def test_what_is_loaded_waits_for_the_next_run_to_be_freed(
    bench: Bench, warehouse: ClickHouse
) -> None:
    spool = open_spool(bench.folder)
    append(spool, [b"x"])
    spool.append_event(StreamEventKind.RUN_STOPPED)
    assert loader_of(spool, warehouse).drain()
    spool.close()
    assert [one["what"] for one in listed(bench)["segments"]] == ["loaded"]


def quarantine_one(folder: Path, run_id: str) -> str:
    """Set the first records of the run aside, as a loader would."""
    records = records_of(folder, run_id)
    begin, end = Position(run_id, 0, 0), Position(run_id, 0, 999)
    decoder = RunDecoder(PAPER_USER, run_id)
    refusal = Refusal(Part("frames", "token", len(records)), 53, "Type mismatch: " + "long " * 50)
    batch = refused_batch(begin, end, records, decoder, [refusal], Clocks().utc())
    return set_aside(folder, batch, records).name


def test_a_batch_in_the_quarantine_says_why(bench: Bench) -> None:
    run_id = died_run(bench.folder, [b"x", b"y"])
    name = quarantine_one(bench.folder, run_id)
    one = by_name(listed(bench))[name]
    assert (one["what"], one["run_id"], one["frames"]) == ("quarantined", run_id, 2)
    assert one["refusals"][0]["code"] == 53
    text = bench.run("spool", "ls").stdout
    assert "quarantined (frames, code 53): Type mismatch" in text
    assert text.count("`ib-platform spool resend --paper-user alpha`") == 1, "what to do"
    (bench.folder / "quarantine" / name / "batch.json").write_text("{")
    one = by_name(listed(bench))[name]
    assert "batch.json: cannot be read" in one["error"]
    assert "batch.json: cannot be read" in bench.run("spool", "ls").stdout


def test_a_torn_tail_shows_before_and_after_it_is_cut(bench: Bench) -> None:
    run_id = died_run(bench.folder, [b"x" * 100] * 3)
    segment = list_segments(bench.folder)[0]
    with segment.path.open("ab") as file:
        file.write(b"torn!")
    assert listed(bench)["segments"][0]["torn_bytes"] == 5
    open_spool(bench.folder).close()
    found = listed(bench)
    assert by_name(found)[f"{run_id}.000000"]["torn_bytes"] == 5
    assert found["torn"] == [{"run_id": run_id, "segment": 0, "bytes": 5}]


def test_a_file_that_cannot_be_read_is_named_and_the_rest_is_shown(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    foreign = bench.folder / "alpha-20251113T132000999Z-ffff.000000.spool"
    foreign.write_bytes(b"PK\x03\x04 a zip file" * 9)
    one = by_name(listed(bench))[foreign.stem]
    assert "not a spool segment of ib_platform" in one["error"]
    assert one["what"] == "unknown"
    assert len(listed(bench)["segments"]) == 2
    assert "not a spool segment" in bench.run("spool", "ls").stdout


def test_a_damaged_manifest_is_said_at_the_top(bench: Bench) -> None:
    died_run(bench.folder, [b"x"])
    (bench.folder / "manifest.json").write_text("{")
    found = listed(bench)
    assert "the manifest is damaged" in found["manifest"]["error"]
    assert [one["what"] for one in found["segments"]] == ["unknown"]
    assert "the manifest is damaged" in bench.run("spool", "ls").stdout


def test_a_paper_user_that_left_the_configuration_is_still_shown(bench: Bench) -> None:
    folder = bench.folder.with_name("gamma")
    folder.mkdir(parents=True)
    names = [found["paper_user"] for found in bench.json("spool", "ls", "--json")]
    assert names == ["alpha", "beta", "gamma"]
    result = bench.run("spool", "ls", "--paper-user", "delta")
    assert result.exit_code == 2
    assert "no paper user 'delta'" in result.stderr
    assert "known: alpha, beta, gamma" in result.stderr


def test_listing_beside_a_loading_run_is_always_sound(bench: Bench, warehouse: ClickHouse) -> None:
    """Segments are freed while they are listed."""
    settings = bench.file.with_name("settings.json")
    settings.write_text(warehouse.model_dump_json())
    run = RunProcess(bench.folder, settings)
    for frames in (200, 600, 1000, 1400):
        run.wait_for_frames(frames)
        found = listed(bench)
        names = [one["name"] for one in found["segments"]]
        assert len(names) == len(set(names))
        assert [one["error"] for one in found["segments"]] == [None] * len(names)
        assert [one["what"] for one in found["segments"]].count("being written") <= 1
    run.end(signal.SIGTERM)
    assert run.last_line == "drained True"


def test_the_limits_are_those_of_the_configuration(tmp_path: Path) -> None:
    bench = Bench.create(tmp_path, limits=Limits(spool_bytes=1024**2).model_dump())
    died_run(bench.folder, list(capture_ladder_payloads()[:200]))
    found = listed(bench)
    assert found["budget"]["limit"] == 1024**2
    assert "of 1.0 MiB (" in bench.run("spool", "ls").stdout
    assert found["segments"][0]["first_seq"] == 0
    assert BASE_NS // 10**9 == 1_763_040_000
