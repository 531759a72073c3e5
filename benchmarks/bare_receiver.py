"""A websocket client that does nothing but receive: what the streamer is compared with.

Answers each line on stdin with the number of messages so far.

python -m benchmarks.bare_receiver KIND PORT CERTIFICATE ACCOUNT CONID...
"""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp
import websockets

from ib_platform.ibkr.tls import client_ssl_context

LARGEST_MESSAGE = 16 * 1024**2


class Receiver:
    """``messages``: received so far. ``requests``: what to send when the socket is open."""

    def __init__(self, address: str, tls: ssl.SSLContext, requests: list[str]) -> None:
        self.messages = 0
        self._address = address
        self._tls = tls
        self._requests = requests

    async def with_websockets(self) -> None:
        async with self._websocket() as socket:
            for request in self._requests:
                await socket.send(request)
            while True:
                await socket.recv()
                self.messages += 1

    async def with_websockets_and_json(self) -> None:
        async with self._websocket() as socket:
            for request in self._requests:
                await socket.send(request)
            while True:
                json.loads(await socket.recv())
                self.messages += 1

    async def with_aiohttp(self) -> None:
        connector = aiohttp.TCPConnector(ssl=self._tls)
        async with (
            aiohttp.ClientSession(connector=connector) as http,
            http.ws_connect(self._address, max_msg_size=LARGEST_MESSAGE) as socket,
        ):
            for request in self._requests:
                await socket.send_str(request)
            while True:
                await socket.receive()
                self.messages += 1

    def _websocket(self) -> websockets.connect:
        return websockets.connect(
            self._address,
            ssl=self._tls,
            compression=None,
            max_size=LARGEST_MESSAGE,
            proxy=None,
        )


KINDS: dict[str, Callable[[Receiver], Awaitable[None]]] = {
    "websockets": Receiver.with_websockets,
    "websockets+json": Receiver.with_websockets_and_json,
    "aiohttp": Receiver.with_aiohttp,
}


async def receive(kind: str, receiver: Receiver) -> None:
    """Until stdin ends."""
    job = asyncio.ensure_future(KINDS[kind](receiver))
    while await asyncio.to_thread(sys.stdin.readline):
        if job.done():
            job.result()
        print(receiver.messages, flush=True)
    job.cancel()


def main() -> None:
    kind, port, certificate, account, *conids = sys.argv[1:]
    address = f"wss://127.0.0.1:{port}/v1/api/ws"
    requests = [f"sbd+{account}+{conid}" for conid in conids]
    receiver = Receiver(address, client_ssl_context(Path(certificate)), requests)
    asyncio.run(receive(kind, receiver))


if __name__ == "__main__":
    main()
