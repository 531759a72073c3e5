"""Ports for tests: such as nobody else takes between the moment they are given and their use.

The kernel gives outgoing connections source ports of its ephemeral range, and a listener cannot
bind a port that a connection holds. So these come from below that range, in blocks that a process
of tests owns through a lock for as long as it lives.
"""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path

_FIRST = 10_000
_BLOCK = 256
_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOCKS = Path(tempfile.gettempdir()) / f"ib_platform_test_ports.{os.getuid()}"

_waiting: list[int] = []


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now and that was not given before."""
    return free_port_range(1)


def free_port_range(count: int) -> int:
    """First of ``count`` neighbouring ports, all free now, none of them given before."""
    while True:
        if len(_waiting) < count:
            _waiting[:] = _new_block()
        ports = [_waiting.pop(0) for _ in range(count)]
        if all(_is_free(port) for port in ports):
            return ports[0]


def _new_block() -> range:
    """Ports that no other process of tests has.

    Raises:
        RuntimeError: there is none left.
    """
    _LOCKS.mkdir(mode=0o700, exist_ok=True)
    ephemeral = int(_EPHEMERAL.read_text().split()[0]) if _EPHEMERAL.exists() else 32_768
    firsts = list(range(_FIRST, ephemeral - _BLOCK, _BLOCK))
    random.shuffle(firsts)
    for first in firsts:
        lock = os.open(_LOCKS / str(first), os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        # Left open: the end of the process gives the block back.
        return range(first, first + _BLOCK)
    raise RuntimeError(f"no block of ports is left between {_FIRST} and {ephemeral}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
