"""What troubles websockets: who is told of a fault that begins, and what goes over the wire then.

A connection is told while it is open and forgotten with it. What follows is decided by the
connection; the shapes of the frames that only a fault brings are here, as pure functions.
"""

from __future__ import annotations

import itertools
import weakref
from typing import Protocol

from ib_platform.simulator import shapes
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.faults import Fault, Faults

ECHO = b"ech+hb"
_SENDABLE = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})
_KEPT_SHARE = 0.6


class Told(Protocol):
    """Something that wants to know of every fault that begins."""

    def told(self, fault: Fault) -> None: ...


class OpenConnections:
    """The connections of one face. Holds none of them alive. ``numbers``: one for each, in the
    order in which they came."""

    def __init__(self, faults: Faults) -> None:
        self.numbers = itertools.count()
        self._open: weakref.WeakSet[Told] = weakref.WeakSet()
        faults.listen(self._tell)

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Told) -> None:
        self._open.add(connection)

    def discard(self, connection: Told) -> None:
        """No-op if it is not there."""
        self._open.discard(connection)

    def _tell(self, fault: Fault, now: float) -> None:
        for connection in list(self._open):
            connection.told(fault)


class Closing(Exception):
    """The simulated side ends this websocket with a code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def is_sendable(code: int) -> bool:
    """Whether a close frame may carry this code (RFC 6455, 7.4). 1006 and the like are what a
    client reports when the connection was cut without one."""
    return code in _SENDABLE


def frames_of(fault: Fault) -> list[bytes]:
    """Frames that an instant fault sends to every greeted websocket; none for other kinds."""
    match fault.kind:
        case FaultKind.UNKNOWN_TOPIC:
            return [shapes.encode({"topic": "xyz+1", "args": {"value": 1}})]
        case FaultKind.ECHO_TEXT:
            return [ECHO]
        case FaultKind.GIANT_FRAME:
            return [_giant(int(fault.number_of("bytes")))]
        case FaultKind.NOTIFICATION:
            return [_notification(str(fault["topic"]), str(fault["text"]), fault.number)]
        case _:
            return []


def notification(text: str, title: str, number: int) -> bytes:
    """``ntf``: a message to the user (Web API page, section 3.2)."""
    args = {"id": f"sim-{number}", "text": text, "title": title, "url": ""}
    return shapes.encode({"topic": "ntf", "args": args})


def truncated(payload: bytes) -> bytes:
    """The frame without its end: no JSON any more."""
    return payload[: max(1, int(len(payload) * _KEPT_SHARE))]


def _notification(topic: str, text: str, number: int) -> bytes:
    if topic == "blt":
        return shapes.encode({"topic": "blt", "args": {"id": f"sim-{number}", "message": text}})
    return notification(text, "Simulator", number)


def _giant(size: int) -> bytes:
    """A bulletin of exactly ``size`` bytes, or the smallest possible one."""
    empty = shapes.encode({"topic": "blt", "args": {"id": "giant", "message": ""}})
    padding = "x" * (size - len(empty))
    return shapes.encode({"topic": "blt", "args": {"id": "giant", "message": padding}})
