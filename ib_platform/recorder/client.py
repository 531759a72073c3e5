"""The REST client of a recording: every exchange is written down, and asked at a gentle pace."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import aiohttp

from ib_platform.ibkr.pacing import Pace
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.recorder.recording import Recording

BESIDE_A_POD, ALONE = 1, 3
"""Calls a second of a recording. IBKR allows ten to all programs of a gateway together, and a pod's
own two take at most nine (``gateway.pacing``)."""


class _StampedPace(Pace):
    """Tells when a call really began, after it has waited for its turn."""

    def __init__(self, ledger: Path | None, share: int, now_ns: Callable[[], int]) -> None:
        super().__init__(ledger, share=share)
        self.began_ns = now_ns()
        self._now_ns = now_ns

    @asynccontextmanager
    async def turn(self, path: str) -> AsyncIterator[None]:
        async with super().turn(path):
            self.began_ns = self._now_ns()
            yield


class RecordingClient(GatewayClient):
    """Asks one thing at a time. After a 429 it asks nothing any more: the penalty box of IBKR
    would only grow, and the websocket goes on without REST. ``ledger``: the pod's, see ``pacing``.
    """

    def __init__(
        self,
        port: int,
        tls: ssl.SSLContext,
        recording: Recording,
        *,
        ledger: Path | None = None,
        share: int = BESIDE_A_POD,
    ) -> None:
        self._stamps = _StampedPace(ledger, share, recording.clocks.monotonic)
        super().__init__(port, tls, pace=self._stamps)
        self.stopped = False
        self._recording = recording
        self._turn = asyncio.Lock()
        self._request = ""

    async def contract_rules(self, conid: int) -> None:
        await self._call("GET", f"/iserver/contract/{conid}/info-and-rules")

    async def trading_schedule(self, conid: int) -> None:
        await self._call("GET", "/contract/trading-schedule", params={"conid": str(conid)})

    async def snapshot(self, conids: tuple[int, ...], fields: tuple[str, ...]) -> None:
        """The first call of a session only opens it; values come with later ones."""
        query = {"conids": ",".join(map(str, conids)), "fields": ",".join(fields)}
        await self._call("GET", "/iserver/marketdata/snapshot", params=query)

    async def _call(
        self,
        method: str,
        path: str,
        json: Mapping[str, object] | None = None,
        params: Mapping[str, str] | None = None,
    ) -> bytes:
        async with self._turn:
            if self.stopped:
                raise GatewayCallError(method, path, HTTPStatus.TOO_MANY_REQUESTS, "not asked")
            self._request = "" if json is None else _compact(json)
            try:
                return await super()._call(method, path, json, params)
            except GatewayCallError as error:
                self._failed(error, params)
                raise

    def _failed(self, error: GatewayCallError, params: Mapping[str, str] | None) -> None:
        if error.status is None:
            query = "&".join(f"{name}={text}" for name, text in (params or {}).items())
            self._recording.exchange(
                error.method,
                error.path,
                query,
                began_ns=self._stamps.began_ns,
                request=self._request,
                body=error.body.encode(),
            )
        elif error.status == HTTPStatus.TOO_MANY_REQUESTS:
            self.stopped = True
            self._recording.note("rest.stopped", "HTTP 429: no REST call is made from here on")

    def _answered(self, response: aiohttp.ClientResponse, body: bytes) -> None:
        self._recording.exchange(
            response.method,
            response.url.path.removeprefix("/v1/api"),
            response.url.query_string,
            began_ns=self._stamps.began_ns,
            request=self._request,
            status=response.status,
            headers=response.headers,
            body=body,
        )


def _compact(body: Mapping[str, object]) -> str:
    return json.dumps(body, separators=(",", ":"))
