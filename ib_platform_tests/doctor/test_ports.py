"""Ports that are taken: by a real listener, by a real pod, or wanted twice."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform.config import PlatformConfig
from ib_platform.doctor.finding import Level
from ib_platform.doctor.ports import check_ports
from ib_platform.health import GatewayHealth
from ib_platform_tests.doctor.findings import levels, only
from ib_platform_tests.pod_processes import health_of, running, write_config
from ib_platform_tests.support import make_config, wait_until

SECRET = "an-argument-that-nobody-should-read"


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path / "state")


def test_all_are_free(config: PlatformConfig) -> None:
    found = only(check_ports(config))
    assert found.level is Level.OK
    assert f"all 7 are free: {config.paper_user('alpha').gateway_port}" in found.text


def test_a_listener_is_named_by_pid_and_command_without_its_arguments(
    config: PlatformConfig,
) -> None:
    port = config.paper_user("beta").gateway_port
    program = (
        "import socket, sys, time\n"
        f"s = socket.create_server(('127.0.0.1', {port}))\nprint('up', flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, SECRET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"up\n"
        found = only(check_ports(config))
        name = psutil.Process(other.pid).name()
        other.kill()
    assert found.level is Level.PROBLEM
    assert f"port {port} (gateway_port of paper user beta)" in found.text
    assert f"pid {other.pid} ({name})" in found.text
    assert SECRET not in f"{found}"


def test_this_process_is_not_the_platform(config: PlatformConfig) -> None:
    with socket.create_server(("127.0.0.1", config.clickhouse.port)):
        found = only(check_ports(config))
    assert found.level is Level.PROBLEM
    assert f"pid {os.getpid()}" in found.text


def test_ports_of_running_pods_are_theirs(config: PlatformConfig, tmp_path: Path) -> None:
    user = config.paper_user("alpha")
    with running("gateway", write_config(config, tmp_path)) as supervisor:
        wait_until(
            lambda: (
                (health := health_of(user.gateway_health_port, GatewayHealth)) is not None
                and health.program_pid is not None
            ),
            "the gateway program",
        )

        def both_listen() -> bool:
            return len(list(check_ports(config))) == 2

        wait_until(both_listen, "the gateway's port")
        found = list(check_ports(config))
        assert supervisor.stop() == 0
    assert levels(found) == [Level.OK, Level.OK]
    assert f"pid {supervisor.pid}" in found[1].text
    assert f"pid {supervisor.pid}" not in found[0].text, "its child listens"


def test_a_pod_of_another_paper_user_is_somebody_else(
    config: PlatformConfig, tmp_path: Path
) -> None:
    beta = config.paper_user("beta")
    data = config.model_dump()
    alpha = data["paper_users"][0] | {"gateway_health_port": beta.gateway_health_port}
    data["paper_users"] = [alpha]
    data["contracts"] = data["contracts"][:1]
    file = write_config(PlatformConfig(**data), tmp_path)
    with running("gateway", file) as supervisor:
        wait_until(
            lambda: health_of(beta.gateway_health_port, GatewayHealth) is not None, "the supervisor"
        )
        found = [f for f in check_ports(config) if str(beta.gateway_health_port) in f.text]
        assert supervisor.stop() == 0
    assert levels(found) == [Level.PROBLEM]


def test_a_pod_of_another_configuration_is_somebody_else(
    config: PlatformConfig, tmp_path: Path
) -> None:
    """The demo's pod on the port that mine needs: mine cannot start."""
    file = write_config(config, tmp_path)
    port = str(config.paper_user("alpha").gateway_health_port)
    with running("gateway", file):
        user = config.paper_user("alpha")
        wait_until(
            lambda: health_of(user.gateway_health_port, GatewayHealth) is not None, "the supervisor"
        )
        mine = [f for f in check_ports(config, file) if port in f.text]
        theirs = [f for f in check_ports(config, tmp_path / "other.yaml") if port in f.text]
    assert (levels(mine), levels(theirs)) == ([Level.OK], [Level.PROBLEM])


def test_two_that_want_one_port(config: PlatformConfig) -> None:
    data = config.model_dump()
    data["clickhouse"]["port"] = config.paper_user("alpha").health_port
    problem, free = check_ports(PlatformConfig(**data))
    assert levels([problem, free]) == [Level.PROBLEM, Level.OK]
    assert "health_port of paper user alpha and clickhouse.port" in problem.text
