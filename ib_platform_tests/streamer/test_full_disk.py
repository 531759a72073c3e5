"""A disk that is really full: a small tmpfs, emptied by nothing but loading."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, Limits
from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.loader import Loader
from ib_platform.streamer.records import RecordKind, decode_event
from ib_platform.streamer.reserve import RESERVE_BYTES, RESERVE_NAME, Reserve, no_room
from ib_platform.streamer.segments import list_segments, size_of
from ib_platform.streamer.spool import Spool
from ib_platform_tests.streamer.spools import (
    BASE_NS,
    SMALL,
    died_run,
    events,
    open_spool,
    records_of,
    stored_seqs,
)
from ib_platform_tests.support import capture_ladder_payloads, wait_until

SIZE = 3 * RESERVE_BYTES


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def _fill(spool: Spool) -> int:
    """Append frames until the disk refuses one; how many it took."""
    payloads = capture_ladder_payloads()
    for taken in itertools.count():
        payload = payloads[taken % len(payloads)]
        try:
            spool.append_frame(BASE_NS + taken, time.monotonic_ns(), 1, payload)
        except SpoolError as error:
            reason = error
            break
    assert no_room(reason)
    return taken


def _occupy(file: Path, size: int = 2 * SIZE) -> None:
    """Write zeros: so many, or until the disk is full."""
    with file.open("wb") as stream, suppress(OSError):
        for _ in range(size // 4096):
            os.write(stream.fileno(), bytes(4096))


@pytest.mark.parametrize("segment_bytes", [64 * 1024, 16 * 1024**2])
def test_loading_frees_a_full_disk(
    small_disk: Path, warehouse: ClickHouse, segment_bytes: int
) -> None:
    spool = open_spool(small_disk / "spool", segment_bytes=segment_bytes)
    taken = _fill(spool)
    assert taken > 1000
    # The last bytes that a frame could not use, so that a manifest finds nothing at all.
    filler = small_disk / "filler"
    _occupy(filler)
    loader = Loader(spool, warehouse, Limits(load_rows=2000))
    assert loader.drain(120)
    assert stored_seqs(warehouse, spool.run_id) == list(range(taken))
    filler.unlink()
    assert size_of(spool.folder / RESERVE_NAME) == RESERVE_BYTES
    assert len(list_segments(spool.folder)) == 1
    assert spool.append_frame(BASE_NS, 1, 1, b"{}") == taken
    spool.close()


def test_a_full_disk_is_no_reason_not_to_start(small_disk: Path, warehouse: ClickHouse) -> None:
    folder = small_disk / "spool"
    payloads = list(capture_ladder_payloads())
    dead = died_run(folder, payloads)
    filler = small_disk / "filler"
    _occupy(filler)
    spool = open_spool(folder)
    with pytest.raises(SpoolError, match="needed to load the spool"):
        spool.append_frame(BASE_NS, 1, 1, payloads[0])
    assert Loader(spool, warehouse, SMALL).drain(120)
    assert stored_seqs(warehouse, dead) == list(range(len(payloads)))
    assert len(events(warehouse, StreamEventKind.RUN_RECOVERED.value)) == 1
    filler.unlink()
    time.sleep(1.1)  # The reserve is tried again once a second.
    assert spool.append_frame(BASE_NS, 1, 1, payloads[0]) == 0
    spool.close()


def test_a_reserve_is_made_given_up_and_made_again(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path, 8192)
    assert not reserve.give_up()
    assert reserve.ensure()
    assert size_of(tmp_path / RESERVE_NAME) == 8192
    assert reserve.give_up()
    assert reserve.given_up
    assert not (tmp_path / RESERVE_NAME).exists()
    assert reserve.ensure()
    assert not reserve.given_up


def test_a_reserve_that_finds_no_room_leaves_nothing(small_disk: Path) -> None:
    reserve = Reserve(small_disk, SIZE * 2)
    assert not reserve.ensure()
    assert reserve.given_up
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_stays_full_is_not_filled_with_segments(
    small_disk: Path, warehouse: ClickHouse
) -> None:
    spool = open_spool(small_disk / "spool")
    spool.append_event(StreamEventKind.RUN_STARTED)
    filler = small_disk / "filler"
    _occupy(filler)
    spool.room.reserve.give_up()
    _occupy(small_disk / "more", SIZE // 4)
    loader = Loader(spool, warehouse, SMALL)
    for _ in range(3):
        assert loader.drain(60)
        assert len(list_segments(spool.folder)) == 1
    assert list_segments(spool.folder)[0].number == 1
    spool.close()


def test_a_loss_is_one_event_however_long_it_lasts(small_disk: Path) -> None:
    """Found by the chaos test: an event of each lost frame took the room that loading needs."""
    spool = open_spool(small_disk / "spool")
    filler = small_disk / "filler"
    _occupy(filler)
    spool.room.reserve.give_up()
    _occupy(small_disk / "more", SIZE // 4)
    journal = Journal(spool)
    for number in range(5):
        assert not journal.frame(BASE_NS + number, number, 1, b"{}")
        with pytest.raises(SpoolError, match="needed to load the spool"):
            journal.event_now(StreamEventKind.SUBSCRIBE_REQUESTED)
    assert journal.take_recovery() is None
    assert size_of(list_segments(spool.folder)[0].path) < 300
    filler.unlink()
    wait_until(spool.room.reserve.ensure, "room for the reserve")
    assert journal.frame(BASE_NS + 9, 9, 1, b"{}")
    assert journal.take_recovery() is Cause.DISK_FULL
    (loss, frame) = records_of(spool.folder, spool.run_id)
    assert decode_event(loss.payload).detail["lost_frames"] == 5
    assert frame.kind is RecordKind.FRAME
    spool.close()


def test_a_loss_holds_the_stamps_of_all_its_frames_though_the_clock_was_set(
    small_disk: Path,
) -> None:
    """Found by the chaos test: set back in a loss, the clock stamps its end before most of it."""
    spool = open_spool(small_disk / "spool")
    filler = small_disk / "filler"
    _occupy(filler)
    spool.room.reserve.give_up()
    _occupy(small_disk / "more", SIZE // 4)
    journal = Journal(spool)
    stamps = [BASE_NS + second * 10**9 for second in (0, 10, -15, -8)]
    for number, stamp in enumerate(stamps):
        assert not journal.frame(stamp, number, 1, b"{}")
    filler.unlink()
    wait_until(spool.room.reserve.ensure, "room for the reserve")
    assert journal.frame(BASE_NS - 5 * 10**9, 9, 1, b"{}")
    detail = decode_event(records_of(spool.folder, spool.run_id)[0].payload).detail
    begin, end = (datetime.fromisoformat(detail[key]).timestamp() for key in ("begin", "end"))
    assert (begin, end) == (min(stamps) / 1e9, max(stamps) / 1e9)
    spool.close()


def test_the_last_word_of_a_run_needs_no_room_for_frames(small_disk: Path) -> None:
    spool = open_spool(small_disk / "spool")
    _occupy(small_disk / "filler")
    spool.room.reserve.give_up()
    _occupy(small_disk / "more", SIZE // 4)
    journal = Journal(spool)
    assert not journal.frame(BASE_NS, 0, 1, b"{}")
    journal.event_now(StreamEventKind.RUN_STOPPED, last=True)
    kinds = [decode_event(r.payload).kind.value for r in records_of(spool.folder, spool.run_id)]
    assert kinds == ["frames_lost", "run_stopped"]
    spool.close()
