"""The wire of one websocket: bytes out, texts in, and how it dies.

A gateway sends binary frames that hold UTF-8 JSON; IBKR itself (face B) sends text. A wire that is
half open lets nothing through in either direction, and nobody is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from ib_platform.simulator.faces import Face
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault
from ib_platform.simulator.login import Login
from ib_platform.simulator.socket_faults import ECHO, is_sendable

_CUT_POLL_SECONDS = 0.1


class Wire:
    """An ``Outlet`` of one accepted websocket, and its reader."""

    def __init__(self, face: Face, request: web.BaseRequest, socket: web.WebSocketResponse) -> None:
        self._face = face
        self._request = request
        self._world = face.world
        self._socket = socket
        self.login: Login | None = None
        """The login that was greeted; it stays the one of this websocket."""
        self._note = None if face.world.sent_log is None else face.world.sent_log.websocket()
        self.dead = self.fault(FaultKind.HALF_OPEN) is not None

    @property
    def username(self) -> str | None:
        """Whose faults concern this websocket."""
        if self.login is not None:
            return self.login.user.username
        return self._face.username_of(self._request)

    def fault(self, kind: FaultKind) -> Fault | None:
        """The fault of this kind that concerns this websocket now."""
        return self._world.fault(kind, self.username)

    async def send(self, payload: bytes, *, as_text: bool = False) -> None:
        """Write one frame and count it; ConnectionError when the client is gone."""
        if self.dead:
            return
        transport = self._request.transport
        if self._socket.closed or transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        # From here to the write nothing else runs: what is counted is written.
        if self._note is not None:
            self._note(self.username, payload)
        if self.login is not None:
            self._world.sent(self.login.user.username).count(payload)
        if as_text or payload == ECHO or self._sends_text():
            await self._socket.send_frame(payload, WSMsgType.TEXT)
        else:
            await self._socket.send_frame(payload, WSMsgType.BINARY)

    async def read(self, hear: Callable[[str], Awaitable[None]]) -> None:
        """Hand each message of the client to ``hear``, until it leaves."""
        while True:
            message = await self._socket.receive()
            if message.type in (WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR):
                return
            if message.type is WSMsgType.CLOSE:
                if self.dead:
                    return await self._until_cut()
                await self._socket.close(drain=False)
                return
            while self.fault(FaultKind.GATEWAY_HANGS) is not None:
                await self._world.clock.sleep(self._world.behaviour.cadence)
            if self.dead:
                continue
            if message.type is WSMsgType.PING:
                await self._socket.pong(message.data)
            elif message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
                data = message.data
                text = data.decode("utf-8", "replace") if isinstance(data, bytes) else str(data)
                await hear(text)

    async def close(self, code: int) -> None:
        """End it with this code; with one that no close frame may carry, it is cut."""
        if is_sendable(code):
            await self._socket.close(code=code)
        elif self._request.transport is not None:
            self._request.transport.abort()

    def _sends_text(self) -> bool:
        return not self._face.binary_frames or self.fault(FaultKind.TEXT_FRAMES) is not None

    async def _until_cut(self) -> None:
        """Half open: not even a goodbye is answered. Polled, since nothing tells of the end of a
        connection that nobody reads; in the machine's time, in which it lives."""
        while (transport := self._request.transport) is not None:
            if transport.is_closing():
                return
            await asyncio.sleep(_CUT_POLL_SECONDS)
