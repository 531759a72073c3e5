"""The sidecar as a process that logs in by itself, with real Chromium, at a simulated gateway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ib_platform.config import PlatformConfig
from ib_platform.health import GatewayHealth
from ib_platform.paths import PodPaths
from ib_platform.simulator.users import simulated_password
from ib_platform.states import PodState
from ib_platform_tests.pod_processes import PodProcess, health_of, running, write_config
from ib_platform_tests.secret_watch import WATCH
from ib_platform_tests.support import make_config, wait_until

USERNAME = "papera01"


@pytest.fixture
def configured(tmp_path: Path) -> Callable[..., PlatformConfig]:
    """A configuration whose simulator waits for a login, and the password in a file."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "alpha").touch(mode=0o600)
    (secrets / "alpha").write_text(simulated_password(USERNAME))

    def configure(scenario: str | None = None, **session: Any) -> PlatformConfig:
        simulator: dict[str, Any] = {"logged_in": False}
        if scenario is not None:
            told = "name: drill\ndescription: a drill\nat_ibkr: never\n"
            (tmp_path / "scenario.yaml").write_text(told + scenario)
            simulator["scenario"] = str(tmp_path / "scenario.yaml")
        # The hour of the day must not matter: in IBKR's own nightly outage nobody logs in.
        policy = {"expected_outages": [], **session}
        config = make_config(tmp_path, gateway={"simulator": simulator, "session": policy})
        data = config.model_dump()
        data["paper_users"][0]["credentials"] = {"password_file": secrets / "alpha"}
        return PlatformConfig(**data)

    return configure


def _until(config: PlatformConfig, gateway: PodProcess, state: PodState) -> GatewayHealth:
    port = config.paper_user("alpha").gateway_health_port

    def look() -> GatewayHealth | None:
        code = gateway.process.poll()
        assert code is None, f"the sidecar ended with {code}: {gateway.output()[-2000:]}"
        health = health_of(port, GatewayHealth)
        WATCH.look_at_arguments(psutil.Process(gateway.pid))
        return health if health and health.state is state else None

    health = wait_until(look, state.value, timeout=120)
    assert health is not None
    return health


def test_it_logs_in_and_the_browser_is_gone_afterwards(
    configured: Callable[..., PlatformConfig], tmp_path: Path
) -> None:
    config = configured()
    with running("gateway", write_config(config, tmp_path)) as gateway:
        health = _until(config, gateway, PodState.AUTHENTICATED)
        assert health.logins_in_a_day == 1
        assert health.cures["log_in"] == 1
        assert health.alarm is None
        names = [child.name() for child in gateway.children()]
        assert not [name for name in names if "chrom" in name or name == "node"], names
        assert gateway.stop() == 0
    assert "login submitted" in gateway.output()
    assert not PodPaths(tmp_path, "alpha").login_failures.exists()


def test_a_wrong_password_locks_until_it_is_corrected_and_unlocked(
    configured: Callable[..., PlatformConfig], tmp_path: Path
) -> None:
    config = configured(failed_logins=1)
    file, paths = write_config(config, tmp_path), PodPaths(tmp_path, "alpha")
    password = tmp_path / "secrets" / "alpha"
    right = password.read_text()
    password.write_text("wrong, and never to be seen")
    WATCH.learn("wrong, and never to be seen")
    with running("gateway", file) as gateway:
        health = _until(config, gateway, PodState.LOCKED)
        assert health.alarm is not None
        assert "Invalid username password combination" in health.alarm

        def ended() -> bool:
            seen = health_of(config.paper_user("alpha").gateway_health_port, GatewayHealth)
            return seen is not None and seen.program_pid is None

        wait_until(ended, "the end of the gateway program: a locked pod runs none")
        assert gateway.stop() == 0
    assert {file.suffix for file in paths.login_failures.iterdir()} == {".png", ".txt"}
    password.write_text(right)
    with running("gateway", file, name="again") as gateway:
        health = _until(config, gateway, PodState.LOCKED)
        assert health.logins_in_a_day == 1, "a restart does not try again"
        assert health.program_starts == 0
        assert gateway.stop() == 0
    unlocked = ("--unlock-token", "another")
    with running("gateway", file, name="unlocked", options=unlocked) as gateway:
        health = _until(config, gateway, PodState.AUTHENTICATED)
        assert health.logins_in_a_day == 2
        assert health.refused_logins == 0
        assert gateway.stop() == 0


def test_a_second_factor_for_a_paper_user_stops_it(
    configured: Callable[..., PlatformConfig], tmp_path: Path
) -> None:
    config = configured("behaviour: {login_page: {second_factor_for_paper: totp}}\n")
    with running("gateway", write_config(config, tmp_path)) as gateway:
        health = _until(config, gateway, PodState.LOCKED)
        assert health.alarm is not None
        assert "second factor" in health.alarm
        assert health.logins_in_a_day == 1
        assert gateway.stop() == 0


def test_the_totp_trap_is_found_out(
    configured: Callable[..., PlatformConfig], tmp_path: Path
) -> None:
    """The page says success, and the session never authenticates."""
    trap = f"users:\n  - {{username: {USERNAME}, authenticates: false}}\n"
    config = configured(trap, auth_grace=10)
    with running("gateway", write_config(config, tmp_path)) as gateway:
        port = config.paper_user("alpha").gateway_health_port

        def explained() -> GatewayHealth | None:
            health = health_of(port, GatewayHealth)
            told = health is not None and health.alarm is not None and "TOTP" in health.alarm
            return health if told else None

        health = wait_until(explained, "the explanation", timeout=120)
        assert health is not None
        assert health.state is PodState.SSO_ONLY
        assert gateway.stop() == 0


def test_a_chromium_that_is_not_there_is_an_alarm_and_no_login(
    configured: Callable[..., PlatformConfig], tmp_path: Path
) -> None:
    data = configured().model_dump()
    data["gateway"]["login"]["chromium"] = tmp_path / "no-chromium"
    config = PlatformConfig(**data)
    with running("gateway", write_config(config, tmp_path)) as gateway:
        port = config.paper_user("alpha").gateway_health_port

        def told() -> GatewayHealth | None:
            health = health_of(port, GatewayHealth)
            return health if health and health.alarm is not None else None

        health = wait_until(told, "the alarm", timeout=60)
        assert health is not None
        assert health.state is PodState.NO_SSO
        assert "no-chromium is no program" in str(health.alarm)
        assert health.logins_in_a_day == 0
        assert gateway.stop() == 0
