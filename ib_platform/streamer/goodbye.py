"""The end of a connection that the streamer itself ends: nothing that was sent before is lost.

A streamer that stopped reading first would claim to have followed its ladders until it said so, and
leave what came meanwhile in the socket.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from typing import Any

from ib_platform.errors import SpoolError
from ib_platform.ibkr.messages import KEEP_ALIVE
from ib_platform.ibkr.rest import GatewayCallError
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.streamer.session_poll import PROBE_TIMEOUT

logger = logging.getLogger(__name__)
_ANSWERED_WITHIN = 1.0
"""Seconds for the answer to a keep-alive, which comes behind everything that was sent before."""


async def say_goodbye(
    requests: Coroutine[Any, Any, None],
    socket: GatewaySocket,
    receiving: asyncio.Task[Any],
    answered: asyncio.Event,
) -> None:
    """Carry out ``requests``, which end every subscription, while ``receiving`` goes on, until the
    gateway has answered one keep-alive more (``answered`` is set), or it is over, or a second has
    passed. A gateway that takes no request is left without a word."""
    if receiving.done():
        requests.close()
        return
    try:
        async with asyncio.timeout(PROBE_TIMEOUT):
            await requests
            answered.clear()
            await socket.send(KEEP_ALIVE)
    except (GatewayCallError, SpoolError, TimeoutError) as error:
        logger.warning("not unsubscribed: %s", error)
        return
    answer = asyncio.create_task(answered.wait())
    await asyncio.wait(
        [receiving, answer], timeout=_ANSWERED_WITHIN, return_when=asyncio.FIRST_COMPLETED
    )
    await cancelled([answer])


async def cancelled(tasks: Sequence[asyncio.Task[Any]]) -> list[Any]:
    """Cancel what has not ended; results and exceptions, in order."""
    for task in tasks:
        task.cancel()
    return await asyncio.gather(*tasks, return_exceptions=True)
