"""Two schedules: the open date is refreshed all the time, a closed one is finalized.

Both are RUNNING from the first minute. Neither does the work: each yields runs, which the UI shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from ib_platform.errors import PlatformError
from ib_platform.orchestration.partitions import (
    KEY_FORMAT,
    PARTITION_TAG,
    open_partition_key,
)
from ib_platform.orchestration.resources import PLATFORM

REFRESH_RUNS_KEPT = timedelta(hours=1)
FINALIZE_AT_ONCE = 5
_PURGED_AT_ONCE = 20
_ACTIVE = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

refresh_open_date_job = dg.define_asset_job(
    "refresh_open_date_job",
    # Without checks: at this rate their events would fill the event log.
    selection=dg.AssetSelection.assets("bars", "quality_report").without_checks(),
    executor_def=dg.in_process_executor,
    description="Bars and the preliminary quality report of a date that is still open.",
)
finalize_date_job = dg.define_asset_job(
    "finalize_date_job",
    # The record's own checks are named: frames are external, no run of ours makes them.
    selection=dg.AssetSelection.assets("depth", "bars", "quality_report", "rolls")
    | dg.AssetSelection.checks(
        dg.AssetCheckKey(dg.AssetKey("frames"), "frames_verified"),
        dg.AssetCheckKey(dg.AssetKey("frames"), "nothing_quarantined"),
    ),
    executor_def=dg.in_process_executor,
    description="Depth, bars, quality report and all checks of a trade date; then the rolls.",
)


@dg.schedule(
    job=refresh_open_date_job,
    cron_schedule="* * * * *",
    execution_timezone="America/Chicago",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=(
        "Ticks every minute; refreshes the open trade date every 5 minutes, or every minute with "
        "limits.refresh_open_date_every: 1 (the demo)."
    ),
)
def refresh_open_date(
    context: dg.ScheduleEvaluationContext,
) -> dg.RunRequest | dg.SkipReason:
    """The interval is read from the configuration at every tick, not when the code is loaded."""
    now = context.scheduled_execution_time.astimezone(UTC)
    try:
        every = PLATFORM.config().limits.refresh_open_date_every
    except PlatformError as error:
        return dg.SkipReason(str(error))
    if now.minute % every:
        return dg.SkipReason(f"refreshes every {every} minutes")
    purge_refresh_runs(context.instance, now - REFRESH_RUNS_KEPT)
    if _active_partitions(context.instance, refresh_open_date_job.name):
        return dg.SkipReason("the last refresh has not ended yet")
    key = open_partition_key(now)
    return dg.RunRequest(run_key=f"{key}:{now:%Y-%m-%dT%H:%M}", partition_key=key)


@dg.schedule(
    job=finalize_date_job,
    # 16:40: ten minutes after the border the spools have long been loaded. Hourly: late data, and
    # dates whose run failed.
    cron_schedule=["40 16 * * 1-5", "10 * * * *"],
    execution_timezone="America/Chicago",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="One run per closed trade date that has no final build, or whose record changed.",
)
def finalize_date(
    context: dg.ScheduleEvaluationContext,
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Oldest dates first, a few at once: a long history must not fill the queue."""
    from ib_platform.warehouse.due import dates_needing_revision

    now = context.scheduled_execution_time.astimezone(UTC)
    try:
        with PLATFORM.client("finalize_date") as client:
            due = [f"{day:{KEY_FORMAT}}" for day in dates_needing_revision(client, now)]
    except PlatformError as error:
        yield dg.SkipReason(str(error))
        return
    active = _active_partitions(context.instance, finalize_date_job.name)
    keys = [key for key in due if key not in active][:FINALIZE_AT_ONCE]
    if not keys:
        yield dg.SkipReason("every closed trade date is final" if not due else "still running")
    for key in keys:
        yield dg.RunRequest(run_key=f"{key}:{now:%Y-%m-%dT%H:%M}", partition_key=key)


def purge_refresh_runs(instance: dg.DagsterInstance, before: datetime) -> int:
    """Delete successful refresh runs created before ``before``, but never the newest run.

    Each costs some 160 kB of event log and is superseded by the next. Returns how many went.
    """
    newest = instance.get_run_records(
        dg.RunsFilter(job_name=refresh_open_date_job.name, statuses=[dg.DagsterRunStatus.SUCCESS]),
        limit=1,
    )
    old = instance.get_run_records(
        dg.RunsFilter(
            job_name=refresh_open_date_job.name,
            statuses=[dg.DagsterRunStatus.SUCCESS],
            created_before=before,
        ),
        limit=_PURGED_AT_ONCE,
        ascending=True,
    )
    kept = {record.dagster_run.run_id for record in newest}
    purged = [r.dagster_run.run_id for r in old if r.dagster_run.run_id not in kept]
    for run_id in purged:
        instance.delete_run(run_id)
    return len(purged)


def _active_partitions(instance: dg.DagsterInstance, job_name: str) -> set[str]:
    """Partition keys of runs of ``job_name`` that have not ended."""
    records = instance.get_run_records(dg.RunsFilter(job_name=job_name, statuses=_ACTIVE))
    return {record.dagster_run.tags.get(PARTITION_TAG, "") for record in records}


jobs = [refresh_open_date_job, finalize_date_job]
schedules = [refresh_open_date, finalize_date]
