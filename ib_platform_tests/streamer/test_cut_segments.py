"""Segments cut at any byte while nobody looked: what is left is loaded once, what is gone is said.

All of these were found by the chaos test.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, Limits
from ib_platform.streamer.backlog import Backlog
from ib_platform.streamer.segments import list_segments, read_chunk, size_of
from ib_platform_tests.streamer.spools import (
    PAPER_USER,
    SMALL,
    died_run,
    events,
    loader_of,
    open_spool,
    query,
    stop_merges,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads

FRAMES = 40
LEFT = 25


class Killed(BaseException):
    """The process ends here."""


def end_of_frame(path: Path, number: int) -> int:
    """Offset behind the record of a frame."""
    offset, end = 0, size_of(path)
    while offset < end:
        chunk = read_chunk(path, offset, end, PAPER_USER, 1)
        offset = chunk.end
        if any(r.number == number and r.kind.name == "FRAME" for r in chunk.records):
            return offset
    raise AssertionError(f"no frame {number} in {path}")


def killed_with_a_batch_in_flight(
    folder: Path, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, *, stored: bool
) -> str:
    """A run that died while its only batch was on the way: ClickHouse has it, or has not."""
    run_id = died_run(folder, list(capture_ladder_payloads()[:FRAMES]))
    spool = open_spool(folder)

    def killed(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        if stored:
            patch.setattr(Backlog, "complete", killed)
        else:
            patch.setattr("ib_platform.streamer.sender.Sender.send", killed)
        with pytest.raises(Killed):
            loader_of(spool, warehouse, Limits()).drain(60)
    spool.close()
    return run_id


@pytest.mark.parametrize("stored", [True, False], ids=["stored", "not stored"])
@pytest.mark.parametrize("torn", [0, 7], ids=["at a border", "in a record"])
def test_a_batch_in_flight_that_was_cut_blocks_nothing_and_doubles_nothing(
    tmp_path: Path,
    warehouse: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
    stored: bool,
    torn: int,
) -> None:
    stop_merges(warehouse)
    run_id = killed_with_a_batch_in_flight(tmp_path, warehouse, monkeypatch, stored=stored)
    path = list_segments(tmp_path)[0].path
    os.truncate(path, end_of_frame(path, LEFT - 1) + torn)
    spool = open_spool(tmp_path)
    assert loader_of(spool, warehouse, Limits()).drain(60)
    assert stored_seqs(warehouse, run_id) == list(range(FRAMES if stored else LEFT))
    damage = [detail for _, detail in events(warehouse, "spool_torn")]
    assert any(detail.get("in_flight_bytes", 0) > 0 for detail in damage), damage
    sql = "SELECT count() - uniqExact(run_id, event_no) FROM stream_events"
    assert query(warehouse, sql) == [(0,)]
    spool.close()


@pytest.mark.parametrize("left", [0, 10])
def test_a_batch_in_flight_of_which_nothing_is_left(
    tmp_path: Path, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, left: int
) -> None:
    run_id = killed_with_a_batch_in_flight(tmp_path, warehouse, monkeypatch, stored=False)
    os.truncate(list_segments(tmp_path)[0].path, left)
    spool = open_spool(tmp_path)
    assert loader_of(spool, warehouse, Limits()).drain(60)
    assert stored_seqs(warehouse, run_id) == []
    assert run_id in [detail["run_id"] for _, detail in events(warehouse, "run_recovered")]
    spool.close()


def test_a_segment_cut_at_a_border_is_said_where_others_follow(
    tmp_path: Path, warehouse: ClickHouse
) -> None:
    run_id = died_run(tmp_path, list(capture_ladder_payloads()[:200]), segment_bytes=20_000)
    segments = list_segments(tmp_path)
    assert len(segments) > 3
    empty, at_a_border = segments[1].path, segments[2].path
    first = read_chunk(at_a_border, 0, size_of(at_a_border), PAPER_USER, 1).records[0].number
    os.truncate(empty, 0)
    os.truncate(at_a_border, end_of_frame(at_a_border, first + 2))
    spool = open_spool(tmp_path)
    assert loader_of(spool, warehouse, SMALL).drain(60)
    assert 100 < len(stored_seqs(warehouse, run_id)) < 200
    damage = [detail for _, detail in events(warehouse, "spool_torn")]
    assert [(d["run_id"], d["segment"]) for d in damage] == [(run_id, 2), (run_id, 3)], damage
    assert damage[0]["found_seq"] == first
    spool.close()
