"""A reverse proxy before ClickHouse that fails as a server, its network or its disk may.

It runs in a thread of this process, with an event loop of its own. Inserts and questions alike
meet the fault; what was asked is done or not done as the mode says, never half.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
from aiohttp import web

from ib_platform_tests.faults.chaos.schedule import Kind
from ib_platform_tests.ports import free_port

T = TypeVar("T")
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
_LARGEST = 256 * 1024**2
_CODES = {
    Kind.CLICKHOUSE_OUT_OF_MEMORY: (241, "Memory limit (total) exceeded: would use 4.00 GiB"),
    164: (164, "Cannot execute query in readonly mode"),
    242: (242, "Table is in readonly mode: replica has lost Keeper"),
}


class ClickHouseProxy:
    """``mode`` None passes everything on; a kind of the schedule fails. Thread-safe.

    ``met``: how many requests met each fault.
    """

    def __init__(self, target_port: int) -> None:
        self.port = free_port()
        self.met: Counter[Kind] = Counter()
        self._target = f"http://127.0.0.1:{target_port}"
        self._mode: Kind | None = None
        self._code = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._site: web.TCPSite | None = None
        self._over = asyncio.Event()

    def fail(self, kind: Kind, code: int = 0) -> None:
        """From now on. ``code``: ClickHouse's, for CLICKHOUSE_READ_ONLY."""
        self._call(lambda: self._become(kind, code))

    def heal(self) -> None:
        """Pass everything on; what still waits for an answer is cut off."""
        self._call(lambda: self._become(None, 0))

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._start)
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._call(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)
        self._loop.close()

    def _call(self, function: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(function(), self._loop).result(60)

    async def _start(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None, connect=10)
        self._client = aiohttp.ClientSession(timeout=timeout, auto_decompress=False)
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await self._listen()

    async def _end(self) -> None:
        self._over.set()
        await self._runner.cleanup()
        await self._client.close()

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await self._site.start()

    async def _become(self, mode: Kind | None, code: int) -> None:
        before, self._mode, self._code = self._mode, mode, code
        self._over.set()
        self._over = asyncio.Event()
        if mode is Kind.CLICKHOUSE_REFUSES and self._site is not None:
            await self._site.stop()
            self._site = None
        elif before is Kind.CLICKHOUSE_REFUSES and self._site is None:
            await self._listen()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        mode, over = self._mode, self._over
        if mode is not None:
            self.met[mode] += 1
        match mode:
            case None:
                return await self._passed_on(request)
            case Kind.CLICKHOUSE_500:
                return web.Response(status=500, text="Internal Server Error")
            case Kind.CLICKHOUSE_OUT_OF_MEMORY:
                return _exception(*_CODES[mode])
            case Kind.CLICKHOUSE_READ_ONLY:
                return _exception(*_CODES[self._code])
            case Kind.CLICKHOUSE_TIMES_OUT:
                # It has been done, and the answer never comes.
                await self._passed_on(request)
                await over.wait()
            case Kind.CLICKHOUSE_ANSWER_DROPPED:
                await self._passed_on(request)
        return _cut(request)

    async def _passed_on(self, request: web.Request) -> web.StreamResponse:
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _HOP_BY_HOP}
        body = await request.read()
        try:
            async with self._client.request(
                request.method, self._target + request.path_qs, headers=headers, data=body
            ) as answer:
                kept = {k: v for k, v in answer.headers.items() if k.lower() not in _HOP_BY_HOP}
                return web.Response(status=answer.status, headers=kept, body=await answer.read())
        except aiohttp.ClientError:
            # The server behind is gone, as a client without a proxy would see it.
            return _cut(request)


def _exception(code: int, words: str) -> web.Response:
    """What ClickHouse answers when it throws."""
    return web.Response(
        status=500,
        headers={"X-ClickHouse-Exception-Code": str(code)},
        text=f"Code: {code}. DB::Exception: {words}. (chaos)",
    )


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response()
