"""One websocket of a recording: everything in both directions is written down."""

from __future__ import annotations

import asyncio
import time

from ib_platform.config import PaperUser
from ib_platform.ibkr.messages import KEEP_ALIVE, SessionStatus, Welcome, read_control
from ib_platform.ibkr.proof import require_paper_welcome
from ib_platform.ibkr.rest import GatewayClient
from ib_platform.ibkr.socket import GatewaySocket
from ib_platform.recorder.recording import Recording
from ib_platform.recorder.sightings import Sightings

_KEEP_ALIVE_EVERY = 30.0
_CONTROL_TOPICS = ("sts", "system")


class RecordedConnection:
    """``run`` it in a task; ``usable`` tells when requests would not be dropped any more."""

    def __init__(
        self,
        number: int,
        socket: GatewaySocket,
        recording: Recording,
        sightings: Sightings,
        user: PaperUser,
    ) -> None:
        self.number = number
        self.usable = asyncio.Event()
        self._socket = socket
        self._recording = recording
        self._sightings = sightings
        self._user = user
        self._status = SessionStatus()

    @classmethod
    async def connect(
        cls,
        number: int,
        client: GatewayClient,
        session: str,
        recording: Recording,
        sightings: Sightings,
        user: PaperUser,
    ) -> RecordedConnection:
        """Open a websocket and note it. Raises GatewayCallError, which is noted too."""
        try:
            socket = await GatewaySocket.connect(client, session)
        except Exception as error:
            recording.note("websocket.refused", str(error), connection=number)
            raise
        recording.note("websocket.opened", connection=number)
        return cls(number, socket, recording, sightings, user)

    async def run(self) -> None:
        """Receive until it ends, and keep it alive meanwhile.

        Raises:
            LiveAccountError: its first message shows a login that is not ours, or not paper.
        """
        alive = asyncio.create_task(self._keep_alive())
        try:
            while (payload := await self._socket.receive()) is not None:
                self._take(payload)
        finally:
            alive.cancel()
            await asyncio.gather(alive, return_exceptions=True)
        code = self._socket.close_code
        self._recording.note("websocket.closed", connection=self.number, code=code)

    async def send(self, text: str) -> None:
        """Send and write down. Raises GatewayCallError when the connection has ended."""
        await self._socket.send(text)
        self._recording.frame("out", text.encode(), text=True, connection=self.number)

    async def close(self) -> None:
        await self._socket.close()

    def _take(self, payload: bytes) -> None:
        was_text = self._socket.last_was_text
        self._recording.frame("in", payload, text=was_text, connection=self.number)
        if self._sightings.saw(time.monotonic(), self.number, payload) in _CONTROL_TOPICS:
            self._control(payload)

    def _control(self, payload: bytes) -> None:
        message = read_control(payload)
        if isinstance(message, Welcome):
            require_paper_welcome(message, self._user.username, self._user.name)
        elif isinstance(message, SessionStatus):
            self._status = self._status.merged_with(message)
            if self._status.usable:
                self.usable.set()
            else:
                self.usable.clear()

    async def _keep_alive(self) -> None:
        while True:
            await asyncio.sleep(_KEEP_ALIVE_EVERY)
            await self.send(KEEP_ALIVE)
