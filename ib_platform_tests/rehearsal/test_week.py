"""A week of a whole pod in minutes: resets, a weekend, an outage, rivals, small failures.

Asserted: everything is live again within the budget of each trouble, logins stay within the limit,
nothing is done about a market that is closed, every frame is stored, and every gap of the week lies
at a trouble that explains it.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.states import PodState
from ib_platform.warehouse.connect import Client, connect
from ib_platform_tests.figures import Figures
from ib_platform_tests.rehearsal.observed import (
    Gap,
    Observed,
    asked_for,
    compacted_gaps,
    heartbeats,
)
from ib_platform_tests.rehearsal.virtual_pod import VirtualPod, virtual_pod
from ib_platform_tests.rehearsal.virtual_time import VirtualTimeLoop
from ib_platform_tests.rehearsal.week import (
    BEHAVIOUR,
    WEDNESDAY,
    WEEK,
    Rehearsal,
    Trouble,
    fail_now_and_then,
    make_trouble,
)
from ib_platform_tests.streamer.app_bench import CL, ES
from ib_platform_tests.support import make_config

CONTRACTS = [CL, ES]


@pytest.fixture
def client(warehouse: ClickHouse) -> Iterator[Client]:
    with closing(connect(warehouse)) as client:
        yield client


def _config(folder: Path, warehouse: ClickHouse) -> PlatformConfig:
    """Nobody pulls the plug here: what the spool and the loader do all the time, seldom."""
    config = make_config(folder, clickhouse=warehouse.model_dump())
    limits = config.limits.model_copy(update={"fsync_every": 60.0, "load_every": 10.0})
    return config.model_copy(update={"limits": limits})


def _assign(client: Client, rehearsal: Rehearsal) -> None:
    begin = rehearsal.begin
    due = begin + timedelta(seconds=60)
    users, calendars = ["alpha"] * len(CONTRACTS), ["cme_globex"] * len(CONTRACTS)
    client.insert("assignments", [(1, 1, begin, due, CONTRACTS, users, calendars)])


async def _rehearse(config: PlatformConfig, rehearsal: Rehearsal) -> tuple[VirtualPod, Observed]:
    seen = Observed()
    async with virtual_pod(config, rehearsal.begin, BEHAVIOUR) as pod:
        # Threads live in the machine's time: the assignment is read before time begins to jump.
        await pod.until_live(90)
        pod.loop.release()
        jobs = [
            asyncio.create_task(make_trouble(pod, rehearsal)),
            asyncio.create_task(fail_now_and_then(pod, random.Random(1))),
        ]
        await seen.watch(pod, rehearsal.end)
        for job in jobs:
            job.cancel()
        for ended in await asyncio.gather(*jobs, return_exceptions=True):
            assert ended is None or isinstance(ended, asyncio.CancelledError), ended
    return pod, seen


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "rehearsal",
    [
        pytest.param(WEDNESDAY, id="a day"),
        pytest.param(WEEK, id="a week", marks=pytest.mark.long),
    ],
)
def test_the_pod_is_back_after_each_trouble_and_the_record_says_why_it_was_away(
    rehearsal: Rehearsal,
    tmp_path: Path,
    warehouse: ClickHouse,
    client: Client,
    monkeypatch: pytest.MonkeyPatch,
    figures: Figures,
) -> None:
    # Looks that are taken several times a second, where nothing of theirs is the subject.
    monkeypatch.setattr("ib_platform.streamer.clock_watch._LOOK", 5.0)
    monkeypatch.setattr("ib_platform.streamer.link._LOOK_EVERY", 1.0)
    monkeypatch.setattr("ib_platform.streamer.app._OBSERVE_EVERY", 10.0)
    monkeypatch.setattr("ib_platform.streamer.housekeeping._MEASURE_EVERY", 30.0)
    _assign(client, rehearsal)
    config = _config(tmp_path, warehouse)
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        pod, seen = runner.run(_rehearse(config, rehearsal))
    gaps = compacted_gaps(client, config, rehearsal)
    figures(_told(rehearsal, pod, seen, gaps))
    for trouble in rehearsal.troubles:
        assert seen.back_after(trouble.end) <= trouble.back, f"{trouble.kind} of {trouble.begin}"
    assert seen.most_logins_a_day() <= config.gateway.session.logins_per_day
    assert pod.program.restarts == 0, "nothing of this is cured by a restart"
    assert pod.machine.judgement.state is PodState.AUTHENTICATED
    assert pod.machine.alarm is None
    frames = pod.streamer.state.received
    assert (pod.spool.frames_written, pod.loader.progress.stored) == (frames, frames)
    stored = client.query("SELECT count(), uniqExact(run_id, seq) FROM frames").result_rows
    assert [tuple(row) for row in stored] == [(frames, frames)]
    assert pod.world.faults.begun > 10, "and single calls fail all the time"
    _check_gaps(rehearsal, gaps)
    for span in rehearsal.undisturbed_closures:
        assert heartbeats(client, span) > 100
        assert asked_for(client, span) == [], f"the market was closed from {span[0]}"


def _check_gaps(rehearsal: Rehearsal, gaps: list[Gap]) -> None:
    """Each has its trouble, and each trouble of an open market its gaps, of both contracts."""
    of_trouble: dict[Trouble, set[str]] = {trouble: set() for trouble in rehearsal.troubles}
    for gap in gaps:
        trouble = gap.explained_by(rehearsal.troubles)
        assert trouble is not None, f"nothing explains {gap}"
        of_trouble[trouble].add(gap.contract)
    for trouble, contracts in of_trouble.items():
        if trouble.leaves_gaps:
            assert contracts == set(CONTRACTS), f"{trouble.kind} of {trouble.begin}"


def _told(rehearsal: Rehearsal, pod: VirtualPod, seen: Observed, gaps: list[Gap]) -> str:
    lines = [
        f"{trouble.begin:%a %H:%M} {trouble.kind:8} live {seen.back_after(trouble.end):5.0f} s "
        f"after its end (at most {trouble.back:.0f})"
        for trouble in rehearsal.troubles
    ]
    seconds: Counter[str] = Counter()
    for gap in gaps:
        seconds[gap.cause] += round((gap.end - gap.begin).total_seconds())
    causes = ", ".join(f"{cause} {total} s" for cause, total in sorted(seconds.items()))
    return "\n".join(
        [
            *lines,
            f"{len(seen.logins)} logins, at most {seen.most_logins_a_day()} in a day; "
            f"{pod.world.faults.begun} faults begun; {pod.spool.frames_written} frames stored",
            f"{len(gaps)} gaps of {len(CONTRACTS)} contracts, all explained: {causes}",
        ]
    )
