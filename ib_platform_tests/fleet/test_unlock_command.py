"""``ib-platform unlock`` does nothing to a pod that is not locked: a restart costs a login."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from ib_platform.cli import main
from ib_platform.config import PlatformConfig
from ib_platform.fleet.probe import unlocked_state
from ib_platform.health import GatewayHealth
from ib_platform.paths import PodPaths
from ib_platform.states import PodState
from ib_platform_tests.pod_processes import health_of, running, write_config
from ib_platform_tests.support import make_config, wait_until


def _authenticated(config: PlatformConfig) -> bool:
    health = health_of(config.paper_user("alpha").gateway_health_port, GatewayHealth)
    return health is not None and health.state is PodState.AUTHENTICATED


def test_a_healthy_pod_is_left_alone(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    file = write_config(config, tmp_path)
    assert unlocked_state(config, "alpha") is None, "nobody answers"
    with running("gateway", file) as supervisor:
        wait_until(lambda: _authenticated(config), "a session")
        said = CliRunner().invoke(main, ["unlock", "alpha", "--config", str(file)])
        assert supervisor.process.poll() is None
    assert said.exit_code == 0
    assert said.output == "pod alpha is not locked (AUTHENTICATED): nothing was done\n"
    assert not PodPaths(tmp_path, "alpha").unlock_token.exists()
