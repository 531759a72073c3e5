"""kill -9 of a streamer and of ClickHouse during a demo: visible, survived, honest in the data."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import dagster as dg
import pytest

from ib_platform_tests.e2e.running_demo import RunningDemo


def restart_runs(demo: RunningDemo) -> list[dg.DagsterRun]:
    with dg.DagsterInstance.from_config(str(demo.folder / "dagster_home")) as instance:
        return list(instance.get_runs(dg.RunsFilter(job_name="restart_pod")))


@pytest.mark.timeout(900)
def test_kills_of_a_streamer_and_of_clickhouse(tmp_path: Path) -> None:
    with RunningDemo(tmp_path) as demo:
        before = demo.streaming_run("alpha")
        untouched = demo.streaming_run("beta")
        gateway = demo.processes("alpha")["gateway"]
        os.kill(demo.processes("alpha")["streamer"], signal.SIGKILL)
        demo.wait(lambda: demo.streaming_run("alpha") not in (None, before), "alpha to stream")
        assert demo.processes("alpha")["gateway"] == gateway, "the gateway and its login stay"
        demo.wait(lambda: any(run.is_success for run in restart_runs(demo)), "the run's success")
        (run,) = restart_runs(demo)
        assert run.tags["scope"] == "streamer"
        assert run.tags["paper_user"] == "alpha"

        second = demo.streaming_run("alpha")
        clickhouse = demo.clickhouse_pid()
        os.kill(clickhouse, signal.SIGKILL)
        demo.wait(lambda: demo.clickhouse_pid() != clickhouse, "demo to bring ClickHouse back")
        stored = {user: demo.stored(user) for user in ("alpha", "beta")}
        for user, frames in stored.items():
            demo.wait(lambda u=user, f=frames: demo.stored(u) > f, f"{user} to load again")
        assert demo.streaming_run("alpha") == second, "no pod is restarted because of ClickHouse"
        assert demo.streaming_run("beta") == untouched
        assert len(restart_runs(demo)) == 1
    assert demo.end() == 0, demo.said
    assert "clickhouse ended (killed by signal 9); starting it again" in demo.said
    summary = demo.summary()
    assert (summary["pods"]["alpha"]["runs"], summary["pods"]["beta"]["runs"]) == (2, 1)
    for name, pod in summary["pods"].items():
        assert pod["received"] == pod["spooled"] == pod["stored"], name
        assert pod["duplicates"] == 0, name
    gaps = summary["contracts"]["CL.NYMEX.front"]["gaps"]
    assert [gap[0] for gap in gaps] == ["streamer_died"], gaps
    assert gaps[0][1] > 0
    assert summary["contracts"]["ES.CME.front"]["gaps"] == []
    assert demo.survivors() == []
