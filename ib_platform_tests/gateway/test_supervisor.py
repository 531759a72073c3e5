"""The supervisor as a real process, with the simulator as its gateway program."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from pathlib import Path

import psutil
import pytest

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.health import GatewayHealth
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.states import PodState
from ib_platform_tests.gateway.supervised import supervisor_of
from ib_platform_tests.ibkr.tiny_gateway import TinyGateway, logged_in, tiny_gateway
from ib_platform_tests.pod_processes import (
    PodProcess,
    health_of,
    http_get,
    running,
    wait_gone,
    write_config,
)
from ib_platform_tests.support import make_config, wait_until


@pytest.fixture
def config(tmp_path: Path) -> PlatformConfig:
    return make_config(tmp_path)


@pytest.fixture
def user(config: PlatformConfig) -> PaperUser:
    return config.paper_user("alpha")


def _authenticated(user: PaperUser, process: PodProcess) -> GatewayHealth:
    def look() -> GatewayHealth | None:
        code = process.process.poll()
        assert code is None, f"the supervisor ended with {code}: {process.output()[-2000:]}"
        health = health_of(user.gateway_health_port, GatewayHealth)
        return health if health and health.state is PodState.AUTHENTICATED else None

    health = wait_until(look, "an authenticated gateway")
    assert health is not None
    return health


def test_it_initialises_the_session_answers_probes_and_stops_cleanly(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    with running("gateway", write_config(config, tmp_path)) as gateway:
        health = _authenticated(user, gateway)
        port = user.gateway_health_port
        assert http_get(port, "/startup") == (200, b"ok\n")
        assert http_get(port, "/live") == (200, b"ok\n")
        assert http_get(port, "/ready") == (200, b"ok\n")
        assert http_get(port, "/logout") == (404, b"404: Not Found")
        refused = http_get(port, "/status", method="POST")
        assert refused is not None
        assert refused[0] == 405
        assert health.paper_user == "alpha"
        assert health.pid == gateway.pid
        assert health.program_starts == 1
        assert health.program_pid is not None
        program = psutil.Process(health.program_pid)
        assert gateway.stop() == 0
        wait_gone(program, "the gateway program")
        assert http_get(port, "/live") is None
        assert "logout failed" not in gateway.output()
    key = PodPaths(tmp_path, "alpha").private_key
    assert key.stat().st_mode & 0o077 == 0


def test_it_stops_on_ctrl_c_too(config: PlatformConfig, user: PaperUser, tmp_path: Path) -> None:
    with running("gateway", write_config(config, tmp_path)) as gateway:
        _authenticated(user, gateway)
        assert gateway.stop(signal.SIGINT) == 0


def test_a_killed_program_is_started_again_and_authenticated_again(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    with running("gateway", write_config(config, tmp_path)) as gateway:
        first = _authenticated(user, gateway)
        assert first.program_pid is not None
        psutil.Process(first.program_pid).kill()

        def started_again() -> bool:
            health = health_of(user.gateway_health_port, GatewayHealth)
            return health is not None and health.program_starts == 2

        wait_until(started_again, "a second start of the program")
        second = _authenticated(user, gateway)
        assert second.program_pid not in (None, first.program_pid)
        assert gateway.stop() == 0


def test_the_program_does_not_outlive_a_killed_supervisor(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    with running("gateway", write_config(config, tmp_path)) as gateway:
        health = _authenticated(user, gateway)
        assert health.program_pid is not None
        program = psutil.Process(health.program_pid)
        gateway.stop(signal.SIGKILL)
        wait_gone(program, "the gateway program after kill -9 of its supervisor")


def test_it_waits_for_the_port_before_it_starts_the_program(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", user.gateway_port)) as squatter:
        answering = threading.Thread(target=_refuse_everybody, args=(squatter,), daemon=True)
        answering.start()
        with running("gateway", write_config(config, tmp_path)) as gateway:
            wait_until(lambda: "is still taken" in gateway.output(), "the warning about the port")
            health = health_of(user.gateway_health_port, GatewayHealth)
            assert health is None or health.program_starts == 0
            squatter.shutdown(socket.SHUT_RDWR)
            squatter.close()
            assert _authenticated(user, gateway).program_starts == 1
            assert gateway.stop() == 0


def _refuse_everybody(server: socket.socket) -> None:
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


def test_a_port_that_stays_taken_ends_it_with_a_clear_error(
    user: PaperUser, config: PlatformConfig, tmp_path: Path
) -> None:
    impatient = config.model_copy(
        update={"limits": config.limits.model_copy(update={"start_budget": 0.5})}
    )
    with (
        socket.create_server(("127.0.0.1", user.gateway_port)),
        running("gateway", write_config(impatient, tmp_path)) as gateway,
    ):
        assert gateway.process.wait(60) == 3
        assert f"gateway port {user.gateway_port} has been taken" in gateway.output()


def test_a_second_sidecar_of_a_paper_user_is_refused_whatever_its_ports(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    """The login record belongs to one process: two would each spend all the logins."""
    with running("gateway", write_config(config, tmp_path)) as gateway:
        _authenticated(user, gateway)
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir()
        others = make_config(tmp_path)  # the same state folder, other ports
        with running("gateway", write_config(others, elsewhere)) as second:
            assert second.process.wait(60) == 3
            assert "another gateway supervisor of this paper user runs" in second.output()
        assert gateway.stop() == 0


def test_a_health_port_that_is_taken_ends_it_and_leaves_nothing(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    with (
        socket.create_server(("127.0.0.1", user.gateway_health_port)),
        running("gateway", write_config(config, tmp_path)) as gateway,
    ):
        assert gateway.process.wait(60) == 3
        assert str(user.gateway_health_port) in gateway.output()
        with socket.create_server(("127.0.0.1", user.gateway_port)):
            pass  # free: no program was left behind


@pytest.mark.parametrize("login_type", [1, 3])
async def test_a_live_login_is_logged_out_at_once_and_never_retried(
    config: PlatformConfig, user: PaperUser, tmp_path: Path, login_type: int
) -> None:
    paths = PodPaths(tmp_path, "alpha")
    async with tiny_gateway(paths.folder, user.gateway_port) as live:
        live.answers = logged_in(login_type, False, "U1")
        tls = client_ssl_context(paths.certificate)
        async with GatewayClient(user.gateway_port, tls) as client:
            supervisor = supervisor_of(config, user, tmp_path, client)
            running_supervisor = asyncio.create_task(supervisor.run())

            def refused() -> GatewayHealth | None:
                health = health_of(user.gateway_health_port, GatewayHealth)
                return health if health and health.state is PodState.REFUSED_LIVE else None

            assert await asyncio.to_thread(wait_until, refused, "the refusal")
            await asyncio.to_thread(wait_until, lambda: _paths(live)[-1:] == ["/logout"], "logout")
            supervisor.ask_to_stop()
            await running_supervisor
    assert _paths(live).count("/sso/validate") == 1
    assert _paths(live)[-1] == "/logout"


NOT_YET = {"authenticated": False, "competing": False, "connected": False}


@pytest.mark.parametrize("before", [NOT_YET, NOT_YET | {"connected": True}])
async def test_a_login_is_proven_paper_as_far_as_possible_before_it_is_initialised(
    config: PlatformConfig, user: PaperUser, tmp_path: Path, before: dict[str, bool]
) -> None:
    paths = PodPaths(tmp_path, "alpha")
    async with tiny_gateway(paths.folder, user.gateway_port) as gateway:
        gateway.answers = logged_in(2, True, user.account)
        ready = gateway.answers["/iserver/auth/status"]
        gateway.answers["/iserver/auth/status"] = (200, before)
        gateway.answers["/iserver/auth/ssodh/init"] = (200, before)
        gateway.reactions["/iserver/auth/ssodh/init"] = lambda: gateway.answers.update(
            {"/iserver/auth/status": ready}
        )
        health = await _supervised(config, user, tmp_path, PodState.AUTHENTICATED)
    assert health.state is PodState.AUTHENTICATED
    asked = [p for p in _paths(gateway) if p.startswith(("/sso", "/iserver/a")) and "st" not in p]
    assert asked == ["/sso/validate", "/iserver/auth/ssodh/init", "/iserver/accounts"]


async def test_a_live_login_is_never_initialised(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    paths = PodPaths(tmp_path, "alpha")
    async with tiny_gateway(paths.folder, user.gateway_port) as gateway:
        gateway.answers = logged_in(1, False, "U1")
        gateway.answers["/iserver/auth/status"] = (200, NOT_YET)
        await _supervised(config, user, tmp_path, PodState.REFUSED_LIVE)
    assert "/iserver/auth/ssodh/init" not in _paths(gateway)
    assert "/logout" in _paths(gateway)


async def test_a_login_that_nobody_can_judge_yet_is_not_ready(
    config: PlatformConfig, user: PaperUser, tmp_path: Path
) -> None:
    paths = PodPaths(tmp_path, "alpha")
    async with tiny_gateway(paths.folder, user.gateway_port) as gateway:
        gateway.answers = logged_in(2, True, user.account)
        gateway.answers["/sso/validate"] = (200, "")
        health = await _supervised(config, user, tmp_path, PodState.SSO_ONLY)
    assert "has not said yet" in health.reason
    assert _paths(gateway).count("/sso/validate") == 1


async def _supervised(
    config: PlatformConfig, user: PaperUser, tmp_path: Path, state: PodState
) -> GatewayHealth:
    """Supervise a scripted gateway until the state is reached, then stop in order."""
    certificate = PodPaths(tmp_path, "alpha").certificate
    async with GatewayClient(user.gateway_port, client_ssl_context(certificate)) as client:
        supervisor = supervisor_of(config, user, tmp_path, client)
        supervising = asyncio.create_task(supervisor.run())

        def reached() -> GatewayHealth | None:
            health = health_of(user.gateway_health_port, GatewayHealth)
            return health if health and health.state is state else None

        health = await asyncio.to_thread(wait_until, reached, state.value)
        supervisor.ask_to_stop()
        await supervising
    assert health is not None
    return health


def _paths(gateway: TinyGateway) -> list[str]:
    return [path for _, path, _ in gateway.requests]
