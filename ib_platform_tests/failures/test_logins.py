"""Failures of logins in a real browser: state, alarm, lock, what a person does, event and gap."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.config_gateway import BrowserLogin
from ib_platform.health import GatewayHealth
from ib_platform.simulator.fault_spec import FaultKind
from ib_platform.simulator.users import simulated_password
from ib_platform.states import Cause, PodState, StreamEventKind
from ib_platform_tests.failures.bench import Bench, failure_bench
from ib_platform_tests.failures.document import note
from ib_platform_tests.failures.play import cases
from ib_platform_tests.failures.table_of_logins import OF_LOGINS, LoginFailure
from ib_platform_tests.figures import Figures
from ib_platform_tests.gateway.login_pods import browser_processes
from ib_platform_tests.pod_processes import health_of
from ib_platform_tests.secret_watch import WATCH
from ib_platform_tests.streamer.app_bench import CL, ES


@pytest.mark.parametrize("failure", cases(OF_LOGINS))
async def test_failure(
    failure: LoginFailure, tmp_path: Path, warehouse: ClickHouse, figures: Figures
) -> None:
    gateway = {"session": dict(failure.session), "login": dict(failure.login)}
    async with failure_bench(tmp_path, warehouse, browser=True, gateway=gateway) as bench:
        if failure.password is not None:
            WATCH.learn(failure.password)
            _password_file(bench).write_text(failure.password)
        if failure.fault is not None:
            bench.inject(failure.fault, None, None, **failure.parameters)
        began = time.monotonic()
        bench.inject(FaultKind.LOGIN_LOST)
        told = await bench.until(lambda: _told(bench, failure), failure.says, 180)
        noticed = time.monotonic() - began
        assert told is not None
        assert told.logins_in_a_day == failure.logins
        assert not browser_processes()
        if failure.state is PodState.LOCKED:
            await _restart_in_vain(bench, failure)
        bench.world.faults.clear()
        if failure.person is not None:
            await _be_the_person(bench)
        back = await bench.seconds_until(bench.all_live, "two live ladders again", 240)
        assert not browser_processes()
        health, events, gaps = await bench.end()
    played = f"told after {noticed:.1f} s, live {back:.1f} s after that; " + ", ".join(
        f"{gap.cause} {gap.seconds:.1f} s" for gap in gaps
    )
    figures(f"{failure.what}: {played}")
    assert noticed <= failure.noticed, played
    assert back <= failure.back, played
    assert health.logins_in_a_day == failure.logins + 1
    assert {(gap.contract, gap.cause) for gap in gaps} == {
        (key, Cause.SESSION_LOST.value) for key in (CL, ES)
    }, played
    changed = {event.cause for event in events if event.kind == StreamEventKind.SESSION_CHANGED}
    assert Cause.SESSION_LOST.value in changed
    note(failure.name, played)


def _told(bench: Bench, failure: LoginFailure) -> GatewayHealth | None:
    health = health_of(bench.user.gateway_health_port, GatewayHealth)
    told = health is not None and health.state is failure.state
    return health if told and failure.says in str(health and health.alarm) else None


async def _restart_in_vain(bench: Bench, failure: LoginFailure) -> None:
    """Another process finds the lock and tries nothing. (That a locked pod runs no gateway program
    is asserted where one runs: ``gateway/test_supervised_login.py``.)"""
    await bench.supervision.stop()
    bench.supervision.start()
    health = await bench.until(lambda: _told(bench, failure), "the same lock")
    assert health is not None
    assert health.logins_in_a_day == failure.logins


async def _be_the_person(bench: Bench) -> None:
    """Correct password and locators, then what ``ib-platform unlock`` does."""
    _password_file(bench).write_text(simulated_password(bench.user.username))
    await bench.supervision.stop()
    bench.supervision.start(_with_known_page(bench.config), "by a person")
    port = bench.user.gateway_health_port
    await bench.until(lambda: health_of(port, GatewayHealth), "the new supervisor")


def _with_known_page(config: PlatformConfig) -> PlatformConfig:
    gateway = config.gateway.model_copy(update={"login": BrowserLogin(page_timeout=60)})
    return config.model_copy(update={"gateway": gateway})


def _password_file(bench: Bench) -> Path:
    assert bench.user.credentials is not None
    assert bench.user.credentials.password_file is not None
    return bench.user.credentials.password_file
