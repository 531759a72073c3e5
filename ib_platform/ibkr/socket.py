"""The gateway's websocket: payloads come out as bytes exactly as received.

Source: ``ibkr_web_api.md`` section 3.1 (handshake) and ``ibkr_ladder_observed.md`` (frames come as
binary; what is sent before the first frame from upstream has come through is dropped silently).
"""

from __future__ import annotations

import asyncio
import logging

import aiohttp

from ib_platform.ibkr.rest import GatewayCallError, GatewayClient

logger = logging.getLogger(__name__)
LARGEST_MESSAGE = 16 * 1024**2
_PATH = "/ws"
_CLOSE_TIMEOUT = 2.0
SEND_TIMEOUT = 5.0
"""A peer that takes no bytes for so long is gone, though TCP may stand."""


class SendError(GatewayCallError):
    """A text could not be sent: the connection is of no use any more."""

    def __init__(self, reason: str) -> None:
        super().__init__("SEND", _PATH, None, reason)


class GatewaySocket:
    """One websocket connection. Made by ``connect``; end it with ``close``."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse[bool],
        send_timeout: float = SEND_TIMEOUT,
    ) -> None:
        self._socket = socket
        self._send_timeout = send_timeout
        self.last_was_text = False
        """Whether the message that ``receive`` gave last came as text, not binary."""

    @classmethod
    async def connect(
        cls, client: GatewayClient, session: str, *, send_timeout: float = SEND_TIMEOUT
    ) -> GatewaySocket:
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
        return cls(socket, send_timeout)

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
        """Send one text.

        Raises:
            SendError: the connection has ended, or the other side takes nothing any more. A
                half-open connection would block for ever once its buffers are full.
        """
        try:
            async with asyncio.timeout(self._send_timeout):
                await self._socket.send_str(text)
        except TimeoutError as error:
            raise SendError(f"nothing was taken for {self._send_timeout:.0f} s") from error
        except (aiohttp.ClientError, ConnectionError) as error:
            raise SendError(str(error)) from error

    async def close(self) -> None:
        """Close it, waiting at most a few seconds for the other side; then it is cut."""
        try:
            async with asyncio.timeout(2 * _CLOSE_TIMEOUT):
                await self._socket.close()
        except TimeoutError:
            # Cancelling has cut it: even the close frame could not be written.
            logger.warning("the websocket took no close frame, it was cut")
