"""Clients of a simulated gateway that several test files begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ib_platform_tests.simulator.client import Client, simulated


@pytest.fixture
async def fresh(tmp_path: Path) -> AsyncIterator[Client]:
    """Logged in, without brokerage session."""
    async with simulated(tmp_path) as (client, _):
        yield client


@pytest.fixture
async def ready(fresh: Client) -> Client:
    """With one."""
    await fresh.authenticate()
    return fresh
