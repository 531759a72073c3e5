"""A clock that was set while nobody ran is told of by the next run."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.clocks import Clocks, boot_id
from ib_platform.paths import PodPaths
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.between_runs import (
    LastMoment,
    judge_pause,
    last_moments,
    newest,
    say_step_between_runs,
)
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.kept import KeptSegments
from ib_platform.streamer.segments import list_segments, segment_file
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.stamps import Moment
from ib_platform_tests.streamer.app_bench import events_of
from ib_platform_tests.support import make_config

SECOND = 1_000_000_000
WALL = 1_790_000_000 * SECOND
BOOT = "one"
LAST = LastMoment("alpha-1", Moment(WALL, 100 * SECOND), BOOT)


def later(wall: float, monotonic: float) -> Moment:
    return Moment(WALL + round(wall * SECOND), round((100 + monotonic) * SECOND))


@pytest.mark.parametrize(
    ("wall", "step_ms", "begin", "end"),
    [
        (12.0, None, 0, 0),
        (12.4, None, 0, 0),
        (2.0, -10_000, -10, 12),
        (-88.0, -100_000, -100, 12),
        (42.0, 30_000, 0, 42),
    ],
)
def test_a_pause_of_twelve_seconds(wall: float, step_ms: int | None, begin: int, end: int) -> None:
    doubt = judge_pause(LAST, later(wall, 12), BOOT)
    if step_ms is None:
        assert doubt is None
        return
    assert doubt is not None
    assert (doubt.kind, doubt.cause) == (StreamEventKind.CLOCK_STEP, Cause.CLOCK_STEP)
    assert doubt.figures == {"step_ms": step_ms}
    assert (doubt.begin, doubt.end) == (WALL + begin * SECOND, WALL + end * SECOND)


@given(passed=st.integers(0, 10**14), step=st.integers(-(10**13), 10**13))
def test_every_stamp_of_the_pause_by_either_clock_lies_in_the_span(passed: int, step: int) -> None:
    now = Moment(WALL + passed + step, LAST.at.monotonic + passed)
    doubt = judge_pause(LAST, now, BOOT)
    assert (doubt is None) == (abs(step) <= SECOND // 2)
    if doubt is not None:
        for after in (0, passed // 2, passed):
            for stamp in (WALL + after, WALL + after + step):
                assert doubt.begin <= stamp <= doubt.end


@pytest.mark.parametrize(
    ("last", "own"),
    [
        (replace(LAST, boot_id="another"), BOOT),
        (replace(LAST, boot_id=None), BOOT),
        (LAST, None),
        (replace(LAST, at=Moment(WALL, 900 * SECOND)), BOOT),
    ],
)
def test_after_another_start_of_the_machine_only_a_clock_that_is_behind_tells(
    last: LastMoment, own: str | None
) -> None:
    assert judge_pause(last, later(3600, 12), own) is None
    doubt = judge_pause(last, later(-5, 12), own)
    assert doubt is not None
    assert (doubt.begin, doubt.end, doubt.figures) == (WALL - 5 * SECOND, WALL, {})


def test_the_newest_run_is_the_last_by_the_clock_that_nobody_sets() -> None:
    renamed = LastMoment("alpha-0", Moment(WALL - 99, 200 * SECOND), BOOT)
    foreign = LastMoment("alpha-9", Moment(WALL, 999 * SECOND), "another")
    assert newest([LAST, renamed, foreign], BOOT) is renamed
    assert newest([LAST, renamed, foreign], "third") is foreign
    assert newest([], BOOT) is None


class _Set:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall, self.monotonic = WALL, 0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.monotonic)


def _spool(tmp_path: Path, run_id: str, clocks: Clocks, **more: Any) -> Spool:
    folder = PodPaths(make_config(tmp_path).runtime.state_dir, "alpha").spool
    folder.mkdir(parents=True, exist_ok=True)
    return Spool.open(folder, "alpha", run_id, segment_bytes=2**20, clocks=clocks, **more)


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_run_tells_of_the_step_before_it(tmp_path: Path, is_kept: bool) -> None:
    at = _Set()
    first = _spool(tmp_path, "alpha-2", at.clocks())
    for _ in range(3):
        at.wall, at.monotonic = at.wall + SECOND, at.monotonic + SECOND
        first.append_frame(at.wall, at.monotonic, 1, b"frame")
    last = at.wall
    first.close()
    if is_kept:
        (segment,) = list_segments(first.folder)
        KeptSegments(first.folder, 60).keep(segment, at.wall / SECOND)
    at.wall, at.monotonic = at.wall - 30 * SECOND, at.monotonic + 5 * SECOND
    # By its name it is the first of both.
    second = _spool(tmp_path, "alpha-1", at.clocks(), keep_loaded=60)
    say_step_between_runs(second, Journal(second, second.clocks))
    second.close()
    told = [e for e in events_of(make_config(tmp_path)) if e.kind is StreamEventKind.CLOCK_STEP]
    (event,) = told
    assert (event.cause, event.after_seq) == (Cause.CLOCK_STEP, 0)
    assert (event.detail["step_ms"], event.detail["after_run"]) == (-35_000, "alpha-2")
    begin, end = (datetime.fromisoformat(event.detail[key]) for key in ("begin", "end"))
    assert round(begin.timestamp()) == last // SECOND - 35
    assert round(end.timestamp()) == last // SECOND + 5


def test_a_drain_in_between_is_no_run(tmp_path: Path) -> None:
    """Set back before the drain, the clock would seem to be right since."""
    at = _Set()
    first = _spool(tmp_path, "alpha-1", at.clocks())
    first.append_frame(at.wall, at.monotonic, 1, b"frame")
    first.close()
    at.wall, at.monotonic = at.wall - 60 * SECOND, at.monotonic + SECOND
    drain = _spool(tmp_path, "alpha-2", at.clocks())
    drain.append_event(StreamEventKind.RUN_STARTED, detail={"drain": True})
    drain.close()
    (moment,) = last_moments(drain.folder, "alpha", "alpha-3")
    assert moment.run_id == "alpha-1"


def test_the_first_run_of_all_and_a_clock_left_alone_have_nothing_to_tell(tmp_path: Path) -> None:
    at = _Set()
    for number in range(2):
        spool = _spool(tmp_path, f"alpha-{number}", at.clocks())
        say_step_between_runs(spool, Journal(spool, spool.clocks))
        spool.append_frame(at.wall, at.monotonic, 1, b"frame")
        spool.close()
    kinds = {event.kind for event in events_of(make_config(tmp_path))}
    assert StreamEventKind.CLOCK_STEP not in kinds


def test_what_is_damaged_or_empty_tells_nothing(tmp_path: Path) -> None:
    at = _Set()
    first = _spool(tmp_path, "alpha-1", at.clocks())
    first.append_frame(at.wall, 1, 1, b"one")
    first.append_frame(at.wall, 2, 1, b"two")
    first.close()
    path = segment_file(first.folder, "alpha-1", 0).path
    path.write_bytes(path.read_bytes()[:-1])
    empty = _spool(tmp_path, "alpha-2", at.clocks())
    empty.close()
    (moment, *_) = last_moments(first.folder, "alpha", "alpha-3")
    assert (moment.at.monotonic, moment.boot_id) == (1, boot_id())
