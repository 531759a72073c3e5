"""The pod runtime of ops and sensors: read late, so that definitions load without configuration."""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.config import PlatformConfig, find_config, load_config
from ib_platform.fleet.local import LocalRuntime
from ib_platform.fleet.pods import PodRuntime


@dataclass(frozen=True)
class Fleet:
    """The configuration as it is on disk now, and the runtime that its pods run in."""

    config: PlatformConfig
    runtime: PodRuntime

    @property
    def paper_users(self) -> list[str]:
        """Every paper user wants a pod."""
        return [user.name for user in self.config.paper_users]


def open_fleet() -> Fleet:
    """Read the file that IB_PLATFORM_CONFIG names (else ./ib_platform.yaml).

    Raises:
        ConfigurationError: it is missing or not valid.
    """
    file = find_config()
    config = load_config(file)
    return Fleet(config, LocalRuntime(config, file))
