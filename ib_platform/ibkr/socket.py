"""The gateway's websocket: payloads come out as bytes exactly as received.

Source: ``ibkr_web_api.md`` section 3.1 (handshake) and ``ibkr_ladder_observed.md`` (frames come as
binary; what is sent before the first frame from upstream has come through is dropped silently).
"""

from __future__ import annotations

import aiohttp

from ib_platform.ibkr.rest import GatewayCallError, GatewayClient

LARGEST_MESSAGE = 16 * 1024**2
_PATH = "/ws"
_CLOSE_TIMEOUT = 2.0


class GatewaySocket:
    """One websocket connection. Made by ``connect``; end it with ``close``."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse[bool]) -> None:
        self._socket = socket
        self.last_was_text = False
        """Whether the message that ``receive`` gave last came as text, not binary."""

    @classmethod
    async def connect(cls, client: GatewayClient, session: str) -> GatewaySocket:
        """Open the websocket of the login that ``session`` (from ``tickle``) names.

        Raises:
            GatewayCallError: refused, or answered with something else than a websocket.
        """
        try:
            socket = await client.http.ws_connect(
                f"wss://127.0.0.1:{client.port}/v1/api{_PATH}",
                headers={"Cookie": f"api={session}"},
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
                max_msg_size=LARGEST_MESSAGE,
                decode_text=False,
            )
        except aiohttp.WSServerHandshakeError as error:
            raise GatewayCallError("GET", _PATH, error.status, error.message) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise GatewayCallError("GET", _PATH, None, reason) from error
        return cls(socket)

    async def receive(self) -> bytes | None:
        """Payload of the next message, text or binary; None when the connection has ended."""
        message = await self._socket.receive()
        if message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT):
            self.last_was_text = message.type is aiohttp.WSMsgType.TEXT
            payload: bytes = message.data  # bytes for both: decode_text=False
            return payload
        return None

    @property
    def close_code(self) -> int | None:
        """Why it ended, as a websocket close code; None while open. 1006: without a word."""
        return self._socket.close_code

    async def send(self, text: str) -> None:
        """Send one text. Raises GatewayCallError when the connection has ended."""
        try:
            await self._socket.send_str(text)
        except (aiohttp.ClientError, ConnectionError) as error:
            raise GatewayCallError("SEND", _PATH, None, str(error)) from error

    async def close(self) -> None:
        """Close it, waiting at most two seconds for the other side."""
        await self._socket.close()
