"""The configuration of a simulation that nobody has written one for: two paper users."""

from __future__ import annotations

import os
from pathlib import Path

from ib_platform.config import CONFIG_VARIABLE, DEFAULT_CONFIG, PlatformConfig, load_config

STATE_DIR = Path(".ib_platform/simulator")
_USERS = (("alpha", "papera01", "DU1000001", 5000), ("beta", "paperb02", "DU1000002", 5010))


def config_or_default(config_file: Path | None) -> tuple[PlatformConfig, bool]:
    """The configuration, and whether it is the built-in one because no file was named and none
    lies in the current folder. Raises ConfigurationError like ``load_config``."""
    named = config_file is not None or CONFIG_VARIABLE in os.environ
    if named or DEFAULT_CONFIG.exists():
        return load_config(config_file), False
    return default_config(), True


def default_config() -> PlatformConfig:
    """Two paper users with gateways on 5000 and 5010; files below the current folder."""
    users = [
        {
            "name": name,
            "username": username,
            "account": account,
            "depth_slots": 3,
            "gateway_port": port,
            "gateway_health_port": port + 1,
            "health_port": port + 2,
        }
        for name, username, account, port in _USERS
    ]
    return PlatformConfig.model_validate(
        {
            "paper_users": users,
            "contracts": [{"symbol": "CL", "exchange": "NYMEX"}],
            "runtime": {"state_dir": STATE_DIR.resolve()},
        }
    )
