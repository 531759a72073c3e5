"""``ib-platform simulate``: the process. What it serves is ``simulation``'s."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from ib_platform.config import PlatformConfig
from ib_platform.simulator.scenario import Scenario
from ib_platform.simulator.simulation import GatewaySeat, run_simulator

__all__ = ["GatewaySeat", "run_simulator", "serve"]
logger = logging.getLogger(__name__)
_PARENT_POLL_SECONDS = 0.5


def serve(
    config: PlatformConfig,
    seats: Sequence[GatewaySeat],
    *,
    scenario: Scenario | None = None,
    upstream_port: int | None = None,
    control_port: int | None = 0,
    parent_pid: int | None = None,
    sent_log: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then return. With ``parent_pid`` it also ends when that
    process has ended. Raises like ``run_simulator``."""
    simulation = run_simulator(
        config,
        seats,
        scenario=scenario,
        upstream_port=upstream_port,
        control_port=control_port,
        sent_log=sent_log,
    )
    asyncio.run(_until_told_to_end(simulation, parent_pid))


async def _until_told_to_end(
    simulation: Coroutine[None, None, None], parent_pid: int | None
) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(simulation)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    watching = asyncio.create_task(_cancel_without_parent(serving, parent_pid))
    try:
        with suppress(asyncio.CancelledError):
            await serving
    finally:
        watching.cancel()


async def _cancel_without_parent(serving: asyncio.Task[None], parent_pid: int | None) -> None:
    """An orphan must not keep the port. Polled: no portable signal tells of a parent's end."""
    if parent_pid is None:
        return
    with suppress(psutil.NoSuchProcess):
        parent = psutil.Process(parent_pid)
        while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(_PARENT_POLL_SECONDS)
    logger.warning("process %d has ended: so does its simulator", parent_pid)
    serving.cancel()
