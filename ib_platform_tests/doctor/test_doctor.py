"""The command as a process, against real pods and a real ClickHouse."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.doctor.clickhouse import check_clickhouse
from ib_platform.doctor.finding import Level
from ib_platform.doctor.pods import check_pods
from ib_platform_tests.doctor.findings import levels, only, script
from ib_platform_tests.ibkr.tiny_gateway import tiny_gateway
from ib_platform_tests.pod_processes import running, write_config
from ib_platform_tests.simulator.client import TIMEOUT
from ib_platform_tests.streamer.app_bench import assign, config_for, streaming
from ib_platform_tests.support import make_config, wait_until

SECRET = "corect-horse-9"


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state")


def doctor(file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ib_platform.cli", "doctor", "--config", str(file)]
    command += ["--ntp-server", "time.invalid", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)


def findings(file: Path) -> dict[str, list[dict[str, Any]]]:
    """What it tells machines, by check."""
    found: dict[str, list[dict[str, Any]]] = {}
    for finding in json.loads(doctor(file, "--json").stdout)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


def test_a_machine_without_problems(config: PlatformConfig, tmp_path: Path) -> None:
    done = doctor(write_config(config, tmp_path))
    assert done.returncode == 0, done.stdout
    assert done.stderr == ""
    assert " 0 problems" in done.stdout


def test_a_configuration_that_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "ib_platform.yaml"
    file.write_text("paper_users: 5\n")
    done = doctor(file)
    assert done.returncode == 1
    assert "paper_users" in done.stdout
    assert "Traceback" not in done.stderr


def test_problems_are_told_and_secrets_are_not(config: PlatformConfig, tmp_path: Path) -> None:
    password = tmp_path / "password"
    password.write_text(SECRET)
    password.chmod(0o644)
    data = config.model_dump()
    java = script(tmp_path / "java", "echo 'java version \"1.7.0_80\"' >&2")
    data["gateway"] = {"program": "java", "java": {"folder": tmp_path, "java": str(java)}}
    data["paper_users"][0]["credentials"] = {"password_file": password}
    data["clickhouse"]["password_file"] = password
    file = write_config(PlatformConfig(**data), tmp_path)
    for options in ([], ["--json"]):
        done = doctor(file, *options)
        assert done.returncode == 1
        assert SECRET not in done.stdout + done.stderr
    found = findings(file)
    assert [f["level"] for f in found["java"]] == ["problem", "problem"]
    assert "has mode 0644: others may use it" in found["clickhouse"][0]["text"]
    assert found["clickhouse"][0]["remedy"] == f"Run `chmod 600 {password}`."
    assert all(f["remedy"] for each in found.values() for f in each if f["level"] != "ok")


def test_clickhouse_with_and_without_its_schema(
    warehouse: ClickHouse, config: PlatformConfig
) -> None:
    def with_clickhouse(settings: ClickHouse) -> PlatformConfig:
        return PlatformConfig(**{**config.model_dump(), "clickhouse": settings.model_dump()})

    answers, schema = check_clickhouse(with_clickhouse(warehouse))
    assert levels([answers, schema]) == [Level.OK, Level.OK]
    assert "version " in answers.text
    empty = warehouse.model_copy(update={"database": "never_made"})
    _, schema = check_clickhouse(with_clickhouse(empty))
    assert schema.level is Level.PROBLEM
    assert "0001_record.sql" in schema.text
    assert schema.remedy == "Run `ib-platform migrate`."
    wrong = warehouse.model_copy(update={"username": "nobody"})
    refused = only(check_clickhouse(with_clickhouse(wrong)))
    assert refused.level is Level.PROBLEM
    assert "refused" in refused.text


def test_an_embedded_server_that_does_not_run_is_a_warning_and_a_server_a_problem(
    config: PlatformConfig,
) -> None:
    assert only(check_clickhouse(config)).level is Level.WARNING
    data = config.model_dump()
    data["clickhouse"] |= {"embedded_folder": None, "password_file": None}
    assert only(check_clickhouse(PlatformConfig(**data))).level is Level.PROBLEM


def test_running_pods_speak_for_themselves(tmp_path: Path, warehouse: ClickHouse) -> None:
    config = config_for(tmp_path, warehouse)
    user, file = config.paper_user("alpha"), write_config(config, tmp_path)
    with running("gateway", file), running("stream", file) as streamer:
        wait_until(lambda: levels(check_pods(config))[1] is Level.WARNING, "an idle streamer")
        idle = list(check_pods(config))[1]
        assert "has its session and does not stream (AUTHENTICATED" in idle.text
        assert "ib-platform rebalance" in idle.text
        assign(warehouse)
        streaming(user, streamer)
        gateway, alpha, *beta = check_pods(config)
        found = findings(file)
        assert streamer.stop() == 0
    assert levels([gateway, alpha]) == [Level.OK, Level.OK]
    assert "gateway of alpha is" in gateway.text or "gateway of alpha has" in gateway.text
    assert alpha.text.startswith("streamer of alpha streams (STREAMING: ")
    assert [f.text for f in beta] == [
        "gateway of beta: not running",
        "streamer of beta: not running",
    ]
    assert {f["level"] for f in found["ports"]} == {"ok"}
    assert {f["level"] for f in found["clickhouse"]} == {"ok"}


async def test_a_gateway_is_asked_nothing(config: PlatformConfig, tmp_path: Path) -> None:
    user, file = config.paper_user("alpha"), write_config(config, tmp_path)
    async with tiny_gateway(tmp_path, user.gateway_port) as gateway:
        done = await asyncio.to_thread(doctor, file)
        assert done.returncode == 1, "somebody else holds the port"
        assert gateway.requests == []
