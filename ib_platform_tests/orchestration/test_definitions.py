"""What Dagster loads: everything, in a fresh clone, exactly as the snapshot says."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import dagster as dg
import pytest
import yaml

import ib_platform
from ib_platform.config import CONFIG_VARIABLE
from ib_platform.definitions import defs
from ib_platform_tests.orchestration.specs import SNAPSHOT, UPDATE, as_json, describe

PROJECT = Path(ib_platform.__file__).parents[1]
FLEET_JOBS = {"launch_pod", "restart_pod", "retire_pod", "unlock_pod", "rebalance"}


@pytest.fixture(scope="module")
def repository() -> dg.RepositoryDefinition:
    return defs().get_repository_def()


def test_definitions_are_valid_as_a_whole() -> None:
    dg.Definitions.validate_loadable(defs())


def test_specs_are_those_of_the_snapshot(repository: dg.RepositoryDefinition) -> None:
    found = as_json(describe(repository))
    expected = SNAPSHOT.read_text(encoding="utf-8")
    assert json.loads(found) == json.loads(expected), f"if this is wanted: {UPDATE}"
    assert found == expected


def test_everything_is_described(repository: dg.RepositoryDefinition) -> None:
    for kind, items in describe(repository).items():
        for name, item in items.items():
            assert item["description"], f"{kind} {name} has no description"


def test_what_must_run_from_the_first_minute_does(repository: dg.RepositoryDefinition) -> None:
    found = describe(repository)
    for kind in ("schedules", "sensors"):
        assert {item["default_status"] for item in found[kind].values()} == {"RUNNING"}
    assert found["sensors"]["pod_fleet"]["jobs"] == ["launch_pod", "restart_pod"]


def test_jobs_of_the_fleet_run_in_one_process(repository: dg.RepositoryDefinition) -> None:
    jobs = describe(repository)["jobs"]
    assert set(jobs) >= FLEET_JOBS
    assert {jobs[name]["executor"] for name in FLEET_JOBS} == {"in_process"}


def test_a_fresh_clone_without_configuration_loads(tmp_path: Path) -> None:
    environment = {key: value for key, value in os.environ.items() if key != CONFIG_VARIABLE}
    subprocess.run(
        [
            sys.executable,
            "-W",
            "error::UserWarning",
            "-c",
            "import ib_platform.definitions as d; d.defs()",
        ],
        cwd=tmp_path,
        env=environment,
        check=True,
    )


def test_dg_check_defs_passes() -> None:
    dg_command = shutil.which("dg", path=str(Path(sys.executable).parent))
    assert dg_command is not None
    answer = subprocess.run(
        [dg_command, "check", "defs"], cwd=PROJECT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_instance_file_is_what_the_design_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(PROJECT / "dagster.yaml", tmp_path / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    with dg.DagsterInstance.get() as instance:
        assert not instance.telemetry_enabled
        assert not instance.nux_enabled
        assert instance.run_monitoring_enabled
        assert instance.run_retries_max_retries == 1
        queue = instance.get_concurrency_config().run_queue_config
        assert queue is not None
        limits = {
            (limit["key"], "value" in limit): limit["limit"]
            for limit in queue.tag_concurrency_limits
        }
        assert limits["paper_user", True] == limits["dagster/partition", True] == 1
        # However many dates are compacted, two runs of the fleet find a place at once.
        assert 1 < limits["dagster/partition", False] <= queue.max_concurrent_runs - 2
        assert instance.get_settings("sensors")["use_threads"]
        assert instance.get_settings("freshness")["enabled"]
        assert instance.run_coordinator.dequeue_interval_seconds == 1
    assert "storage" not in yaml.safe_load((PROJECT / "dagster.yaml").read_text())


def test_workspace_and_project_file_name_the_same_module() -> None:
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["tool"]["dg"]["project"]
    module = workspace["load_from"][0]["python_module"]
    assert module["module_name"] == project["code_location_target_module"]
    assert module["location_name"] == project["code_location_name"]
