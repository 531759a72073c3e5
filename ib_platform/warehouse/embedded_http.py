"""ClickHouse's HTTP interface over the embedded engine: requests in, bodies out.

The event loop moves bytes; each call of the engine runs in a thread and gives the loop back
between blocks, so that a slow client holds no thread.
"""

from __future__ import annotations

import asyncio

from aiohttp import web
from aiohttp.http_exceptions import PayloadEncodingError
from pydantic import SecretStr

from ib_platform.warehouse.embedded_codings import Encoder, encoder_for
from ib_platform.warehouse.embedded_engine import Counts, Engine
from ib_platform.warehouse.embedded_insert import InsertStream
from ib_platform.warehouse.embedded_protocol import (
    ABORTED,
    CANNOT_READ_ALL_DATA,
    CODE_HEADER,
    READONLY,
    STREAMED_FORMATS,
    SYNTAX_ERROR,
    TAG_HEADER,
    EngineError,
    frame_exception,
    new_exception_tag,
)
from ib_platform.warehouse.embedded_request import Asked, check_password, take_apart
from ib_platform.warehouse.embedded_threads import EngineThreads
from ib_platform.warehouse.sql_text import (
    InsertHead,
    find_format,
    find_insert_head,
    first_word,
    is_read,
    split_statements,
    tokens,
)

HEAD_BYTES = 256 * 1024
APPEND_BYTES = 1024**2


class Endpoint:
    """The request handlers, and what a clean stop has to wait for."""

    def __init__(self, engine: Engine, username: str, password: SecretStr) -> None:
        self._engine = engine
        self._username = username
        self._password = password
        self._threads = EngineThreads(engine)
        self._running = 0
        self._draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def application(self) -> web.Application:
        """``/ping`` without a password, ``/`` with one; everything else is 404."""
        application = web.Application()
        application.router.add_get("/ping", self._ping)
        application.router.add_route("*", "/", self._handle)
        return application

    async def drain(self, patience: float) -> bool:
        """Take no new statements and wait for the running ones, at most ``patience`` seconds and
        once more as long for those that had to be cancelled. Whether all have ended."""
        self._draining = True
        if not await self._wait_until_idle(patience):
            await self._threads.call(self._engine.kill)
            await self._wait_until_idle(patience)
        self._threads.close()
        return self._running == 0

    async def _wait_until_idle(self, patience: float) -> bool:
        try:
            async with asyncio.timeout(patience):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def expire_sessions(self, every: float) -> None:
        """Close forgotten sessions, for ever."""
        while True:
            await asyncio.sleep(every)
            await self._threads.call(self._engine.expire_sessions)

    async def _ping(self, request: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._running += 1
        self._idle.clear()
        try:
            check_password(request, self._username, self._password)
            if self._draining:
                raise EngineError.of(ABORTED, "the embedded ClickHouse is shutting down")
            return await self._answer(request, await take_apart(request))
        except EngineError as error:
            return _error_response(error)
        except (PayloadEncodingError, web.RequestPayloadError) as error:
            return _error_response(
                EngineError.of(CANNOT_READ_ALL_DATA, f"the request cannot be read: {error}")
            )
        finally:
            self._running -= 1
            if self._running == 0:
                self._idle.set()

    async def _answer(self, request: web.Request, asked: Asked) -> web.StreamResponse:
        start = asked.sql
        if asked.body is not None:
            start += await asked.body.read(HEAD_BYTES)
        # One byte is one character in latin-1: offsets hold for data that are no text.
        head = find_insert_head(start.decode("latin-1"))
        if head is not None:
            if request.method == "GET":
                raise EngineError.of(READONLY, "GET requests only read; use POST")
            return await self._insert(asked, head, start[head.data_start :])
        sql = await asked.complete_sql(start)
        text = sql.decode("latin-1")
        count = len(split_statements(text))
        # chDB takes NUL for the end of the statement and would leave out what follows.
        if any(token.text == "\0" for token in tokens(text)):
            raise EngineError.of(SYNTAX_ERROR, "a NUL byte outside of a string")
        if count == 0:
            return web.Response(text="Ok.\n")
        if count > 1:
            raise EngineError.of(SYNTAX_ERROR, "Multi-statements are not allowed")
        if request.method == "GET" and not is_read(text):
            raise EngineError.of(READONLY, "GET requests only read; use POST")
        return await self._query(request, asked, sql, text)

    async def _insert(self, asked: Asked, head: InsertHead, data: bytes) -> web.Response:
        async with self._threads.lease(asked.options, head.sql, asked.query_id) as handle:
            stream = InsertStream(self._engine, handle, head, asked.options, asked.query_id)
            try:
                while data:
                    await self._threads.call(stream.append, data)
                    data = b"" if asked.body is None else await asked.body.read(APPEND_BYTES)
                counts = await self._threads.call(stream.finish)
            finally:
                # After finish this does nothing; before, it drops the rows of a broken request.
                await self._threads.call(stream.cancel)
        return web.Response(headers=self._headers(asked, counts))

    async def _query(
        self, request: web.Request, asked: Asked, sql: bytes, text: str
    ) -> web.StreamResponse:
        options = asked.options
        reads = is_read(text)
        output = (
            find_format(text) or request.headers.get("X-ClickHouse-Format")
        ) or options.default_format
        accepted = request.headers.get("Accept-Encoding", "") if options.compress else ""
        encoder = encoder_for(accepted)
        kill = asked.query_id if reads else None
        # The engine streams SELECT only: SHOW, DESCRIBE and EXISTS answer whole.
        selects = reads and first_word(text) in ("SELECT", "WITH")
        if selects and not options.wait_end and output in STREAMED_FORMATS:
            return await self._stream(request, asked, sql, text, output, encoder)
        async with self._threads.lease(asked.options, text, asked.query_id) as handle:
            body, counts = await self._threads.call_killing(
                kill, handle.query, sql, output, options
            )
        if encoder.name != "identity":
            body = await self._threads.call(lambda: encoder.encode(body) + encoder.finish())
        headers = self._headers(asked, counts, output if reads or body else None, encoder)
        return web.Response(body=body, headers=headers)

    async def _stream(
        self,
        request: web.Request,
        asked: Asked,
        sql: bytes,
        text: str,
        output: str,
        encoder: Encoder,
    ) -> web.StreamResponse:
        tag = new_exception_tag()
        async with self._threads.lease(asked.options, text, asked.query_id) as handle:
            stream = handle.stream(sql, output, asked.options)
            try:
                # Most errors come with the first block: before it, they get a status of their own.
                block = await self._threads.call_killing(asked.query_id, stream.fetch)
                response = web.StreamResponse(
                    headers=self._headers(asked, Counts(), output, encoder) | {TAG_HEADER: tag}
                )
                await response.prepare(request)
                while block is not None:
                    await response.write(encoder.encode(block))
                    try:
                        block = await self._threads.call_killing(asked.query_id, stream.fetch)
                    except EngineError as error:
                        await response.write(encoder.encode(frame_exception(tag, error)))
                        break
            finally:
                await self._threads.call(stream.cancel)
        # The session is free again before the client can know that the answer is complete.
        await response.write_eof(encoder.finish())
        return response

    def _headers(
        self,
        asked: Asked,
        counts: Counts,
        output: str | None = None,
        encoder: Encoder | None = None,
    ) -> dict[str, str]:
        headers = {
            "Content-Type": "application/octet-stream",
            "X-ClickHouse-Server-Display-Name": "embedded",
            "X-ClickHouse-Query-Id": asked.query_id,
            "X-ClickHouse-Timezone": self._engine.timezone,
            "X-ClickHouse-Summary": counts.summary(),
        }
        if output is not None:
            headers["X-ClickHouse-Format"] = output
        if encoder is not None and encoder.name != "identity":
            headers["Content-Encoding"] = encoder.name
        return headers


def _error_response(error: EngineError) -> web.Response:
    return web.Response(
        status=error.status,
        text=error.text + "\n",
        headers={CODE_HEADER: str(error.code)},
    )
