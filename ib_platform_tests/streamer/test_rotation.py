"""Segments also end by their age, so that what is in them can be freed and kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from ib_platform.clocks import Clocks
from ib_platform.config import ClickHouse
from ib_platform.streamer.rotation import SEGMENT_SECONDS
from ib_platform.streamer.segments import list_segments
from ib_platform.streamer.spool import Spool
from ib_platform_tests.streamer.spools import (
    HEARTBEAT,
    append,
    loader_of,
    open_spool,
    records_of,
    stored_seqs,
)
from ib_platform_tests.support import make_config


class Hand:
    """Clocks that a test sets by hand."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def clocks(self) -> Clocks:
        return Clocks(self._ns, self._ns)

    def _ns(self) -> int:
        return int(self.seconds * 1e9)


@pytest.fixture
def hand() -> Hand:
    return Hand()


def numbers(spool: Spool) -> list[int]:
    return [segment.number for segment in list_segments(spool.folder)]


def test_a_segment_is_left_when_it_is_old(tmp_path: Path, hand: Hand) -> None:
    spool = open_spool(tmp_path, segment_seconds=10, clocks=hand.clocks())
    for at, expected in ((0, [0]), (9.9, [0]), (10, [0, 1]), (19.9, [0, 1]), (20, [0, 1, 2])):
        hand.seconds = 1000 + at
        append(spool, [HEARTBEAT])
        assert numbers(spool) == expected, at
    spool.close()
    assert [record.number for record in records_of(tmp_path, spool.run_id)] == list(range(5))


def test_an_empty_segment_does_not_grow_old(tmp_path: Path, hand: Hand) -> None:
    spool = open_spool(tmp_path, segment_seconds=10, clocks=hand.clocks())
    hand.seconds += 1000
    append(spool, [HEARTBEAT])
    assert numbers(spool) == [0]
    # Its age counts from its making: the second record already finds it old.
    append(spool, [HEARTBEAT])
    assert numbers(spool) == [0, 1]
    spool.close()


def test_a_full_segment_is_left_before_it_is_old(tmp_path: Path, hand: Hand) -> None:
    spool = open_spool(tmp_path, segment_bytes=4096, segment_seconds=10, clocks=hand.clocks())
    hand.seconds += 5
    append(spool, [b"x" * 3000] * 2)
    hand.seconds += 9
    append(spool, [HEARTBEAT])
    assert numbers(spool) == [0, 1], "the age is that of the second segment"
    hand.seconds += 1
    append(spool, [HEARTBEAT])
    assert numbers(spool) == [0, 1, 2]
    spool.close()


def test_a_disk_that_refuses_another_segment_costs_no_record(tmp_path: Path, hand: Hand) -> None:
    spool = open_spool(tmp_path, segment_seconds=10, clocks=hand.clocks())
    append(spool, [HEARTBEAT])
    taken = tmp_path / f"{spool.run_id}.000001.spool"
    taken.mkdir()
    hand.seconds += 10
    append(spool, [HEARTBEAT])
    hand.seconds += 9
    taken.rmdir()
    append(spool, [HEARTBEAT])
    assert numbers(spool) == [0], "tried again only when the segment is old again"
    hand.seconds += 1
    append(spool, [HEARTBEAT])
    assert numbers(spool) == [0, 1]
    spool.close()
    assert len(records_of(tmp_path, spool.run_id)) == 4


def test_an_old_segment_is_freed_and_kept_though_it_is_small(
    tmp_path: Path, warehouse: ClickHouse, hand: Hand
) -> None:
    spool = open_spool(tmp_path, segment_seconds=600, keep_loaded=60, clocks=hand.clocks())
    append(spool, [HEARTBEAT] * 3)
    loader = loader_of(spool, warehouse)
    assert loader.drain()
    assert spool.room.kept.list() == []
    hand.seconds += 600
    append(spool, [HEARTBEAT])
    assert loader.drain()
    assert numbers(spool) == [1]
    assert [kept.segment.number for kept in spool.room.kept.list()] == [0]
    assert stored_seqs(warehouse, spool.run_id) == [0, 1, 2, 3]
    spool.close()


def test_the_default_is_that_of_the_configuration(tmp_path: Path) -> None:
    assert make_config(tmp_path).limits.segment_seconds == SEGMENT_SECONDS
