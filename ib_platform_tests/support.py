"""What many tests share: free ports, waiting, a valid configuration, the recorded capture."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from ib_platform.config import PlatformConfig
from ib_platform_tests.ports import free_port

T = TypeVar("T")
CAPTURE_CONID = 304037393
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Of properties: how long an example takes says something of the machine only."""


def wait_until(
    condition: Callable[[], T], what: str, timeout: float = 60, every: float = 0.05
) -> T:
    """Poll ``condition`` until it is truthy and return its value; fail naming ``what``."""
    deadline = time.monotonic() + timeout
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(every)


def capture_path() -> Path:
    """The recorded capture that stands beside the repository (see CONTRIBUTING.md).

    Without it a newcomer's test is skipped with the reason; the gate (CI=true) fails.
    """
    shared = os.environ.get("IB_PLATFORM_SHARED")
    base = Path(shared) if shared else Path(__file__).resolve().parents[2] / "shared"
    path = base / "data" / "ibkr_ws_capture_cl_2025-11.jsonl.gz"
    if not path.is_file():
        missing = f"the recorded capture {path} is missing; IB_PLATFORM_SHARED names its folder"
        if os.environ.get("CI"):
            raise FileNotFoundError(missing)
        pytest.skip(missing)
    return path


def program_on_path(name: str, debian_package: str) -> str:
    """Path of a program; without it a newcomer's test is skipped, and the gate (CI=true) fails."""
    found = shutil.which(name)
    if found is None:
        missing = f"{name} is missing: apt-get install {debian_package}"
        if os.environ.get("CI"):
            raise FileNotFoundError(missing)
        pytest.skip(missing)
    return found


@cache
def capture_messages() -> tuple[dict[str, str], ...]:
    """All recorded messages: t, dir, msg."""
    with gzip.open(capture_path(), "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line) for line in lines)


@cache
def capture_ladder_payloads() -> tuple[bytes, ...]:
    """The 1,525 recorded ladder frames."""
    return tuple(
        message["msg"].encode()
        for message in capture_messages()
        if message["dir"] == "in" and message["msg"].startswith('{"topic":"sbd')
    )


def make_config(state_dir: Path, **overrides: Any) -> PlatformConfig:
    """A valid configuration of two paper users on free ports, all files below ``state_dir``."""
    users = [
        {
            "name": name,
            "username": username,
            "account": account,
            "depth_slots": 3,
            "gateway_port": free_port(),
            "gateway_health_port": free_port(),
            "health_port": free_port(),
        }
        for name, username, account in (
            ("alpha", "papera01", "DU1000001"),
            ("beta", "paperb02", "DU1000002"),
        )
    ]
    contracts = [
        {"symbol": "CL", "exchange": "NYMEX", "calendar": "always_open", "paper_user": "alpha"},
        {"symbol": "ES", "exchange": "CME", "calendar": "always_open", "paper_user": "beta"},
    ]
    data: dict[str, Any] = {
        "paper_users": users,
        "contracts": contracts,
        "clickhouse": {
            "port": free_port(),
            "password_file": state_dir / "clickhouse" / "password",
            "embedded_folder": state_dir / "clickhouse",
        },
        "runtime": {"state_dir": state_dir},
    }
    return PlatformConfig(**{**data, **overrides})
