"""The fleet's jobs, executed in process over real pods and a real ClickHouse."""

from __future__ import annotations

import functools
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ib_platform.config import CONFIG_VARIABLE, ClickHouse, PaperUser, dump_config
from ib_platform.fleet import local
from ib_platform.fleet.local import LocalRuntime
from ib_platform.fleet.local_containers import LocalContainers
from ib_platform.fleet.pods import Container, Phase
from ib_platform.orchestration import jobs, runtime
from ib_platform.warehouse.assignments import newest_assignment
from ib_platform.warehouse.connect import connect
from ib_platform_tests.fleet.pods import Pods, end_everything, standin_command
from ib_platform_tests.support import make_config


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    yield from _pods(Pods.create(tmp_path), monkeypatch)


@pytest.fixture
def hasty_pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    """Pods that have two seconds to start."""
    yield from _pods(Pods.create(tmp_path, start_budget=2), monkeypatch)


def _pods(created: Pods, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    monkeypatch.setenv(CONFIG_VARIABLE, str(created.config_file))
    standins = functools.partial(LocalRuntime, command_of=standin_command)
    monkeypatch.setattr(runtime, "LocalRuntime", standins)
    yield created
    end_everything(created)


def run(
    instance: dg.DagsterInstance, job: dg.JobDefinition, **config: str | bool | float
) -> dg.ExecuteInProcessResult:
    run_config: dict[str, Any] = {}
    if config:
        (op,) = job.nodes
        run_config = {"ops": {op.name: {"config": config}}}
    return job.execute_in_process(instance=instance, run_config=run_config, raise_on_error=False)


def failure_of(result: dg.ExecuteInProcessResult) -> dg.Failure | str:
    (event,) = [e for e in result.all_events if e.is_step_failure]
    failure = event.step_failure_data
    assert failure.user_failure_data is not None, failure.error
    return failure.user_failure_data.description or ""


def metadata_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    (event,) = [e for e in result.all_events if e.is_successful_output]
    return {key: value.value for key, value in event.step_output_data.metadata.items()}


def test_launch_waits_until_the_pod_answers(pods: Pods, instance: dg.DagsterInstance) -> None:
    result = run(instance, jobs.launch_pod, paper_user="alpha", reason="a test")
    assert result.success
    seen = pods.observe()
    assert seen.settled
    metadata = metadata_of(result)
    assert metadata["streamer"] == f"pid {seen.streamer.pid}"
    assert metadata["gateway_state"] == "STREAMING"
    assert metadata["waited_seconds"] >= 0


def test_launch_of_a_pod_that_runs_succeeds_and_starts_nothing(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    assert run(instance, jobs.launch_pod, paper_user="alpha").success
    assert pods.observe().streamer == before.streamer


def test_restart_of_the_streamer_leaves_the_gateway(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    pods.kill("alpha", Container.STREAMER)
    assert run(instance, jobs.restart_pod, paper_user="alpha", scope="streamer").success
    after = pods.observe()
    assert after.settled
    assert after.gateway == before.gateway
    assert run(instance, jobs.restart_pod, paper_user="alpha", scope="pod").success
    assert pods.observe().gateway.pid != before.gateway.pid


def test_an_unknown_scope_is_refused_before_anything_happens() -> None:
    config = {"ops": {"restart": {"config": {"paper_user": "alpha", "scope": "all"}}}}
    with pytest.raises(dg.DagsterInvalidConfigError, match="scope"):
        dg.validate_run_config(jobs.restart_pod, config)


def test_unlock_starts_the_pod_with_another_token(pods: Pods, instance: dg.DagsterInstance) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    assert run(instance, jobs.unlock_pod, paper_user="alpha").success
    assert pods.observe().gateway.pid != before.gateway.pid
    assert pods.paths("alpha").unlock_token.read_text().strip()


def test_retire_keeps_the_pod_stopped(pods: Pods, instance: dg.DagsterInstance) -> None:
    pods.runtime.launch("alpha")
    pods.wait_settled()
    assert run(instance, jobs.retire_pod, paper_user="alpha").success
    seen = pods.observe()
    assert seen.retired
    assert seen.gateway.phase is Phase.ABSENT


def test_a_queued_restart_does_not_bring_a_retired_pod_back(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    assert run(instance, jobs.retire_pod, paper_user="alpha").success
    result = run(instance, jobs.restart_pod, paper_user="alpha", scope="pod")
    assert "alpha is retired and stays stopped" in failure_of(result)
    asked_by_the_sensor = run(instance, jobs.launch_pod, paper_user="alpha", end_retirement=False)
    assert "alpha is retired and stays stopped" in failure_of(asked_by_the_sensor)
    assert pods.processes_left() == []
    assert run(instance, jobs.launch_pod, paper_user="alpha").success
    assert not pods.observe().retired


def test_two_runs_by_hand_never_act_on_one_pod_at_once(
    pods: Pods, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs from the launchpad have no tag that the queue could order them by."""
    pods.runtime.launch("alpha")
    pods.wait_settled()
    steps: list[int] = []

    class Recording(LocalContainers):
        def stop(self, paper_user: str, container: Container) -> str | None:
            steps.append(threading.get_ident())
            return super().stop(paper_user, container)

        def start_missing(self, user: PaperUser) -> list[Container]:
            steps.append(threading.get_ident())
            started = super().start_missing(user)
            steps.append(threading.get_ident())
            return started

    monkeypatch.setattr(local, "LocalContainers", Recording)

    def restart() -> bool:
        config = {"ops": {"restart": {"config": {"paper_user": "alpha", "scope": "pod"}}}}
        return jobs.restart_pod.execute_in_process(run_config=config, raise_on_error=False).success

    with ThreadPoolExecutor(max_workers=2) as pool:
        results = [future.result() for future in [pool.submit(restart) for _ in range(2)]]
    assert results == [True, True]
    assert len(list(itertools.groupby(steps))) == 2, "one after the other"
    assert len(set(steps)) == 2
    assert len(pods.processes_left()) == 2


def test_a_container_that_ends_at_once_fails_the_run_with_its_log(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    pods.behave("alpha", "streamer", "exit")
    result = run(instance, jobs.launch_pod, paper_user="alpha")
    assert not result.success
    assert "pod alpha ended" in failure_of(result)
    (event,) = [e for e in result.all_events if e.is_step_failure]
    data = event.step_failure_data.user_failure_data
    assert data is not None
    assert "told to exit" in str(data.metadata["log"].value)


def test_a_pod_without_a_session_fails_the_run_after_the_budget(
    hasty_pods: Pods, instance: dg.DagsterInstance
) -> None:
    hasty_pods.behave("alpha", "streamer", "NO_SSO")
    result = run(instance, jobs.launch_pod, paper_user="alpha")
    assert "pod alpha has no session" in failure_of(result)
    assert hasty_pods.observe().streamer.running


def test_a_missing_configuration_fails_with_what_to_do(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "nothing.yaml"))
    result = run(instance, jobs.launch_pod, paper_user="alpha")
    assert "nothing.yaml: cannot be read" in failure_of(result)


def test_an_unknown_paper_user_fails_by_name(pods: Pods, instance: dg.DagsterInstance) -> None:
    result = run(instance, jobs.retire_pod, paper_user="nobody")
    assert "no paper user 'nobody' in the configuration; known: alpha, beta" in failure_of(result)


def test_rebalance_writes_a_generation_once(
    warehouse: ClickHouse,
    instance: dg.DagsterInstance,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = make_config(tmp_path, clickhouse=warehouse.model_dump())
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    first = run(instance, jobs.rebalance)
    assert metadata_of(first)["generation"] == 1
    assert "| CL.NYMEX.front | alpha | always_open |" in str(metadata_of(first)["assignment"])
    assert metadata_of(run(instance, jobs.rebalance))["generation"] == "unchanged"
    client = connect(warehouse, role="tests")
    found = newest_assignment(client)
    client.close()
    assert found is not None
    assert found.contracts_of("beta") == ("ES.CME.front",)


def test_rebalance_without_clickhouse_fails_with_the_cure(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    assert "password" in failure_of(run(instance, jobs.rebalance))


@pytest.mark.parametrize("job", jobs.jobs, ids=lambda job: job.name)
def test_every_job_is_described_down_to_its_fields(job: dg.JobDefinition) -> None:
    assert job.description
    assert job.executor_def is dg.in_process_executor
    for node in job.nodes:
        fields = getattr(node.definition.config_schema.config_type, "fields", {})
        assert all(field.description for field in fields.values())
