"""What the schedules ask for, and when they keep quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from ib_platform.config import CONFIG_VARIABLE, ClickHouse, Limits, dump_config
from ib_platform.definitions import defs
from ib_platform.orchestration.schedules import (
    finalize_date,
    purge_refresh_runs,
    refresh_open_date,
    refresh_open_date_job,
)
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.support import make_config
from ib_platform_tests.warehouse.recording import SECOND, Recorder, full

NOON = datetime(2026, 11, 18, 18, tzinfo=UTC)
SUCCESS = dg.DagsterRunStatus.SUCCESS


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as stored:
        yield stored


def configure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **overrides: Any) -> Any:
    config = make_config(tmp_path, **overrides)
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config))
    monkeypatch.setenv(CONFIG_VARIABLE, str(file))
    return config


def tick(schedule: Any, instance: dg.DagsterInstance, at: datetime) -> Any:
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=at, repository_def=defs().get_repository_def()
    )
    return schedule.evaluate_tick(context)


def keys(ticked: Any) -> list[str]:
    return [request.partition_key for request in ticked.run_requests]


@pytest.mark.parametrize(
    ("at", "key"),
    [
        (NOON, "2026-11-18"),
        (NOON + timedelta(hours=6), "2026-11-19"),
        (datetime(2026, 11, 21, 18, tzinfo=UTC), "2026-11-23"),
    ],
)
def test_the_open_date_is_refreshed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    instance: dg.DagsterInstance,
    at: datetime,
    key: str,
) -> None:
    configure(tmp_path, monkeypatch)
    assert keys(tick(refresh_open_date, instance, at)) == [key]


@pytest.mark.parametrize(("every", "minutes"), [(5, [0, 5, 10]), (1, list(range(12)))])
def test_the_configuration_says_how_often(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    instance: dg.DagsterInstance,
    every: Any,
    minutes: list[int],
) -> None:
    configure(tmp_path, monkeypatch, limits=Limits(refresh_open_date_every=every))
    asked = [
        minute
        for minute in range(12)
        if keys(tick(refresh_open_date, instance, NOON + timedelta(minutes=minute)))
    ]
    assert asked == minutes


def test_without_configuration_the_tick_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path / "nowhere.yaml"))
    for schedule in (refresh_open_date, finalize_date):
        assert "nowhere.yaml" in tick(schedule, instance, NOON).skip_message


def add_run(instance: dg.DagsterInstance, status: dg.DagsterRunStatus) -> str:
    job = defs().resolve_job_def(refresh_open_date_job.name)
    return instance.create_run_for_job(job, status=status).run_id


def test_refreshes_do_not_pile_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    configure(tmp_path, monkeypatch)
    add_run(instance, dg.DagsterRunStatus.STARTED)
    ticked = tick(refresh_open_date, instance, NOON)
    assert keys(ticked) == []
    assert "has not ended" in ticked.skip_message


def test_old_refresh_runs_are_purged_but_never_the_newest(instance: dg.DagsterInstance) -> None:
    runs = [add_run(instance, SUCCESS) for _ in range(3)]
    failed = add_run(instance, dg.DagsterRunStatus.FAILURE)
    assert purge_refresh_runs(instance, datetime.now(UTC) - timedelta(hours=1)) == 0
    assert purge_refresh_runs(instance, datetime.now(UTC) + timedelta(hours=1)) == 2
    left = {record.dagster_run.run_id for record in instance.get_run_records()}
    assert left == {runs[-1], failed}


def test_closed_dates_are_finalized_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    warehouse: ClickHouse,
    instance: dg.DagsterInstance,
) -> None:
    config = configure(tmp_path, monkeypatch, clickhouse=warehouse)
    client = connect(warehouse)
    recorder = Recorder("r")
    for day in range(8):
        recorder.ladder(to_ns(NOON) + day * 86_400 * SECOND, 1, full())
    recorder.insert(client)
    evening = NOON + timedelta(hours=4, minutes=40)
    assert keys(tick(finalize_date, instance, NOON)) == []
    assert keys(tick(finalize_date, instance, evening)) == ["2026-11-18"]
    week = evening + timedelta(days=14)
    assert keys(tick(finalize_date, instance, week)) == [
        "2026-11-18",
        "2026-11-19",
        "2026-11-20",
        "2026-11-23",
        "2026-11-24",
    ]
    finalize(client, config, NOON.date(), now=evening)
    ticked = tick(finalize_date, instance, evening)
    assert (keys(ticked), ticked.skip_message) == ([], "every closed trade date is final")
    client.close()


def test_a_database_that_is_away_is_a_skipped_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, instance: dg.DagsterInstance
) -> None:
    configure(tmp_path, monkeypatch, clickhouse={"port": 1})
    assert "ClickHouse" in tick(finalize_date, instance, NOON).skip_message


def test_both_run_from_the_first_minute() -> None:
    for schedule in (refresh_open_date, finalize_date):
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
        assert schedule.execution_timezone == "America/Chicago"
