"""The fleet sensor: look at all pods, decide purely, request runs that act.

A tick only looks and decides; its calls are bounded by ``limits.health_timeout``. All state is in
the cursor. A pod that a run is acting on, or queued for, is left alone.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg

from ib_platform.errors import ConfigurationError
from ib_platform.fleet.decide import Policy, decide
from ib_platform.fleet.memory import dump_memory, load_memory
from ib_platform.orchestration.jobs import launch_pod, restart_pod
from ib_platform.orchestration.pod_reports import check_evaluation, frames_reports, run_request
from ib_platform.orchestration.runtime import open_fleet
from ib_platform.orchestration.standing import results_said_again

_ACTING_JOBS = frozenset({"launch_pod", "restart_pod", "retire_pod", "drain_spool"})
_WAITING = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED)
_GOING = (
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
)
_LONGEST_RUN = timedelta(minutes=5)


# The daemon wakes every 5 s: an interval just below makes every wake-up a tick.
@dg.sensor(
    jobs=[launch_pod, restart_pod],
    minimum_interval_seconds=4,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Keeps one healthy pod per paper user: looks at all, decides, requests runs.",
)
def pod_fleet(context: dg.SensorEvaluationContext) -> dg.SensorResult:
    """One tick: observe all pods, decide, request launch_pod and restart_pod, report on change."""
    try:
        fleet = open_fleet()
    except ConfigurationError as error:
        return dg.SensorResult(skip_reason=f"no usable configuration: {error}")
    users = fleet.paper_users
    # Ask for runs first: one that ends between the two questions leaves a pod that is observed new.
    busy = paper_users_with_runs(context.instance, datetime.now(UTC))
    seen = fleet.observe()
    now = datetime.now(UTC)
    memory = load_memory(context.cursor, now)
    decision = decide(users, seen, memory, now, Policy.of(fleet.config.limits), busy)
    memory, reports = frames_reports(decision, seen, now)
    standing = results_said_again(context.instance) if reports else []
    evaluation = check_evaluation(decision.verdicts)
    requests = [run_request(action, memory.epoch) for action in decision.actions]
    told = "\n".join(str(verdict) for verdict in decision.verdicts)
    return dg.SensorResult(
        run_requests=requests,
        skip_reason=None if requests else told,
        cursor=dump_memory(memory),
        asset_events=[*reports, *standing, *([] if evaluation is None else [evaluation])],
    )


def paper_users_with_runs(instance: dg.DagsterInstance, now: datetime) -> set[str]:
    """Paper users that an unfinished run acts on, whoever requested it.

    A run that waits to start counts however long it waits: a stalled queue gets no second run of
    the same pod. One that started more than five minutes ago does not: its process was killed with
    Dagster itself.
    """
    users: set[str] = set()
    for job in sorted(_ACTING_JOBS):
        of_job = dg.RunsFilter(job_name=job, statuses=[*_WAITING, *_GOING])
        for record in instance.get_run_records(of_job):
            if _counts(record, now):
                ops: Any = record.dagster_run.run_config["ops"]
                users.update(str(op["config"]["paper_user"]) for op in ops.values())
    return users


def _counts(record: dg.RunRecord, now: datetime) -> bool:
    if record.dagster_run.status in _WAITING:
        return True
    # Before the run's own process reports its start, the record's last change is the launch.
    started = record.start_time or record.update_timestamp.timestamp()
    return started > (now - _LONGEST_RUN).timestamp()


sensors = [pod_fleet]
