"""One health call: HTTP GET /status on 127.0.0.1, bounded in time and size.

HTTP/1.0 by hand over a socket: one deadline for the whole call, whatever the other side does, and
neither proxies of the environment nor an event loop come into play.
"""

from __future__ import annotations

import socket
import time
from typing import TypeVar

import msgspec

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.fleet.pods import ContainerState
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.states import PodState

HealthT = TypeVar("HealthT", GatewayHealth, StreamerHealth)
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


def health_of(
    user: PaperUser, state: ContainerState, port: int, payload: type[HealthT], timeout: float
) -> HealthT | str | None:
    """The health of the container in ``state``; None when it does not run, else as ``ask_health``.

    An answer of any other process on that port is not its health.
    """
    if not state.running:
        return None
    answer = ask_health(port, payload, timeout)
    if isinstance(answer, str):
        return answer
    if (answer.paper_user, answer.pid) != (user.name, state.pid):
        return (
            f"port {port} is answered by pid {answer.pid} of {answer.paper_user}, "
            f"not by pid {state.pid} of {user.name}"
        )
    return answer


def unlocked_state(config: PlatformConfig, paper_user: str) -> PodState | None:
    """The state that the gateway supervisor of a pod tells, if it answers and is not locked.

    Raises ConfigurationError for an unknown paper user.
    """
    port = config.paper_user(paper_user).gateway_health_port
    health = ask_health(port, GatewayHealth, config.limits.health_timeout)
    if isinstance(health, str) or health.state in (PodState.LOCKED, PodState.REFUSED_LIVE):
        return None
    return health.state


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
