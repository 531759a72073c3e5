"""The simulator's own count of what it sent, read through a pod's gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from ib_platform.config import PlatformConfig
from ib_platform.errors import GatewayError
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths


def replay_record(config: PlatformConfig) -> dict[str, Any]:
    """What the simulator that plays the capture has sent so far.

    Raises:
        GatewayError: the simulator does not answer.
    """
    name = config.gateway.simulator.replay_paper_user or config.paper_users[0].name
    return asyncio.run(_fetch(config, name))


async def _fetch(config: PlatformConfig, paper_user: str) -> dict[str, Any]:
    port = config.paper_user(paper_user).gateway_port
    certificate = PodPaths(config.runtime.state_dir, paper_user).certificate
    url = f"https://127.0.0.1:{port}/v1/api/simulator/record"
    timeout = aiohttp.ClientTimeout(total=5)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, ssl=client_ssl_context(certificate)) as answer,
        ):
            answer.raise_for_status()
            record: dict[str, Any] = await answer.json()
            return record
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise GatewayError(
            f"the simulator of {paper_user} does not answer at {url}: {error}"
        ) from error
