"""The processes of one browser, for its end by force."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import psutil

KILL_TIMEOUT = 5.0
_DRIVER_COMMAND = "run-driver"


class BrowserProcesses:
    """Made before the driver is started: drivers that run by then are somebody else's.

    ``folder``: the profile lies below it, hence it stands in the command lines of this Chromium
    and of no other.
    """

    def __init__(self, folder: Path) -> None:
        self._profile = f"--user-data-dir={folder}"
        self._others = {process.pid for process in _drivers()}

    def running(self) -> list[psutil.Process]:
        """Chromium with its own children first, then the driver."""
        # A Chromium whose driver was killed is no descendant of ours any more.
        chromium = [
            process
            for process in psutil.process_iter()
            if any(argument.startswith(self._profile) for argument in _command(process))
        ]
        children = [child for process in chromium for child in _children(process)]
        drivers = [process for process in _drivers() if process.pid not in self._others]
        return list(dict.fromkeys([*chromium, *children, *drivers]))

    def kill(self) -> int:
        """Kill what runs, and wait for its end; returns how many there were.

        Blocks for at most ``KILL_TIMEOUT`` seconds.
        """
        left = self.running()
        for process in left:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        psutil.wait_procs(left, timeout=KILL_TIMEOUT)
        return len(left)


def _drivers() -> Iterable[psutil.Process]:
    return [p for p in psutil.Process().children() if _DRIVER_COMMAND in _command(p)]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []
