"""The ports that tests are given: never an outgoing connection's, never given twice."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

from ib_platform_tests.ports import free_port, free_port_range

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
MANY = "from ib_platform_tests.ports import free_port\nprint(*(free_port() for _ in range(300)))"


def test_no_outgoing_connection_is_given_such_a_port() -> None:
    first = int(RANGE.read_text().split()[0]) if RANGE.exists() else 32_768
    assert all(1024 <= free_port() < first for _ in range(300))


def test_neighbours_are_given_once() -> None:
    first = free_port_range(24)
    given = {*range(first, first + 24)}
    assert len(given) == 24
    assert not given & {free_port() for _ in range(300)}


def test_two_processes_of_tests_never_share_one() -> None:
    children = [
        subprocess.Popen([sys.executable, "-c", MANY], stdout=subprocess.PIPE) for _ in range(2)
    ]
    mine = {free_port() for _ in range(300)}
    # Each child's ports are its own only while it lives; this process lives on.
    others = [{int(word) for word in child.communicate()[0].split()} for child in children]
    assert [len(mine), *map(len, others)] == [300, 300, 300]
    assert not mine & others[0]
    assert not mine & others[1]


def test_a_port_somebody_listens_on_is_left_out() -> None:
    taken = free_port_range(3) + 3
    with socket.create_server(("127.0.0.1", taken)):
        assert free_port() != taken
