"""A listening port on 127.0.0.1 that can be taken away and given back: an injected outage."""

from __future__ import annotations

import errno
import os
import ssl
import weakref

from aiohttp import WSCloseCode, web

from ib_platform.errors import PlatformInUseError

HOST = "127.0.0.1"
SHUTDOWN_SECONDS = 2.0


class Listener:
    """Serves one application. ``port`` 0 asks for a free one, which then stays the same."""

    def __init__(
        self, app: web.Application, port: int, *, purpose: str, tls: ssl.SSLContext | None = None
    ) -> None:
        self._app = app
        self._purpose = purpose
        self._tls = tls
        self._runner: web.AppRunner | None = None
        self._site: web.TCPSite | None = None
        self.port = port

    @property
    def is_up(self) -> bool:
        return self._site is not None

    async def start(self) -> None:
        """Listen.

        Raises:
            PlatformInUseError: the port is taken or must not be used.
        """
        if self._runner is None:
            self._runner = web.AppRunner(
                self._app, access_log=None, shutdown_timeout=SHUTDOWN_SECONDS
            )
            await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port, ssl_context=self._tls)
        try:
            await site.start()
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            raise PlatformInUseError(
                f"port {self.port} of {HOST} cannot be used for {self._purpose} "
                f"({os.strerror(error.errno)}). Stop what uses it, or choose another port."
            ) from error
        self._site = site
        self.port = int(self._runner.addresses[0][1])

    async def take_down(self) -> None:
        """Refuse connections and cut the open ones, until ``start``."""
        if self._site is None or self._runner is None:
            return
        site, self._site = self._site, None
        await site.stop()
        server = self._runner.server
        for handler in list(server.connections if server is not None else ()):
            if handler.transport is not None:
                handler.transport.abort()

    async def close(self) -> None:
        """End everything."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner, self._site = None, None


class OpenSockets:
    """The websockets of an application, so that its end closes them properly."""

    def __init__(self) -> None:
        self._open: weakref.WeakSet[web.WebSocketResponse] = weakref.WeakSet()

    def add(self, socket: web.WebSocketResponse) -> None:
        self._open.add(socket)

    async def close_all(self, _: web.Application | None = None) -> None:
        for socket in set(self._open):
            await socket.close(code=WSCloseCode.GOING_AWAY)
