"""The threads in which the engine's blocking calls run, seen from the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from ib_platform.warehouse.embedded_engine import Engine, Handle
from ib_platform.warehouse.embedded_protocol import Options

T = TypeVar("T")
P = ParamSpec("P")

THREADS = 32


class EngineThreads:
    """Calls that finish even if whoever waits for them is cancelled: a handle must not be closed
    under a running call."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="clickhouse")

    async def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run ``function`` in a thread; a cancellation waits for its end."""
        return await self.call_killing(None, function, *args, **kwargs)

    async def call_killing(
        self, query_id: str | None, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """The same, but a cancellation also cancels the statement ``query_id``: its client is
        gone, nobody waits for the answer."""
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._pool, lambda: function(*args, **kwargs))
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            if query_id is not None and not future.done():
                await loop.run_in_executor(self._pool, self._engine.kill, query_id)
            await asyncio.wait([future])
            future.exception()
            raise

    @asynccontextmanager
    async def lease(self, options: Options, text: str, query_id: str) -> AsyncIterator[Handle]:
        """``Engine.lease`` for the event loop."""
        lease = self._engine.lease(options, text, query_id)
        try:
            handle = await self.call(lease.__enter__)
            yield handle
        finally:
            # Also after a cancellation during __enter__, which has completed by now.
            await self.call(lease.__exit__, None, None, None)

    def close(self) -> None:
        self._pool.shutdown(wait=False)
