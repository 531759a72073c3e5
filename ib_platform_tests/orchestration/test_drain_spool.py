"""The job ``drain_spool`` over real pods, the real command and a real ClickHouse."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from ib_platform.config import CONFIG_VARIABLE, ClickHouse, dump_config
from ib_platform.errors import PlatformError
from ib_platform.fleet.draining import run_drain
from ib_platform.fleet.local import LocalRuntime
from ib_platform.orchestration import jobs, runtime
from ib_platform.orchestration.sensors import paper_users_with_runs
from ib_platform_tests.fleet.pods import Pods, end_everything, standin_command
from ib_platform_tests.orchestration.test_jobs import failure_of, metadata_of, run
from ib_platform_tests.ports import free_port
from ib_platform_tests.streamer.spools import died_run, events, open_spool, stored_seqs
from ib_platform_tests.support import make_config


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def pods(tmp_path: Path, warehouse: ClickHouse, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    """Stand-ins for gateway and streamer; the drain is the real command."""
    limits = {"start_budget": 60, "shutdown_deadline": 10, "health_timeout": 1}
    config = make_config(tmp_path / "state", clickhouse=warehouse.model_dump(), limits=limits)
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    standins = functools.partial(LocalRuntime, command_of=standin_command)
    monkeypatch.setattr(runtime, "LocalRuntime", standins)
    created = Pods(config, file, LocalRuntime(config, file, standin_command))
    yield created
    end_everything(created)


def test_a_retired_pods_frames_arrive(
    pods: Pods, instance: dg.DagsterInstance, warehouse: ClickHouse
) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    dead = died_run(pods.paths("alpha").spool, [b"x"] * 7)
    refused = failure_of(run(instance, jobs.drain_spool, paper_user="alpha", reason="a test"))
    assert isinstance(refused, str)
    assert f"streamer of pod alpha runs (pid {before.streamer.pid})" in refused
    assert "retire the pod first" in refused
    assert stored_seqs(warehouse, dead) == []
    assert run(instance, jobs.retire_pod, paper_user="alpha").success
    result = run(instance, jobs.drain_spool, paper_user="alpha", deadline=120)
    assert result.success
    assert f"{dead}: 7 frames loaded" in metadata_of(result)["loaded"]
    assert stored_seqs(warehouse, dead) == list(range(7))
    assert [detail["run_id"] for _, detail in events(warehouse, "run_recovered")] == [dead]
    assert pods.observe().retired, "a drain brings nobody back"
    again = run(instance, jobs.drain_spool, paper_user="alpha")
    assert "alpha: nothing to load" in metadata_of(again)["loaded"]


def test_a_streamer_that_the_runtime_does_not_know_is_named_by_its_lock(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    spool = open_spool(pods.paths("alpha").spool)
    refused = failure_of(run(instance, jobs.drain_spool, paper_user="alpha"))
    spool.close()
    assert isinstance(refused, str)
    assert "the spool is owned by process" in refused


def test_the_deadline_fails_the_run_and_says_what_is_left(
    tmp_path: Path, pods: Pods, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = pods.config.model_dump(mode="json")
    away["clickhouse"]["port"] = free_port()
    file = tmp_path / "away.yaml"
    file.write_text(dump_config(type(pods.config)(**away)), encoding="utf-8")
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    dead = died_run(pods.paths("alpha").spool, [b"x"] * 7)
    refused = failure_of(run(instance, jobs.drain_spool, paper_user="alpha", deadline=0.5))
    assert isinstance(refused, str)
    assert f"7 frames of {dead}" in refused
    assert "Nothing is lost" in refused


def test_an_unknown_paper_user_and_a_silly_deadline_are_refused(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    refused = failure_of(run(instance, jobs.drain_spool, paper_user="nobody"))
    assert "no paper user 'nobody'" in str(refused)
    result = run(instance, jobs.drain_spool, paper_user="alpha", deadline=-1.0)
    assert not result.success


def test_while_it_runs_the_sensor_leaves_the_pod_alone(instance: dg.DagsterInstance) -> None:
    config = {"ops": {"drain": {"config": {"paper_user": "beta"}}}}
    instance.create_run_for_job(
        jobs.drain_spool, run_config=config, status=dg.DagsterRunStatus.NOT_STARTED
    )
    assert paper_users_with_runs(instance, datetime.now(UTC)) == {"beta"}


def test_what_the_command_says_is_the_error(tmp_path: Path) -> None:
    with pytest.raises(PlatformError, match=r"^.*absent\.yaml: cannot be read"):
        run_drain(tmp_path / "absent.yaml", "alpha", 5)
