"""One health call: HTTP GET /status on 127.0.0.1, bounded in time and size.

HTTP/1.0 by hand over a socket: one deadline for the whole call, whatever the other side does, and
neither proxies of the environment nor an event loop come into play.
"""

from __future__ import annotations

import socket
import time
from typing import TypeVar

import msgspec

HealthT = TypeVar("HealthT")
_REQUEST = b"GET /status HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n"
_LARGEST = 1024 * 1024


def ask_health(port: int, payload: type[HealthT], timeout: float) -> HealthT | str:
    """The health payload, or one line that says why there is none. Never raises.

    ``timeout``: seconds for the whole call.
    """
    try:
        answer = _exchange(port, time.monotonic() + timeout)
    except TimeoutError:
        return f"no answer on port {port} within {timeout:g} s"
    except OSError as error:
        return f"port {port}: {error.strerror or error}"
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head.split(b"\r\n", 1)[0].decode("ascii", errors="replace")
    if len(answer) > _LARGEST or " 200 " not in f"{status} ":
        return f"port {port} answers {status[:80]!r}, {len(answer)} bytes: not its health"
    try:
        return msgspec.json.decode(body, type=payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return f"port {port} answers something else than its health: {error}"


def _exchange(port: int, deadline: float) -> bytes:
    def left() -> float:
        if (seconds := deadline - time.monotonic()) <= 0:
            raise TimeoutError
        return seconds

    answer = b""
    with socket.create_connection(("127.0.0.1", port), timeout=left()) as connection:
        connection.sendall(_REQUEST)
        connection.settimeout(left())
        while (chunk := connection.recv(65536)) and len(answer) <= _LARGEST:
            answer += chunk
            connection.settimeout(left())
    return answer
