"""A snapshot of what Dagster shows: assets, checks, jobs, schedules, sensors, as plain JSON.

``python -m ib_platform_tests.orchestration.specs`` writes specs.json anew; read its diff.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import dagster as dg

SNAPSHOT = Path(__file__).with_name("specs.json")
UPDATE = "python -m ib_platform_tests.orchestration.specs"


def describe(repository: dg.RepositoryDefinition) -> dict[str, Any]:
    """Everything named, with what a person sees of it, in a stable order."""
    graph = repository.asset_graph
    assets = {key.to_user_string(): _asset(graph.get(key)) for key in graph.get_all_asset_keys()}
    checks = {
        f"{key.asset_key.to_user_string()}:{key.name}": _check(graph.get_check_spec(key))
        for key in graph.asset_check_keys
    }
    jobs = {job.name: _job(job) for job in repository.get_all_jobs() if _is_ours(job.name)}
    schedules = {schedule.name: _schedule(schedule) for schedule in repository.schedule_defs}
    sensors = {sensor.name: _sensor(sensor) for sensor in repository.sensor_defs}
    return {
        "assets": assets,
        "checks": checks,
        "jobs": jobs,
        "schedules": schedules,
        "sensors": sensors,
    }


def _is_ours(job: str) -> bool:
    return not job.startswith("__")


def _asset(node: Any) -> dict[str, Any]:
    return {
        "description": _first_line(node.description),
        "group": node.group_name,
        "kinds": sorted(node.kinds),
        "owners": sorted(node.owners),
        "parents": sorted(key.to_user_string() for key in node.parent_keys),
        "partitions": None if node.partitions_def is None else type(node.partitions_def).__name__,
        "executable": node.is_executable,
        "freshness": node.freshness_policy is not None,
    }


def _check(spec: dg.AssetCheckSpec) -> dict[str, Any]:
    return {"description": _first_line(spec.description), "blocking": spec.blocking}


def _job(job: dg.JobDefinition) -> dict[str, Any]:
    ops = sorted(node.name for node in job.nodes)
    return {
        "description": _first_line(job.description),
        "executor": job.executor_def.name,
        "ops": ops,
        "tags": dict(sorted(job.tags.items())),
    }


def _schedule(schedule: dg.ScheduleDefinition) -> dict[str, Any]:
    return {
        "cron": schedule.cron_schedule,
        "timezone": schedule.execution_timezone,
        "job": schedule.job_name,
        "default_status": schedule.default_status.value,
        "description": _first_line(schedule.description),
    }


def _sensor(sensor: dg.SensorDefinition) -> dict[str, Any]:
    return {
        "seconds": sensor.minimum_interval_seconds,
        "jobs": sorted(target.job_name for target in sensor.targets),
        "default_status": sensor.default_status.value,
        "description": _first_line(sensor.description),
    }


def _first_line(text: str | None) -> str | None:
    return text.strip().splitlines()[0] if text else None


def as_json(found: dict[str, Any]) -> str:
    return json.dumps(found, indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    from ib_platform.definitions import defs

    SNAPSHOT.write_text(as_json(describe(defs().get_repository_def())), encoding="utf-8")
    print(f"wrote {SNAPSHOT}")
