"""The pod runtime of ops and sensors: read late, so that definitions load without configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ib_platform.config import PlatformConfig, find_config, load_config
from ib_platform.errors import ConfigurationError
from ib_platform.fleet.local import LocalRuntime
from ib_platform.fleet.plan import plan_assignment
from ib_platform.fleet.pods import PodObservation, PodRuntime


@dataclass(frozen=True)
class Fleet:
    """The configuration as it is on disk now, and the runtime that its pods run in."""

    config: PlatformConfig
    runtime: PodRuntime

    @property
    def paper_users(self) -> list[str]:
        """Every paper user wants a pod."""
        return [user.name for user in self.config.paper_users]

    def observe(self) -> list[PodObservation]:
        """One look at every pod, with the mark of those that the plan gives no contract."""
        needed = self._needed()
        seen = self.runtime.observe(self.paper_users)
        return [replace(pod, spare=pod.paper_user not in needed) for pod in seen]

    def _needed(self) -> set[str]:
        try:
            return set(plan_assignment(self.config).paper_users)
        except ConfigurationError:
            # The job `rebalance` refuses this configuration and says why; pods go on meanwhile.
            return set(self.paper_users)


def open_fleet() -> Fleet:
    """Read the file that IB_PLATFORM_CONFIG names (else ./ib_platform.yaml).

    Raises:
        ConfigurationError: it is missing or not valid.
    """
    file = find_config()
    config = load_config(file)
    return Fleet(config, LocalRuntime(config, file))
