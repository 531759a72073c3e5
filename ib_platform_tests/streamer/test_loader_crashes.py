"""The loader under crashes: killed at random, killed at each step, the next one goes on."""

from __future__ import annotations

import contextlib
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, Limits
from ib_platform.streamer import backlog as backlog_module
from ib_platform.streamer.segments import list_segments
from ib_platform.streamer.sender import Sender
from ib_platform_tests.figures import Figures
from ib_platform_tests.streamer.decoded import assert_decoded, delta_ladder, full_ladder, quote
from ib_platform_tests.streamer.spools import (
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


@pytest.mark.parametrize(
    "kills", [25, pytest.param(500, marks=[pytest.mark.long, pytest.mark.timeout(3600)])]
)
def test_kill_9_at_random_moments_loses_and_doubles_nothing(
    tmp_path: Path, warehouse: ClickHouse, figures: Figures, kills: int
) -> None:
    stop_merges(warehouse)
    rng = random.Random(20261122)
    settings_file = tmp_path / "settings.json"
    settings_file.write_text(warehouse.model_dump_json())
    folder = tmp_path / "spool"
    acknowledged: dict[str, int] = {}
    killed = []
    for round_ in range(kills + 1):
        run = RunProcess(folder, settings_file)
        run.wait_for_frames(rng.randrange(1, 1500))
        run.end(signal.SIGTERM if round_ == kills else signal.SIGKILL)
        acknowledged[run.run_id] = len(run.acknowledged)
        if round_ < kills:
            killed.append(run.run_id)
    assert run.last_line == "drained True"
    figures(f"{kills} kills, {sum(acknowledged.values())} frames acknowledged by the spool")
    stored = {run_id: stored_seqs(warehouse, run_id) for run_id in acknowledged}
    for run_id, count in acknowledged.items():
        assert stored[run_id] == list(range(len(stored[run_id]))), run_id
        assert 0 <= len(stored[run_id]) - count <= 1, run_id
    recovered = [detail for _, detail in events(warehouse, "run_recovered")]
    assert [detail["run_id"] for detail in recovered] == killed
    assert [detail["frames"] for detail in recovered] == [len(stored[r]) for r in killed]
    ladder = query(warehouse, "SELECT count(), uniqExact(run_id, seq) FROM ladder_frames")
    assert ladder == [(sum(map(len, stored.values())),) * 2]
    assert query(warehouse, "SELECT count() - uniqExact(run_id, event_no) FROM stream_events") == [
        (0,)
    ]
    assert {segment.run_id for segment in list_segments(folder)} == {run.run_id}


class Crash(BaseException):
    """The process dies here."""


class CrashAt:
    """Counts the steps of a loader; at one of them the process dies, before or after it."""

    def __init__(self, step: int, after: bool) -> None:
        self.step, self.after, self.count = step, after, 0

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def stepped(*arguments: Any, **named: Any) -> Any:
            self.count += 1
            if self.count == self.step and not self.after:
                raise Crash
            result = function(*arguments, **named)
            if self.count == self.step and self.after:
                raise Crash
            return result

        return stepped


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_between_any_two_steps(
    tmp_path: Path, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    """Two earlier runs, then one that dies at step 1, 2, 3, ...; what it left is then loaded."""
    stop_merges(warehouse)
    first = [full_ladder(0), quote(1), delta_ladder(2, after=0), b"x"]
    first = [payload.ljust(1500) for payload in first]
    own = [full_ladder(3), delta_ladder(4, after=3)]
    runs: dict[str, list[bytes]] = {}
    for step in range(1, 100):
        folder = tmp_path / str(step)
        crash = CrashAt(step, after)
        died = [
            died_run(folder, first, segment_bytes=4096),
            died_run(folder, [quote(5)]),
        ]
        second = open_spool(folder)
        append(second, own)
        with monkeypatch.context() as patch:
            patch.setattr(backlog_module, "save_manifest", crash.wrap(backlog_module.save_manifest))
            patch.setattr(Sender, "_insert", crash.wrap(Sender._insert))
            patch.setattr(Path, "unlink", crash.wrap(Path.unlink))
            patch.setattr(second, "append_event", crash.wrap(second.append_event))
            with contextlib.suppress(Crash):
                loader_of(second, warehouse, Limits(load_rows=3)).drain()
        second.close()
        last = open_spool(folder)
        assert loader_of(last, warehouse).drain()
        last.close()
        runs |= {died[0]: first, died[1]: [quote(5)], second.run_id: own}
        assert {segment.run_id for segment in list_segments(folder)} == {last.run_id}
        if crash.count < step:
            break
    assert step > 15
    stored = query(warehouse, "SELECT run_id, count(), uniqExact(seq) FROM frames GROUP BY run_id")
    assert {run_id: counts for run_id, *counts in stored} == {
        run_id: [len(payloads)] * 2 for run_id, payloads in runs.items()
    }
    assert_decoded(warehouse, runs)
    recovered = [detail["run_id"] for _, detail in events(warehouse, "run_recovered")]
    assert sorted(recovered) == sorted(runs)
