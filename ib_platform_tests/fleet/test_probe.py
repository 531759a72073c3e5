"""Health calls over real sockets, against servers that behave badly."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec
import pytest

from ib_platform.fleet.probe import ask_health
from ib_platform.health import GatewayHealth
from ib_platform.health_server import Probes, serve_health
from ib_platform_tests.fleet.observations import gateway_health
from ib_platform_tests.ports import free_port

BODY = msgspec.json.encode(gateway_health())
OK = b"HTTP/1.0 200 OK\r\n\r\n"


@contextmanager
def answering(talk: Callable[[socket.socket], None]) -> Iterator[int]:
    """A server of one connection that ``talk`` speaks over; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield int(listener.getsockname()[1])
        thread.join(timeout=60)


def ask(talk: Callable[[socket.socket], None], timeout: float = 5) -> GatewayHealth | str:
    with answering(talk) as port:
        return ask_health(port, GatewayHealth, timeout)


async def test_the_real_health_server_is_understood() -> None:
    port, yes = free_port(), lambda: True
    async with serve_health(port, Probes(yes, yes, yes, gateway_health)):
        answer = await asyncio.to_thread(ask_health, port, GatewayHealth, 5.0)
    assert answer == gateway_health()


def test_an_answer_in_pieces() -> None:
    def talk(connection: socket.socket) -> None:
        for byte in (OK + BODY)[:40]:
            connection.sendall(bytes([byte]))
        connection.sendall((OK + BODY)[40:])

    assert ask(talk) == gateway_health()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "not its health"),
        (b"HTTP/1.0 503 Service Unavailable\r\n\r\n", "503"),
        (OK + b"<html>", "something else"),
        (OK + b"{}", "missing required field"),
        (OK + b"[" * 5000, "something else"),
        (b"\xff\xfe\x00", "not its health"),
    ],
)
def test_other_answers_are_values(answer: bytes, words: str) -> None:
    found = ask(lambda connection: connection.sendall(answer))
    assert isinstance(found, str)
    assert words in found


def test_nobody_listens() -> None:
    found = ask_health(free_port(), GatewayHealth, 5)
    assert isinstance(found, str)
    assert "refused" in found


def test_one_deadline_for_the_whole_call_however_slowly_it_drips() -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        try:
            while not done.wait(0.05):
                connection.sendall(b"x")
        except OSError:
            return

    started = time.monotonic()
    with answering(drip) as port:
        found = ask_health(port, GatewayHealth, 0.5)
        waited = time.monotonic() - started
        done.set()
    assert found == f"no answer on port {port} within 0.5 s"
    assert waited >= 0.5


def test_an_endless_answer_is_cut() -> None:
    def flood(connection: socket.socket) -> None:
        try:
            while True:
                connection.sendall(b"x" * 65536)
        except OSError:
            return

    found = ask(flood, timeout=60)
    assert isinstance(found, str)
    assert "not its health" in found
