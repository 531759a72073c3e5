"""How ONE gateway on 127.0.0.1 is called: its pinned certificate, turns, penalties, errors.

Errors carry method, path, HTTP status and a short body, never a cookie or session id.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self, TypeVar

import aiohttp
import msgspec

from ib_platform.errors import GatewayError
from ib_platform.ibkr.pacing import TICKLE, Pace, PenaltyError

REQUEST_TIMEOUT = 10.0
_SHORT_BODY = 200
_NO_SESSION = "no session"
_Answer = TypeVar("_Answer")


class GatewayCallError(GatewayError):
    """A REST call failed. ``status`` is None when nobody answered (refused, reset, timeout).

    A 200 with ``{"error":"no session"}`` counts as 401: it means the same.
    """

    def __init__(self, method: str, path: str, status: int | None, body: str) -> None:
        self.method, self.path, self.status, self.body = method, path, status, body[:_SHORT_BODY]
        answer = "no answer" if status is None else f"HTTP {status}"
        super().__init__(f"gateway: {method} {path}: {answer}: {self.body or '(empty body)'}")


class GatewayCalls:
    """Calls of a gateway; use as an async context manager. Every call raises GatewayCallError.

    Calls wait for their turn: ``pace`` belongs to the program, which may open several clients. A
    429 pauses all programs that share its ledger; calls during the pause fail with 429 unsent, and
    the first call afterwards is one tickle.
    """

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext,
        timeout: float = REQUEST_TIMEOUT,
        *,
        pace: Pace | None = None,
    ) -> None:
        self.port = port
        self.tls = tls
        self.pace = pace or Pace()
        self._base = f"https://127.0.0.1:{port}/v1/api"
        self._timeout = aiohttp.ClientTimeout(total=timeout)
        self._http: aiohttp.ClientSession | None = None

    @property
    def http(self) -> aiohttp.ClientSession:
        """Shared connection pool, used for the websocket too."""
        if self._http is None:
            self._http = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(ssl=self.tls),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "ib-platform"},
            )
        return self._http

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()
            self._http = None

    async def _object(
        self, method: str, path: str, json: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        body = await self._call(method, path, json=json)
        try:
            # Seen: an empty body with 200 (tickle, twice). It says nothing, and is no failure.
            answer = msgspec.json.decode(body) if body.strip() else {}
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise GatewayCallError(method, path, 200, f"not JSON: {error}") from error
        if not isinstance(answer, dict):
            raise GatewayCallError(method, path, 200, "not a JSON object")
        if answer.get("error") == _NO_SESSION:
            raise GatewayCallError(method, path, HTTPStatus.UNAUTHORIZED, _NO_SESSION)
        return answer

    def _in_words(self, error: Exception) -> str:
        """Why nobody answered, for people."""
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return (
                f"{self._base} presents another certificate than the one that is trusted here: "
                "that of another configuration or program?"
            )
        if isinstance(error, aiohttp.ClientConnectorError) and isinstance(
            error.os_error, ConnectionRefusedError
        ):
            return f"nothing listens on {self._base}; is the gateway running?"
        return f"{type(error).__name__}: {error}"

    def _answered(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        """Told of every answer, good or bad, as it came: for a recorder to write down."""

    async def _call(
        self,
        method: str,
        path: str,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        if self.pace.on_probation:
            answer = await self._probe(method, path)
            if answer is not None:
                return answer
        return await self._exchange(method, path, json, params)

    async def _probe(self, method: str, path: str) -> bytes | None:
        """After a penalty the first call of all programs is one tickle. Its answer, if that is what
        was to be called.

        Raises:
            GatewayCallError: there is another 429 or no answer; or ``path`` is the tickle itself,
                and its answer is an error.
        """
        penalty = self.pace.take_probe()
        if penalty is None:
            waiting = "another program makes the first call after the penalty; nothing was sent"
            raise GatewayCallError(method, path, HTTPStatus.TOO_MANY_REQUESTS, waiting)
        forgiven = False
        try:
            answer = await self._exchange("POST", TICKLE)
            forgiven = True
        except GatewayCallError as error:
            # Any answer but another 429 ends the penalty, whatever it says.
            forgiven = error.status not in (None, HTTPStatus.TOO_MANY_REQUESTS)
            if not forgiven or path == TICKLE:
                raise
            return None
        finally:
            self.pace.probed(penalty, forgiven=forgiven)
        return answer if path == TICKLE else None

    async def _exchange(
        self,
        method: str,
        path: str,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
        *,
        urgent: bool = False,
    ) -> bytes:
        try:
            async with (
                nullcontext() if urgent else self.pace.turn(path),
                self.http.request(
                    method,
                    self._base + path,
                    json=json,
                    params=params,
                    # A POST without Content-Length is answered 411.
                    headers={"Content-Length": "0"} if method == "POST" and json is None else None,
                    allow_redirects=False,
                ) as response,
            ):
                body = await response.read()
                self._answered(response, body)
        except PenaltyError as error:
            raise GatewayCallError(
                method, path, HTTPStatus.TOO_MANY_REQUESTS, str(error)
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise GatewayCallError(method, path, None, self._in_words(error)) from error
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.pace.penalised()
        if response.status != HTTPStatus.OK:
            text = body.decode("utf-8", "replace").strip()
            raise GatewayCallError(method, path, response.status, text)
        return body

    async def _read(
        self, path: str, query: Mapping[str, str], decode: Callable[[bytes], _Answer]
    ) -> _Answer:
        body = await self._call("GET", path, params=query)
        try:
            return decode(body)
        except ValueError as error:
            raise GatewayCallError("GET", path, 200, str(error)) from error
