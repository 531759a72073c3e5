"""``smh``: one batch of bars over the websocket, from the same history as REST's.

The batch is REST's body with a topic and a server id of its own. A websocket may hold a few of them
open at a time (five at IBKR) until ``umh`` names the id; what comes after the batch is not known,
so nothing comes.
"""

from __future__ import annotations

import asyncio
import itertools

from ib_platform.simulator import shapes
from ib_platform.simulator.clock import utc
from ib_platform.simulator.commands import SubscribeHistory
from ib_platform.simulator.history import BadRangeError
from ib_platform.simulator.shapes_history import history
from ib_platform.simulator.world import World


class HistoryFeed:
    """The history requests of one websocket."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._parameters = world.behaviour.history
        self._numbers = itertools.count()
        self._open: set[str] = set()

    async def batch(self, wanted: SubscribeHistory) -> bytes:
        """The bars, or an error object."""
        topic = f"smh+{wanted.conid}"
        if len(self._open) >= self._parameters.most_concurrent:
            most = self._parameters.most_concurrent
            return shapes.socket_error(topic, f"at most {most} histories at a time: end one (umh)")
        contract = self._world.catalogue.get(wanted.conid)
        if contract is None:
            return shapes.socket_error(topic, "No contract found")
        try:
            # Frames of others must not wait for it.
            bars = await asyncio.to_thread(
                self._world.history.bars,
                contract,
                until=utc(self._world.clock),
                period=wanted.period,
                bar=wanted.bar,
                outside_rth=wanted.outside_rth,
            )
        except BadRangeError as error:
            return shapes.socket_error(topic, str(error))
        if not bars:
            return shapes.socket_error(topic, "Chart data unavailable")
        server_id = f"h{next(self._numbers)}"
        self._open.add(server_id)
        body = history(
            contract,
            bars,
            period=wanted.period,
            bar=wanted.bar,
            outside_rth=wanted.outside_rth,
        )
        return shapes.encode(body | {"serverId": server_id, "topic": topic})

    def end(self, server_id: str) -> bytes:
        """The answer of ``umh``, which is the same for an id that is not open."""
        self._open.discard(server_id)
        return shapes.encode({"message": f"Unsubscribed {server_id}"})
