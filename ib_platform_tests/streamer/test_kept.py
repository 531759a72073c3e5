"""Loaded segments are kept for their time, unless their room is needed."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.errors import SpoolError
from ib_platform.states import SpoolFill
from ib_platform.streamer.housekeeping import measure_regularly
from ib_platform.streamer.kept import KEPT_FOLDER, KeptSegments
from ib_platform.streamer.segments import list_segments, segment_file, size_of
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    append,
    died_run,
    loader_of,
    open_spool,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads, wait_until

NANOS = 10**9


class Time:
    """Stands still until it is told to pass; ``wall``: ns since 1970, may be set."""

    def __init__(self) -> None:
        self.wall, self.monotonic = BASE_NS, 5 * NANOS

    def passes(self, seconds: int) -> None:
        self.wall += seconds * NANOS
        self.monotonic += seconds * NANOS

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.monotonic)


def kept_names(folder: Path) -> list[str]:
    return sorted(file.name for file in (folder / KEPT_FOLDER).glob("*.spool"))


def test_a_loaded_segment_is_kept_whole_and_goes_when_its_time_is_over(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    time = Time()
    spool = open_spool(tmp_path, segment_bytes=20_000, keep_loaded=1800, clocks=time.clocks())
    append(spool, list(capture_ladder_payloads()[:200]))
    written = {segment.path.name: segment.path.read_bytes() for segment in list_segments(tmp_path)}
    assert loader_of(spool, warehouse).drain()
    (live,) = list_segments(tmp_path)
    kept = kept_names(tmp_path)
    assert sorted([*kept, live.path.name]) == sorted(written)
    assert all((tmp_path / KEPT_FOLDER / name).read_bytes() == written[name] for name in kept)
    spool.room.measure()
    assert spool.room.kept_bytes == sum(len(written[name]) for name in kept)
    assert spool.room.budget.used == size_of(live.path), "kept segments do not count"
    time.passes(1799)
    spool.room.measure()
    assert kept_names(tmp_path) == kept
    time.passes(1)
    spool.room.measure()
    assert kept_names(tmp_path) == []
    assert [file.name for file in (tmp_path / KEPT_FOLDER).iterdir()] == [
        f"{live.path.stem}.state.json"
    ]
    spool.close()
    assert stored_seqs(warehouse, spool.run_id) == list(range(200))


@pytest.mark.parametrize("step", [30 * 60, 86_400, -86_400])
def test_a_step_of_the_wall_clock_drops_nothing_early_and_keeps_nothing_longer(
    tmp_path: Path, step: int
) -> None:
    time = Time()
    spool = open_spool(tmp_path, keep_loaded=1800, clocks=time.clocks())
    name = put_kept(tmp_path, time)
    spool.room.measure()
    time.wall += step * NANOS
    spool.room.measure()
    assert kept_names(tmp_path) == [name]
    time.passes(1799)
    spool.room.measure()
    assert kept_names(tmp_path) == [name]
    time.passes(1)
    spool.room.measure()
    assert kept_names(tmp_path) == []
    spool.close()


def test_whoever_starts_again_keeps_it_anew(tmp_path: Path) -> None:
    """Its age by the wall clock says nothing: that may have been set meanwhile."""
    time = Time()
    name = put_kept(tmp_path, time)
    for _ in range(2):
        spool = open_spool(tmp_path, keep_loaded=1800, clocks=time.clocks())
        spool.room.measure()
        time.passes(1799)
        spool.room.measure()
        assert kept_names(tmp_path) == [name]
        spool.close()


def put_kept(folder: Path, time: Time) -> str:
    """A segment that was loaded and kept now; its name."""
    segment = segment_file(folder, "alpha-20251113T132000000Z-0000", 0)
    segment.path.write_bytes(bytes(1000))
    KeptSegments(folder, 1800).keep(segment, time.wall / NANOS)
    return segment.path.name


def test_a_run_that_is_finished_is_kept_to_its_last_segment(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    died_run(tmp_path, list(capture_ladder_payloads()[:100]), segment_bytes=20_000)
    old = [segment.path.name for segment in list_segments(tmp_path)]
    spool = open_spool(tmp_path, keep_loaded=60)
    assert loader_of(spool, warehouse).drain()
    assert kept_names(tmp_path) == sorted(old)
    spool.close()


def test_kept_segments_make_room_for_what_is_not_loaded_yet(tmp_path: Path) -> None:
    time = Time()
    spool = open_spool(tmp_path, budget_bytes=100_000, keep_loaded=1800, clocks=time.clocks())
    folder = tmp_path / KEPT_FOLDER
    folder.mkdir()
    for number in range(8):
        file = folder / f"alpha-20251113T132000000Z-0000.{number:06d}.spool"
        file.write_bytes(bytes(10_000))
        os.utime(file, (BASE_NS / NANOS + number,) * 2)
    spool.room.measure()
    assert len(kept_names(tmp_path)) == 8
    append(spool, [bytes(900)] * 60)
    assert spool.room.measure() is SpoolFill.WELL
    assert kept_names(tmp_path) == [
        f"alpha-20251113T132000000Z-0000.{number:06d}.spool" for number in (4, 5, 6, 7)
    ], "the longest loaded goes first"
    spool.close()


def test_a_spent_budget_refuses_frames_until_there_is_room(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    spool = open_spool(tmp_path, segment_bytes=20_000, budget_bytes=100_000)
    with pytest.raises(SpoolError, match=r"budget of 100000 bytes is spent.*limits\.spool_bytes"):
        append(spool, [bytes(900)] * 200)
    assert spool.room.budget.fill is SpoolFill.ALARM
    frames = spool.frames_written
    assert 100 < frames < 200
    assert loader_of(spool, warehouse).drain()
    spool.room.measure()
    append(spool, [b"after"])
    assert loader_of(spool, warehouse).drain()
    assert stored_seqs(warehouse, spool.run_id) == list(range(frames + 1))
    spool.close()


def test_nothing_is_kept_without_a_time(tmp_path: Path, warehouse: ClickHouse) -> None:
    spool = open_spool(tmp_path, segment_bytes=20_000)
    append(spool, list(capture_ladder_payloads()[:100]))
    assert loader_of(spool, warehouse).drain()
    assert len(list_segments(tmp_path)) == 1
    assert not (tmp_path / KEPT_FOLDER).exists()
    spool.close()


def test_what_lies_there_besides_is_left_alone(tmp_path: Path) -> None:
    kept = KeptSegments(tmp_path, keep_for=10)
    assert (kept.list(), kept.size(), kept.make_room(5)) == ([], 0, 0)
    kept.folder.mkdir()
    (kept.folder / "notes.txt").write_text("mine")
    kept.expire(10**9)
    assert [file.name for file in kept.folder.iterdir()] == ["notes.txt"]


async def test_a_spool_that_fills_up_is_said_when_it_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spool = open_spool(tmp_path, budget_bytes=100_000)
    append(spool, [bytes(900)] * 90)
    with caplog.at_level(logging.INFO):
        measuring = asyncio.create_task(measure_regularly(spool.room))
        await asyncio.to_thread(wait_until, lambda: "(alarm)" in caplog.text, "the alarm")
        for segment in list_segments(tmp_path):
            segment.path.unlink()
        await asyncio.to_thread(wait_until, lambda: "(well)" in caplog.text, "its end")
        measuring.cancel()
    assert [record.levelno for record in caplog.records] == [logging.ERROR, logging.INFO]
    spool.close()
