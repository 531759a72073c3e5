"""A paper user whose login turns out to be live: not one market-data request is sent."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse
from ib_platform.errors import LiveAccountError
from ib_platform.health import GatewayHealth
from ib_platform.simulator.behaviour import LoginPageParameters
from ib_platform.states import PodState
from ib_platform_tests.failures.bench import TRADED, Bench, logged_out, pod_bench
from ib_platform_tests.pod_processes import health_of

OF_SESSIONS = {
    "/tickle",
    "/iserver/auth/status",
    "/sso/validate",
    "/one/user",
    "/iserver/accounts",
    "/logout",
}
LIVE = {"kind": "live", "account": "U2000001"}


@pytest.mark.parametrize("logged_in", [True, False], ids=["found logged in", "logged in by us"])
@pytest.mark.parametrize(
    "who", [LIVE, LIVE | {"account": "DU1000001"}], ids=["live account", "paper account"]
)
async def test_nothing_is_requested_but_the_proof(
    tmp_path: Path, warehouse: ClickHouse, who: dict[str, Any], logged_in: bool
) -> None:
    # With its switch the page refuses a live user by itself, which is another barrier.
    no_switch = replace(TRADED, login_page=LoginPageParameters(toggle=False))
    behaviour = no_switch if logged_in else logged_out(no_switch)
    async with pod_bench(tmp_path, warehouse, behaviour, who_logs_in=who) as bench:

        def refused() -> GatewayHealth | None:
            health = health_of(bench.user.gateway_health_port, GatewayHealth)
            return health if health and health.state is PodState.REFUSED_LIVE else None

        health = await bench.until(refused, "the refusal")
        assert health is not None
        assert health.alarm is not None
        assert "not provably a paper login" in health.alarm

        await bench.until(lambda: "/logout" in _paths(bench), "the logout")
        made = bench.login.made
        # The streamer has found out by itself, or finds nobody logged in and goes on looking.
        assert bench.streamer.process.poll() in (None, LiveAccountError.exit_code)
        health = await bench.until(refused, "the same answer")
        assert bench.login.made == made <= 1
    assert _paths(bench) <= OF_SESSIONS
    assert bench.world.sent(bench.user.username).summary()["frames_sent"] == 0


def _paths(bench: Bench) -> set[str]:
    """Everything that anybody has asked the simulator for."""
    return {path.removeprefix("/v1/api") for _, path, _ in bench.requests.seen}
