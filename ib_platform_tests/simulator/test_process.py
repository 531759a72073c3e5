"""The simulator as a process: ready lines, signals, taken port, orphans."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ib_platform.config import PlatformConfig, dump_config
from ib_platform.errors import ConfigurationError, PlatformInUseError
from ib_platform.paths import PodPaths
from ib_platform.simulator.program import GatewaySeat, serve
from ib_platform_tests.support import make_config, wait_until

PROGRAM = """
import sys
from pathlib import Path
from ib_platform.config import load_config
from ib_platform.simulator.program import GatewaySeat, serve
parent = int(sys.argv[2]) if len(sys.argv) > 2 else None
config = load_config(Path(sys.argv[1]))
serve(config, [GatewaySeat.of(config, "alpha")], parent_pid=parent)
"""


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path)


@contextmanager
def process_of(config: PlatformConfig, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A simulator process; killed if the test leaves it running."""
    file = config.runtime.state_dir / "ib_platform.yaml"
    file.write_text(dump_config(config))
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(file), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def ready_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def port_answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_line_for_each_port_when_ready_and_a_clean_end(
    config: PlatformConfig, number: int
) -> None:
    port = config.paper_user("alpha").gateway_port
    with process_of(config) as process:
        line = ready_line(process)
        assert f"https://127.0.0.1:{port}" in line
        assert "alpha" in line
        assert "control of the simulation on http://127.0.0.1:" in ready_line(process)
        assert port_answers(port)
        process.send_signal(number)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert output == ""
    assert errors == ""
    assert not port_answers(port)


def test_it_listens_on_loopback_only(config: PlatformConfig) -> None:
    with process_of(config) as process:
        ready_line(process)
        listening = [
            connection.laddr
            for connection in psutil.Process(process.pid).net_connections()
            if connection.status == psutil.CONN_LISTEN
        ]
        assert {address.ip for address in listening} == {"127.0.0.1"}
        assert len(listening) == 2, "the gateway and the control endpoint"


def test_the_pods_own_certificate_is_made(config: PlatformConfig) -> None:
    paths = PodPaths(config.runtime.state_dir, "alpha")
    with process_of(config) as process:
        ready_line(process)
        assert paths.certificate.exists()
        assert paths.private_key.stat().st_mode & 0o777 == 0o600


def test_the_ready_line_tells_what_is_played(config: PlatformConfig) -> None:
    with process_of(config) as process:
        assert "a synthetic market" in ready_line(process)


def test_a_taken_port_is_one_clear_error(config: PlatformConfig) -> None:
    port = config.paper_user("alpha").gateway_port
    with socket.socket() as owner:
        owner.bind(("127.0.0.1", port))
        owner.listen()
        with pytest.raises(PlatformInUseError, match=f"port {port} .* papera01"):
            serve(config, [GatewaySeat.of(config, "alpha")])


def test_an_unknown_paper_user(config: PlatformConfig) -> None:
    with pytest.raises(ConfigurationError, match="known: alpha, beta"):
        GatewaySeat.of(config, "gamma")


def test_an_orphan_ends_by_itself(config: PlatformConfig) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as parent:
        with process_of(config, str(parent.pid)) as process:
            ready_line(process)
            assert process.poll() is None
            parent.kill()
            wait_until(lambda: process.poll() is not None, "the simulator's end")
            assert process.returncode == 0
        assert parent.stdin is not None


def test_without_a_parent_at_all_it_ends_at_once(config: PlatformConfig) -> None:
    gone = subprocess.run([sys.executable, "-c", "pass"], check=True)
    assert gone.returncode == 0
    absent = max(psutil.pids()) + 100_000
    with process_of(config, str(absent)) as process:
        process.communicate(timeout=60)
        assert process.returncode == 0


def test_a_killed_simulator_can_be_started_again_at_once(config: PlatformConfig) -> None:
    for _ in range(2):
        with process_of(config) as process:
            assert "https://" in ready_line(process)
            os.kill(process.pid, signal.SIGKILL)
            process.wait(60)
