"""A request of ClickHouse's HTTP interface: who asks, the SQL, the options and the data."""

from __future__ import annotations

import base64
import binascii
import hmac
import uuid
from dataclasses import dataclass

from aiohttp import web
from multidict import MultiDict
from pydantic import SecretStr

from ib_platform.warehouse.embedded_codings import Decoder
from ib_platform.warehouse.embedded_protocol import (
    AUTHENTICATION_FAILED,
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    EngineError,
    Options,
    parse_options,
)

MAX_QUERY_BYTES = 64 * 1024**2
MAX_FORM_BYTES = 16 * 1024**2


class Body:
    """The decoded body, read piece by piece."""

    def __init__(self, request: web.Request) -> None:
        self._content = request.content
        self._decoder = Decoder(request.headers.get("Content-Encoding", ""))

    async def read(self, at_least: int) -> bytes:
        """At least that many bytes, fewer only at the end of the body.

        Raises:
            EngineError: the encoding is broken.
            ConnectionError, aiohttp.PayloadError: the client went away in the middle.
        """
        pieces: list[bytes] = []
        size = 0
        while size < at_least:
            raw = await self._content.readany()
            if not raw:
                self._decoder.finish()
                break
            piece = self._decoder.decode(raw)
            pieces.append(piece)
            size += len(piece)
        return b"".join(pieces)


@dataclass(frozen=True)
class Asked:
    """A request, taken apart. The SQL is ``sql`` followed by what ``body`` still holds."""

    sql: bytes
    options: Options
    query_id: str
    body: Body | None

    async def complete_sql(self, start: bytes) -> bytes:
        """``start`` and the rest of the body, for statements without inline data."""
        if self.body is None:
            return start
        rest = await self.body.read(MAX_QUERY_BYTES)
        if len(start) + len(rest) >= MAX_QUERY_BYTES:
            limit = MAX_QUERY_BYTES // 1024**2
            raise EngineError.of(SYNTAX_ERROR, f"the statement is longer than {limit} MiB")
        return start + rest


async def take_apart(request: web.Request) -> Asked:
    """Read the query string and, if there is one, the form.

    Raises:
        EngineError: a parameter or an encoding that is not supported.
    """
    query = MultiDict(request.query)
    body: Body | None = None
    if request.content_type == "multipart/form-data":
        try:
            await _read_form(request, query)
        except ValueError as error:
            raise EngineError.of(BAD_ARGUMENTS, f"the form cannot be read: {error}") from error
    else:
        body = Body(request)
    query_id = query.get("query_id") or str(uuid.uuid4())
    if not query_id.isprintable():
        raise EngineError.of(BAD_ARGUMENTS, "query_id holds characters that cannot be printed")
    sql = query.get("query", "").encode().rstrip()
    return Asked(sql + b"\n" if sql else b"", parse_options(query), query_id, body)


async def _read_form(request: web.Request, query: MultiDict[str]) -> None:
    """Add the form's SQL and parameters to the query string's."""
    async for part in await request.multipart():
        name = getattr(part, "name", None)
        if name is None or getattr(part, "filename", None) is not None:
            raise EngineError.of(NOT_IMPLEMENTED, "external data are not supported")
        data = bytearray()
        while chunk := await part.read_chunk():  # type: ignore[union-attr]
            data += chunk
            if len(data) > MAX_FORM_BYTES:
                raise EngineError.of(BAD_ARGUMENTS, f"form field {name!r} is too long")
        query[name] = data.decode()


def check_password(request: web.Request, username: str, password: SecretStr) -> None:
    """EngineError unless the request carries user and password, as basic authentication or in
    ClickHouse's own headers. Never in the query string: addresses end up in logs."""
    user = request.headers.get("X-ClickHouse-User", "default")
    key = request.headers.get("X-ClickHouse-Key", "")
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, key = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            user = key = ""
    expected = password.get_secret_value().encode()
    same_key = hmac.compare_digest(key.encode(), expected)
    if not (hmac.compare_digest(user.encode(), username.encode()) and same_key):
        raise EngineError.of(
            AUTHENTICATION_FAILED, "Authentication failed: password is incorrect, or no such user"
        )
