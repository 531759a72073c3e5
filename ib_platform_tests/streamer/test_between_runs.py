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


class _Set:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.wall, self.monotonic = WALL, 0

    def pass_by(self, seconds: int, back: int = 0) -> None:
        """Time passes, and the wall clock is set ``back``."""
        self.wall += (seconds - back) * SECOND
        self.monotonic += seconds * SECOND

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.wall, lambda: self.monotonic)


def _folder(tmp_path: Path) -> Path:
    return PodPaths(make_config(tmp_path).runtime.state_dir, "alpha").spool


def _begun(tmp_path: Path, run_id: str, clocks: Clocks, **more: Any) -> Spool:
    """A run that has said that it has begun."""
    folder = _folder(tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    spool = Spool.open(folder, "alpha", run_id, segment_bytes=2**20, clocks=clocks, **more)
    spool.append_event(StreamEventKind.RUN_STARTED, detail={})
    return spool


def _moments(tmp_path: Path) -> list[tuple[str, int]]:
    found = last_moments(_folder(tmp_path), "alpha", "alpha-own", boot_id())
    return [(moment.run_id, moment.at.monotonic // SECOND) for moment in found]


@pytest.mark.parametrize("is_kept", [False, True])
def test_a_run_tells_of_the_step_before_it(tmp_path: Path, is_kept: bool) -> None:
    at = _Set()
    first = _begun(tmp_path, "alpha-2", at.clocks())
    for _ in range(3):
        at.pass_by(1)
        first.append_frame(at.wall, at.monotonic, 1, b"frame")
    last = at.wall
    first.close()
    if is_kept:
        (segment,) = list_segments(first.folder)
        KeptSegments(first.folder, 60).keep(segment, at.wall / SECOND)
    at.pass_by(5, back=35)
    # By its name it is the first of both.
    second = _begun(tmp_path, "alpha-1", at.clocks(), keep_loaded=60)
    assert say_step_between_runs(second, Journal(second, second.clocks)).wall == at.wall
    second.close()
    told = [e for e in events_of(make_config(tmp_path)) if e.kind is StreamEventKind.CLOCK_STEP]
    (event,) = told
    assert (event.cause, event.after_seq) == (Cause.CLOCK_STEP, 0)
    assert (event.detail["step_ms"], event.detail["after_run"]) == (-35_000, "alpha-2")
    named = ("begin", "end", "before", "after")
    seconds = [datetime.fromisoformat(event.detail[key]).timestamp() for key in named]
    assert [round(s - last / SECOND) for s in seconds] == [-35, 5, 0, -30]


def test_a_clock_left_alone_has_nothing_to_tell(tmp_path: Path) -> None:
    at = _Set()
    for number in range(2):
        spool = _begun(tmp_path, f"alpha-{number}", at.clocks())
        say_step_between_runs(spool, Journal(spool, spool.clocks))
        spool.append_frame(at.wall, at.monotonic, 1, b"frame")
        spool.close()
    kinds = {event.kind for event in events_of(make_config(tmp_path))}
    assert StreamEventKind.CLOCK_STEP not in kinds


def test_the_newest_run_is_the_last_by_the_clock_that_nobody_sets(tmp_path: Path) -> None:
    at = _Set()
    for run_id in ("alpha-9", "alpha-5", "alpha-7"):
        at.pass_by(10, back=100)
        _begun(tmp_path, run_id, at.clocks()).close()
    assert _moments(tmp_path) == [("alpha-7", 30)]


def test_other_starts_of_the_machine_have_a_newest_run_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = _Set()
    _begun(tmp_path, "alpha-1", at.clocks()).close()
    at.pass_by(500)
    with monkeypatch.context() as patch:
        patch.setattr("ib_platform.streamer.spool.boot_id", lambda: "another node's")
        for run_id in ("alpha-2", "alpha-3"):
            _begun(tmp_path, run_id, at.clocks()).close()
    assert _moments(tmp_path) == [("alpha-1", 0), ("alpha-3", 500)]
    # Back on the first node, whose clock is behind that of the other.
    at.pass_by(10, back=200)
    spool = _begun(tmp_path, "alpha-own", at.clocks())
    at.wall += 200 * SECOND - 600 * SECOND
    at.monotonic -= 600 * SECOND - 90 * SECOND
    say_step_between_runs(spool, Journal(spool, spool.clocks))
    spool.close()
    told = [e for e in events_of(make_config(tmp_path)) if e.kind is StreamEventKind.CLOCK_STEP]
    assert [event.detail["after_run"] for event in told] == ["alpha-1"]


def test_what_has_not_begun_or_only_drained_is_no_run(tmp_path: Path) -> None:
    """Found by a reviewer: killed before it told of the step, a run would have hidden it."""
    at = _Set()
    _begun(tmp_path, "alpha-1", at.clocks()).close()
    at.pass_by(1, back=60)
    killed = Spool.open(
        _folder(tmp_path), "alpha", "alpha-2", segment_bytes=2**20, clocks=at.clocks()
    )
    killed.append_event(StreamEventKind.SPOOL_TORN)
    killed.close()
    at.pass_by(1)
    drain = Spool.open(
        _folder(tmp_path), "alpha", "alpha-3", segment_bytes=2**20, clocks=at.clocks()
    )
    drain.append_event(StreamEventKind.RUN_STARTED, detail={"drain": True})
    drain.close()
    assert _moments(tmp_path) == [("alpha-1", 0)]


def test_a_segment_without_a_record_has_the_moment_of_its_header(tmp_path: Path) -> None:
    """As a disk leaves it that was full when the segment before it was left."""
    at = _Set()
    spool = _begun(tmp_path, "alpha-1", at.clocks())
    at.pass_by(7)
    assert spool.rotate()
    spool.close()
    assert _moments(tmp_path) == [("alpha-1", 7)]


def test_what_cannot_be_read_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Found by a reviewer: one byte of a copy kept the streamer from starting."""
    at = _Set()
    _begun(tmp_path, "alpha-1", at.clocks()).close()
    at.pass_by(1)
    damaged = _begun(tmp_path, "alpha-2", at.clocks())
    damaged.close()
    path = segment_file(damaged.folder, "alpha-2", 0).path
    content = bytearray(path.read_bytes())
    content[20] ^= 0xFF
    path.write_bytes(bytes(content))
    assert _moments(tmp_path) == [("alpha-1", 0)]
    assert "not compared with that of alpha-2" in caplog.text


def test_a_torn_tail_is_no_record(tmp_path: Path) -> None:
    at = _Set()
    spool = _begun(tmp_path, "alpha-1", at.clocks())
    spool.append_frame(at.wall, 3 * SECOND, 1, b"one")
    spool.append_frame(at.wall, 4 * SECOND, 1, b"two")
    spool.close()
    path = segment_file(spool.folder, "alpha-1", 0).path
    path.write_bytes(path.read_bytes()[:-1])
    assert _moments(tmp_path) == [("alpha-1", 3)]
