"""The gateway's websocket against a peer that stands still: nothing may hang for ever."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ib_platform.ibkr.certificate import ensure_certificate
from ib_platform.ibkr.rest import GatewayCallError, GatewayClient
from ib_platform.ibkr.socket import GatewaySocket, SendError
from ib_platform.ibkr.tls import client_ssl_context, server_ssl_context
from ib_platform_tests.ibkr.tiny_gateway import tiny_gateway

_ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_LARGE = "x" * 1024**2
_TIMEOUT = 1.0


@asynccontextmanager
async def standing_still(folder: Path) -> AsyncIterator[tuple[int, Path]]:
    """A TLS peer that opens a websocket and reads nothing any more, though TCP stands.

    Its port and its certificate."""
    certificate, private_key = folder / "gateway.pem", folder / "gateway.key"
    ensure_certificate(certificate, private_key)
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = head.partition("Sec-WebSocket-Key: ")[2].partition("\r\n")[0]
        accept = base64.b64encode(hashlib.sha1((key + _ACCEPT).encode()).digest()).decode()
        writer.write(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
        )
        await writer.drain()
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await over.wait()
        writer.transport.abort()

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    tls = server_ssl_context(certificate, private_key)
    server = await asyncio.start_server(serve, sock=listener, ssl=tls)
    try:
        yield listener.getsockname()[1], certificate
    finally:
        over.set()
        server.close()
        await server.wait_closed()


async def _fill(gateway: GatewaySocket) -> None:
    """Send until the buffers on both sides are full."""
    for _ in range(200):
        await gateway.send(_LARGE)


async def test_a_peer_that_takes_nothing_ends_a_send_and_a_close(tmp_path: Path) -> None:
    async with standing_still(tmp_path) as (port, certificate):
        tls = client_ssl_context(certificate)
        async with GatewayClient(port, tls) as client:
            gateway = await GatewaySocket.connect(client, "cafe", send_timeout=_TIMEOUT)
            with pytest.raises(SendError, match="nothing was taken for 1 s"):
                await _fill(gateway)
            began = time.monotonic()
            await gateway.close()
        # Nothing else than its own limits may end it: the peer stands still all the while.
        assert time.monotonic() - began < 60
        assert gateway.close_code is not None


async def test_a_connection_that_has_ended_is_said_plainly(tmp_path: Path) -> None:
    async with tiny_gateway(tmp_path) as gateway:
        gateway.close_after_messages = True
        tls = client_ssl_context(gateway.certificate)
        async with GatewayClient(gateway.port, tls) as client:
            connection = await GatewaySocket.connect(client, "cafe")
            assert await connection.receive() is None
            with pytest.raises(GatewayCallError, match="SEND /ws") as refused:
                await connection.send("tic")
            assert isinstance(refused.value, SendError)
            assert refused.value.status is None
            await connection.close()


async def test_a_text_that_is_taken_arrives(tmp_path: Path) -> None:
    async with tiny_gateway(tmp_path) as gateway:
        tls = client_ssl_context(gateway.certificate)
        async with GatewayClient(gateway.port, tls) as client:
            connection = await GatewaySocket.connect(client, "cafe", send_timeout=30)
            await connection.send("sbd+DU1+7")
            await connection.close()
        assert gateway.received == ["sbd+DU1+7"]
        assert gateway.socket_cookie == "api=cafe"
