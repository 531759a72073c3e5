"""The fleet sensor as Dagster evaluates it, over real processes."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import msgspec
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)

from ib_platform.config import CONFIG_VARIABLE, dump_config
from ib_platform.fleet.decide import Decision, Policy, decide
from ib_platform.fleet.memory import FleetMemory, load_memory
from ib_platform.fleet.pods import Container, PodObservation
from ib_platform.orchestration.jobs import launch_pod, restart_pod, retire_pod
from ib_platform.orchestration.pod_reports import check_evaluation, frames_reports, pods_healthy
from ib_platform.orchestration.runtime import open_fleet
from ib_platform.orchestration.sensors import paper_users_with_runs, pod_fleet
from ib_platform.states import PodState
from ib_platform_tests.fleet.observations import GONE, T0, at, pod, streamer_health
from ib_platform_tests.fleet.pods import Pods, end_everything
from ib_platform_tests.support import make_config

# Dagster queues only what it could load again elsewhere.
REPOSITORY = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("ib_platform"), "__repository__")


@pytest.fixture
def pods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pods]:
    created = Pods.create(tmp_path)
    monkeypatch.setenv(CONFIG_VARIABLE, str(created.config_file))
    yield created
    end_everything(created)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as ephemeral:
        yield ephemeral


def tick(instance: dg.DagsterInstance, cursor: str | None = None) -> dg.SensorResult:
    with dg.build_sensor_context(instance=instance, cursor=cursor) as context:
        result = pod_fleet(context)
    assert isinstance(result, dg.SensorResult)
    return result


def skip_text(result: dg.SensorResult) -> str:
    assert isinstance(result.skip_reason, dg.SkipReason)
    return result.skip_reason.skip_message or ""


def requests_of(result: dg.SensorResult) -> list[dg.RunRequest]:
    return list(result.run_requests or [])


def test_without_configuration_the_tick_says_what_to_do(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "missing.yaml"))
    result = tick(instance, cursor="kept")
    assert "no usable configuration" in skip_text(result)
    assert "missing.yaml" in skip_text(result)
    assert result.cursor is None


def test_absent_pods_are_launched_by_runs_that_dagster_accepts(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    result = tick(instance)
    requests = requests_of(result)
    assert [request.job_name for request in requests] == ["launch_pod", "launch_pod"]
    assert [request.tags["paper_user"] for request in requests] == ["alpha", "beta"]
    for request in requests:
        assert dg.validate_run_config(launch_pod, request.run_config)
        # Who retires the pod while this waits in the queue has the last word.
        assert request.run_config["ops"]["launch"]["config"]["end_retirement"] is False
    epoch = json.loads(result.cursor or "")["epoch"]
    assert requests[0].run_key == f"alpha:1:1:{epoch}"
    (check,) = result.asset_events
    assert isinstance(check, dg.AssetCheckEvaluation)
    assert (check.check_name, check.passed) == ("pods_healthy", False)
    assert set(check.metadata) == {"alpha", "beta"}


def test_a_killed_streamer_leads_to_a_restart_of_that_scope(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    for user in ("alpha", "beta"):
        pods.runtime.launch(user)
    for user in ("alpha", "beta"):
        pods.wait_settled(user)
    quiet = tick(instance)
    assert requests_of(quiet) == []
    assert skip_text(quiet).splitlines()[0].startswith("alpha: STREAMING, 0 contracts, 3 frames")
    pods.kill("alpha", Container.STREAMER)
    result = tick(instance, quiet.cursor)
    (request,) = requests_of(result)
    assert request.job_name == "restart_pod"
    assert request.tags["scope"] == "streamer"
    assert request.tags["attempt"] == request.tags["incident"] == "1"
    assert request.run_config["ops"]["restart"]["config"]["scope"] == "streamer"
    assert dg.validate_run_config(restart_pod, request.run_config)
    # The next tick waits for the backoff and tells nothing twice.
    again = tick(instance, result.cursor)
    assert requests_of(again) == []
    assert "attempt 2 in" in skip_text(again)
    assert again.asset_events == []


def test_healthy_pods_are_reported_once_a_minute(pods: Pods, instance: dg.DagsterInstance) -> None:
    pods.runtime.launch("alpha")
    pods.wait_settled("alpha")
    first = tick(instance)
    reports = [e for e in first.asset_events if isinstance(e, dg.AssetMaterialization)]
    assert [report.metadata["paper_user"].value for report in reports] == ["alpha"]
    assert reports[0].metadata["frames_stored"].value == 3
    assert tick(instance, first.cursor).asset_events == []


def test_what_a_run_found_about_frames_outlives_the_reports(
    pods: Pods, instance: dg.DagsterInstance
) -> None:
    @dg.asset_check(asset="frames", description="As the run of finalize_date writes it.")
    def nothing_quarantined() -> dg.AssetCheckResult:
        return dg.AssetCheckResult(
            passed=False, description="alpha: refused", metadata={"batches": 2}
        )

    pods.runtime.launch("alpha")
    pods.wait_settled("alpha")
    first = tick(instance)
    kinds = [type(event) for event in first.asset_events]
    assert kinds == [dg.AssetMaterialization, dg.AssetCheckEvaluation], "no run has found anything"
    job = dg.Definitions(asset_checks=[nothing_quarantined]).resolve_implicit_global_asset_job_def()
    run_id = job.execute_in_process(instance=instance).run_id
    assert tick(instance, first.cursor).asset_events == [], "nothing hides it yet"
    report, said, _ = tick(instance).asset_events
    assert isinstance(report, dg.AssetMaterialization)
    assert isinstance(said, dg.AssetCheckEvaluation)
    assert (said.check_name, said.passed, said.severity) == (
        "nothing_quarantined",
        False,
        dg.AssetCheckSeverity.ERROR,
    )
    assert said.description == "alpha: refused"
    assert {name: value.value for name, value in said.metadata.items()} == {
        "batches": 2,
        "evaluated_by": run_id,
    }
    instance.report_runless_asset_event(report)
    instance.report_runless_asset_event(said)
    again = [type(event) for event in tick(instance).asset_events]
    assert again == [dg.AssetMaterialization, dg.AssetCheckEvaluation], "once is enough"


def test_garbage_in_the_cursor_is_survived(pods: Pods, instance: dg.DagsterInstance) -> None:
    result = tick(instance, cursor="{broken")
    assert len(requests_of(result)) == 2
    assert load_memory(result.cursor, T0).of("alpha").incident == 1


@pytest.mark.parametrize("job", [launch_pod, restart_pod, retire_pod])
def test_a_pod_with_an_unfinished_run_is_left_alone(
    pods: Pods, instance: dg.DagsterInstance, job: dg.JobDefinition
) -> None:
    run_config = {"ops": {job.name.removesuffix("_pod"): {"config": {"paper_user": "alpha"}}}}
    # By hand, from the launchpad: without the sensor's tags.
    run = instance.create_run_for_job(
        job, run_config=run_config, status=dg.DagsterRunStatus.STARTED
    )
    result = tick(instance)
    assert [r.tags["paper_user"] for r in requests_of(result)] == ["beta"]
    instance.report_run_failed(run)
    assert len(requests_of(tick(instance))) == 2


def run_of(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> dg.DagsterRun:
    """A run of alpha's launch_pod. A queued one gets there as in life, by an event."""
    queued = status is dg.DagsterRunStatus.QUEUED
    run = instance.create_run_for_job(
        launch_pod,
        run_config={"ops": {"launch": {"config": {"paper_user": "alpha"}}}},
        status=dg.DagsterRunStatus.NOT_STARTED if queued else status,
        remote_job_origin=RemoteJobOrigin(REPOSITORY, "launch_pod"),
    )
    if queued:
        happens(instance, run, dg.DagsterEventType.RUN_ENQUEUED, datetime.now(UTC))
    return run


def happens(
    instance: dg.DagsterInstance, run: dg.DagsterRun, what: dg.DagsterEventType, at: datetime
) -> None:
    entry = dg.EventLogEntry(
        error_info=None,
        level=logging.INFO,
        user_message="",
        run_id=run.run_id,
        timestamp=at.timestamp(),
        job_name=run.job_name,
        dagster_event=dg.DagsterEvent(what.value, run.job_name),
    )
    instance.handle_new_event(entry)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED])
def test_a_run_that_waits_counts_however_long_the_queue_stalls(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    run = run_of(instance, status)
    now = datetime.now(UTC)
    assert paper_users_with_runs(instance, now) == {"alpha"}
    assert paper_users_with_runs(instance, now + timedelta(days=1)) == {"alpha"}
    instance.report_run_canceled(run)
    assert paper_users_with_runs(instance, now) == set()


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING])
def test_runs_of_a_dagster_that_was_killed_do_not_count_for_ever(
    instance: dg.DagsterInstance, status: dg.DagsterRunStatus
) -> None:
    run_of(instance, status)
    now = datetime.now(UTC)
    assert paper_users_with_runs(instance, now) == {"alpha"}
    assert paper_users_with_runs(instance, now + timedelta(minutes=6)) == set()


def test_the_time_in_the_queue_is_not_the_time_of_the_run(instance: dg.DagsterInstance) -> None:
    run = run_of(instance, dg.DagsterRunStatus.QUEUED)
    started = datetime.now(UTC) + timedelta(minutes=30)
    happens(instance, run, dg.DagsterEventType.RUN_START, started)
    assert paper_users_with_runs(instance, started + timedelta(minutes=4)) == {"alpha"}
    assert paper_users_with_runs(instance, started + timedelta(minutes=6)) == set()


def test_a_stalled_queue_gets_no_second_run(pods: Pods, instance: dg.DagsterInstance) -> None:
    run_of(instance, dg.DagsterRunStatus.QUEUED)
    result = tick(instance)
    assert [r.tags["paper_user"] for r in requests_of(result)] == ["beta"]


def test_other_jobs_do_not_keep_a_pod_busy(instance: dg.DagsterInstance) -> None:
    @dg.job
    def something_else() -> None:
        pass

    instance.create_run_for_job(something_else, status=dg.DagsterRunStatus.STARTED)
    assert paper_users_with_runs(instance, datetime.now(UTC)) == set()


def test_the_check_can_be_run_by_hand(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    pods.wait_settled("alpha")
    result = pods_healthy()
    assert isinstance(result, dg.AssetCheckResult)
    assert not result.passed
    assert "STREAMING" in str(result.metadata["alpha"].value)
    assert result.metadata["beta"].value == "the pod is absent", "nobody is acting on it"


def test_a_pod_that_the_plan_gives_nothing_is_marked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(tmp_path / "state", contracts=[{"symbol": "CL", "exchange": "NYMEX"}])
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    assert sorted(seen.spare for seen in open_fleet().observe()) == [False, True]


def decided(*seen: PodObservation, memory: FleetMemory | None = None) -> Decision:
    users = [observation.paper_user for observation in seen]
    return decide(users, seen, memory or FleetMemory(epoch=1), T0, Policy())


def test_one_check_covers_all_pods_and_speaks_on_change_only() -> None:
    first = decided(pod(), pod(paper_user="beta"))
    told = check_evaluation(first.verdicts)
    assert told is not None
    assert (told.passed, told.description) == (True, "every pod is well")
    second = decided(pod(), pod(paper_user="beta"), memory=first.memory)
    assert check_evaluation(second.verdicts) is None
    third = decided(pod(), pod(paper_user="beta", streamer_container=GONE), memory=second.memory)
    told = check_evaluation(third.verdicts)
    assert told is not None
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert told.description == str(third.verdicts[1])
    assert told.description.startswith("beta: ")


def test_what_passes_by_itself_is_a_warning() -> None:
    told = check_evaluation(decided(pod(PodState.MAINTENANCE)).verdicts)
    assert told is not None
    assert (told.passed, told.severity) == (False, dg.AssetCheckSeverity.WARN)


def with_frames(stored: int, run_id: str = "run") -> PodObservation:
    return replace(pod(), streamer_health=streamer_health(stored=stored, run_id=run_id))


def test_frames_are_reported_once_a_minute_and_only_when_more_were_stored() -> None:
    history = [
        (0, with_frames(0), 0),
        (5, with_frames(10), 1),
        (10, with_frames(20), 0),
        (65, with_frames(30), 1),
        (200, with_frames(30), 0),  # ClickHouse away, or no frames: the asset turns stale
        (260, with_frames(30, "another run"), 1),
        (400, pod(streamer_container=GONE), 0),
    ]
    memory = FleetMemory(epoch=1)
    for seconds, seen, expected in history:
        decision = decided(seen, memory=memory)
        memory, events = frames_reports(decision, [seen], at(seconds))
        assert len(events) == expected, seconds
        assert all(event.asset_key == dg.AssetKey("frames") for event in events)
    assert msgspec.json.decode(msgspec.json.encode(memory), type=FleetMemory) == memory


def test_a_lag_is_reported_where_there_is_one() -> None:
    seen = with_frames(10)
    assert seen.streamer_health is not None
    seen.streamer_health.loader.lag_seconds = 1.5
    _, (event,) = frames_reports(decided(seen), [seen], at(0))
    assert event.metadata["lag_seconds"].value == 1.5
