"""``ib-platform simulate`` and ``ib-platform fault`` as a person uses them: real processes."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import PlatformConfig, dump_config
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.scenario_library import scenario_names
from ib_platform_tests.ports import free_port, free_port_range
from ib_platform_tests.simulator.test_process import port_answers
from ib_platform_tests.support import make_config, wait_until

MINE = """\
name: mine
description: Denied at once.
at_ibkr: Access Denied.
faults:
  - {fault: access_denied, at: 0, paper_user: first}
"""


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    if result.exception is not None:
        assert isinstance(result.exception, SystemExit), result.exception
    return result


@dataclass
class Running:
    """A simulator process, its configuration file and what it said when it was ready."""

    process: subprocess.Popen[str]
    config: PlatformConfig
    config_file: Path
    said: str

    def fault(self, *arguments: str) -> Result:
        return run("fault", *arguments, "--config", str(self.config_file))

    def state(self) -> Any:
        return json.loads(self.fault("--state").stdout)

    def tickle(self, paper_user: str) -> int:
        return asyncio.run(self._tickle(paper_user))

    async def _tickle(self, paper_user: str) -> int:
        port = self.config.paper_user(paper_user).gateway_port
        paths = PodPaths(self.config.runtime.state_dir, paper_user)
        context = client_ssl_context(paths.certificate)
        url = f"https://127.0.0.1:{port}/v1/api/tickle"
        async with aiohttp.ClientSession() as http, http.get(url, ssl=context) as answer:
            return answer.status


@contextmanager
def simulating(folder: Path, *arguments: str, lines: int, **simulator: Any) -> Iterator[Running]:
    """``ib-platform simulate`` once it has printed so many lines; it has to end well."""
    config = make_config(folder, gateway={"simulator": simulator})
    config_file = folder / "ib_platform.yaml"
    config_file.write_text(dump_config(config))
    command = [sys.executable, "-m", "ib_platform.cli", "simulate", "--config", str(config_file)]
    process = subprocess.Popen(
        [*command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        try:
            assert process.stdout is not None
            said = "".join(process.stdout.readline() for _ in range(lines))
            yield Running(process, config, config_file, said)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
            assert process.returncode == 0
        finally:
            if process.poll() is None:
                process.kill()


def test_all_paper_users_in_one_process(tmp_path: Path) -> None:
    upstream = free_port()
    with simulating(tmp_path, "--upstream-port", str(upstream), lines=4) as running:
        for user in running.config.paper_users:
            assert f"of {user.name} on https://127.0.0.1:{user.gateway_port}" in running.said
            assert running.tickle(user.name) == 200
        assert f"behind a gateway on http://127.0.0.1:{upstream}" in running.said
        assert port_answers(upstream)
        assert "control of the simulation on http://127.0.0.1:" in running.said
        assert [user["paper_user"] for user in running.state()["users"]] == ["alpha", "beta"]
    assert not list(tmp_path.rglob("simulator.json")), "its note goes with it"


def test_a_fault_by_hand(tmp_path: Path) -> None:
    with simulating(tmp_path, lines=3) as running:
        begun = running.fault("access_denied", "--paper-user", "beta", "--set", "status=404")
        assert begun.stdout == (
            "fault 1: access_denied of paperb02 status=404, until it is cleared\n"
        )
        assert (running.tickle("alpha"), running.tickle("beta")) == (200, 404)
        again = running.fault("silent_ladder", "--symbol", "CL", "--for", "5m")
        assert "silent_ladder for CL, 300 s" in again.stdout
        assert "over at once" in running.fault("websocket_closed").stdout
        denied, silent = running.fault("--active").stdout.splitlines()
        assert denied == "fault 1: access_denied of paperb02 status=404, until it is cleared"
        assert re.fullmatch(r"fault 2: silent_ladder for CL, [0-9.]+ s left", silent)
        assert "2 faults ended" in running.fault("--clear").stdout
        assert running.tickle("beta") == 200
        played = running.fault("--play", "penalty_box").stdout
        assert (
            played == "playing penalty_box, 2 faults; not in a running simulator: its behaviour\n"
        )
        assert "scenario penalty_box stopped" in running.fault("--clear").stdout


def test_a_fault_takes_the_port_away_and_gives_it_back(tmp_path: Path) -> None:
    with simulating(tmp_path, lines=3) as running:
        port = running.config.paper_user("alpha").gateway_port
        running.fault("gateway_down", "--paper-user", "alpha")
        wait_until(lambda: not port_answers(port), "the port is away")
        assert running.tickle("beta") == 200
        running.fault("--clear")
        wait_until(lambda: port_answers(port), "the port is back")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["half_opn"], "did you mean 'half_open'"),
        (["half_open", "--set", "code=1"], "no parameter of that name"),
        (["half_open", "--set", "code"], "NAME=VALUE"),
        (["half_open", "--for", "soon"], "is no duration"),
        (["half_open", "--symbol", "CL"], "cannot be limited to a symbol"),
        (["silent_ladder", "--symbol", "XX"], "known: CL"),
        (["half_open", "--paper-user", "gamma"], "known: alpha, beta"),
        (["--play", "nope"], "flaky_evening"),
        (["--play", "gateway_crash"], "did you mean 'gateway_crashes'"),
        (["--play", "./mine.yaml"], "only those of the platform can be played"),
        (["heartbeat_skew", "--set", "skew=1e308"], "between -1e+06 and 1e+06"),
    ],
)
def test_a_wrong_fault_is_one_clear_error(
    arguments: list[str], words: str, shared: Running
) -> None:
    done = shared.fault(*arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stderr.startswith("ib-platform: ")
    assert shared.fault("--active").stdout == "no fault is active\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with simulating(tmp_path_factory.mktemp("shared"), lines=3) as running:
        yield running


def test_a_scenario_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(MINE)
    with simulating(tmp_path, lines=4, scenario="mine.yaml") as running:
        assert "scenario mine: Denied at once." in running.said
        wait_until(lambda: running.tickle("alpha") == 403, "its fault")
        assert running.tickle("beta") == 200


def test_what_the_command_line_changes(tmp_path: Path) -> None:
    options = ["--logged-out", "--time-scale", "1000", "--start", "2026-11-20T21:55:00Z"]
    with simulating(tmp_path, *options, "--scenario", "not_entitled", lines=4) as running:
        assert running.tickle("alpha") == 401
        state = running.state()
        began = datetime.fromisoformat(state["clock"]["now"]) - timedelta(
            seconds=state["clock"]["elapsed"]
        )
        assert abs(began - datetime(2026, 11, 20, 21, 55, tzinfo=UTC)) < timedelta(seconds=1)
        wait_until(lambda: running.state()["clock"]["elapsed"] > 600, "ten minutes have passed")


def test_one_paper_user_with_a_control_port_of_its_own(tmp_path: Path) -> None:
    first = free_port_range(2)
    with simulating(tmp_path, "--paper-user", "beta", lines=2, control_port=first) as running:
        assert f"control of the simulation on http://127.0.0.1:{first + 1}" in running.said
        assert not port_answers(running.config.paper_user("alpha").gateway_port)
        done = running.fault("--active", "--paper-user", "alpha")
        assert done.exit_code == 6
        assert "no simulator runs for alpha" in done.stderr
        direct = run("fault", "--active", "--control-port", str(first + 1))
        assert direct.exit_code == 0


def test_a_killed_simulator_leaves_a_note_that_nobody_believes(tmp_path: Path) -> None:
    with simulating(tmp_path, lines=3) as running:
        os.kill(running.process.pid, signal.SIGKILL)
        running.process.wait(60)
        assert list(tmp_path.rglob("simulator.json"))
        done = running.fault("half_open")
        assert done.exit_code == 6
        assert "no simulator runs" in done.stderr
        running.process.returncode = 0


@pytest.mark.prints_simulated_passwords
def test_the_built_in_paper_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("IB_PLATFORM_CONFIG", raising=False)
    done = run("fault", "half_open")
    assert done.exit_code == 6
    assert str(tmp_path / ".ib_platform" / "simulator" / "pods" / "alpha") in done.stderr
    served: list[PlatformConfig] = []
    monkeypatch.setattr(
        "ib_platform.simulator.program.serve", lambda config, *_, **__: served.append(config)
    )
    done = run("simulate")
    assert "username papera01, password simulated-papera01" in done.stdout
    assert [user.gateway_port for user in served[0].paper_users] == [5000, 5010]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--scenario", "nope"], "--list-scenarios"),
        (["--port", "7777"], "--port belongs to one gateway"),
        (["--certificate", "x"], "--certificate belongs to one gateway"),
        (["--start", "tomorrow"], "--start tomorrow: no date and time with zone"),
        (["--start", "2026-11-20T21:55:00"], "with zone"),
        (["--time-scale", "0"], "--time-scale"),
        (["--paper-user", "gamma"], "known: alpha, beta"),
        (["--control-port", "0"], "--control-port"),
        (["--time-scale", "inf"], "--time-scale"),
        (["--time-scale", "nan"], "--time-scale"),
        (["--speed", "nan"], "--speed: not a finite number"),
        (["--max-pause", "inf"], "--max-pause: not a finite number"),
        (["--start", "9999-12-31T23:59:50+00:00"], "the simulated calendar"),
        (["--paper-user", "alpha", "--certificate", "mine.pem"], "belong together"),
    ],
)
def test_wrong_options_are_one_clear_error(
    tmp_path: Path, arguments: list[str], words: str
) -> None:
    config_file = tmp_path / "ib_platform.yaml"
    config_file.write_text(dump_config(make_config(tmp_path)))
    done = run("simulate", "--config", str(config_file), *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.output


@pytest.mark.parametrize(
    "arguments",
    [[], ["half_open", "--clear"], ["--active", "--state"], ["half_open", "--play", "holiday"]],
)
def test_fault_wants_one_thing_at_a_time(arguments: list[str]) -> None:
    done = run("fault", *arguments)
    assert done.exit_code == 2
    assert "name one KIND of fault" in done.stderr


def test_the_lists() -> None:
    kinds = run("fault", "--list").stdout
    assert all(kind.value in kinds for kind in FaultKind)
    assert "retakes=0" in kinds
    scenarios = run("simulate", "--list-scenarios").stdout
    assert all(name in scenarios for name in scenario_names())
