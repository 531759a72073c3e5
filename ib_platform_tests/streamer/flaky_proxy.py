"""A TCP proxy that drops connections: before the request, or after the server has answered it."""

from __future__ import annotations

import random
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self


class FlakyProxy:
    """Forwards 127.0.0.1:``port`` to ``target_port``; drops with the given probabilities.

    ``drop_request``: per piece from the client, not forwarded, so the server never sees the whole
    request. ``drop_response``: per piece from the server, so what was asked has been done.
    """

    def __init__(
        self,
        target_port: int,
        *,
        port: int = 0,
        drop_request: float = 0,
        drop_response: float = 0,
        seed: int = 1,
    ) -> None:
        self._target_port = target_port
        self._rng = random.Random(seed)
        self.drop_request = drop_request
        self.drop_response = drop_response
        self.dropped_requests = self.dropped_responses = 0
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._target_port))
            self._open |= {client, server}
            for relay, source, sink in (
                (self._requests, client, server),
                (self._responses, server, client),
            ):
                thread = threading.Thread(target=relay, args=(source, sink))
                self._threads.append(thread)
                thread.start()

    def _requests(self, client: socket.socket, server: socket.socket) -> None:
        for piece in _pieces(client):
            if self._rng.random() < self.drop_request:
                self.dropped_requests += 1
                break
            with suppress(OSError):
                server.sendall(piece)
        _end(client, server)

    def _responses(self, server: socket.socket, client: socket.socket) -> None:
        for piece in _pieces(server):
            if self._rng.random() < self.drop_response:
                self.dropped_responses += 1
                break
            with suppress(OSError):
                client.sendall(piece)
        _end(client, server)

    def close(self) -> None:
        """Drop everything and wait for the threads."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        _end(*self._open)
        for thread in self._threads:
            thread.join(30)
        for connection in self._open:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _pieces(source: socket.socket):  # type: ignore[no-untyped-def]
    while True:
        try:
            piece = source.recv(65536)
        except OSError:
            return
        if not piece:
            return
        yield piece


def _end(*connections: socket.socket) -> None:
    for connection in connections:
        with suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)
