"""The gateway program as a child process: what to run, when to run it again, how to end it."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.errors import GatewayError, PlatformInUseError
from ib_platform.gateway.conf import write_instance
from ib_platform.gateway.guard import guarded
from ib_platform.gateway.java import find_java, java_command
from ib_platform.paths import PodPaths

logger = logging.getLogger(__name__)
_FIRST_PAUSE = 0.5
_LONGEST_PAUSE = 30.0
_MOST_DOUBLINGS = 16
_WELL_AFTER = 60.0
_PORT_POLL = 0.2


@dataclass(frozen=True)
class ProgramCommand:
    """What to run, and in which folder (None: the present one). Holds no secret."""

    argv: tuple[str, ...]
    folder: Path | None = None


def program_command(config: PlatformConfig, user: PaperUser, config_file: Path) -> ProgramCommand:
    """The gateway program that the configuration names, with everything it needs in place.

    Raises:
        MissingDependencyError: there is no Java, or too old a one.
        ConfigurationError: IBKR's program is not where the configuration says.
    """
    paths = PodPaths(config.runtime.state_dir, user.name)
    java = config.gateway.java
    if config.gateway.program == "java" and java is not None:
        executable = find_java(java).path
        write_instance(
            paths.gateway_folder, java, user.gateway_port, paths.certificate, paths.private_key
        )
        return ProgramCommand(tuple(java_command(executable, java)), paths.gateway_folder)
    return ProgramCommand(
        (
            sys.executable,
            "-m",
            "ib_platform.cli",
            "simulate",
            "--config",
            str(config_file.resolve()),
            "--paper-user",
            user.name,
            "--port",
            str(user.gateway_port),
            "--certificate",
            str(paths.certificate),
            "--private-key",
            str(paths.private_key),
            *(() if config.gateway.simulator.logged_in else ("--logged-out",)),
        )
    )


def restart_pause(failures: int) -> float:
    """Seconds to wait before a start after ``failures`` lives in a row that ended early."""
    # 2.0 ** 1024 is more than a float holds.
    doublings = min(max(0, failures - 1), _MOST_DOUBLINGS)
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**doublings) if failures else 0.0


def port_is_free(port: int) -> bool:
    """Whether a program could listen on the port now, on any interface.

    The gateway binds all interfaces, so a listener on one of them is in its way.

    Raises:
        GatewayError: the port cannot be bound at all, like for want of rights.
    """
    for host in ("127.0.0.1", "0.0.0.0"):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
                raise GatewayError(
                    f"gateway port {port} cannot be used at {host} ({error.strerror}). Ports below "
                    "1024 may need rights of their own; change gateway_port of this paper user in "
                    "the configuration."
                ) from error
    return True


class GatewayProgram:
    """Keeps the program running until ``stop``; restarts it with backoff when it dies."""

    def __init__(
        self,
        command: ProgramCommand,
        port: int,
        *,
        port_deadline: float,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._command = command
        self._restarting = False
        self._port = port
        self._port_deadline = port_deadline
        self._sleep = sleep
        self._process: asyncio.subprocess.Process | None = None
        self.starts = 0

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def keep_running(self) -> None:
        """Start it, wait for its end, start it again; runs until cancelled.

        Raises:
            PlatformInUseError: another process does not let go of the port.
            GatewayError: the port cannot be bound at all.
        """
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            await self._sleep(restart_pause(failures))
            await self._wait_for_port()
            began = loop.time()
            self._process = await asyncio.create_subprocess_exec(
                *guarded(self._command.argv, os.getpid()),
                stdin=asyncio.subprocess.DEVNULL,
                cwd=self._command.folder,
            )
            self.starts += 1
            logger.info("gateway program started, pid %d, port %d", self._process.pid, self._port)
            code = await self._process.wait()
            if self._restarting:
                failures, self._restarting = 0, False
                continue
            failures = 1 if loop.time() - began > _WELL_AFTER else failures + 1
            logger.error(
                "gateway program ended with code %d; next start in %.1f s",
                code,
                restart_pause(failures),
            )

    async def restart(self, deadline: float) -> None:
        """End it as ``stop`` does; ``keep_running`` starts it again at once."""
        self._restarting = self.pid is not None
        await self.stop(deadline)

    async def stop(self, deadline: float) -> None:
        """SIGTERM, and SIGKILL when it is still there after ``deadline`` seconds."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), deadline)
        except TimeoutError:
            logger.warning("gateway program ignored SIGTERM for %.0f s: killed", deadline)
            process.kill()
            await process.wait()

    async def _wait_for_port(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._port_deadline
        if not port_is_free(self._port):
            logger.warning("port %d is still taken; waiting for it", self._port)
        while not port_is_free(self._port):
            if loop.time() > until:
                raise PlatformInUseError(
                    f"gateway port {self._port} has been taken for {self._port_deadline:.0f} s by "
                    "another process. Stop it, or change gateway_port of this paper user in the "
                    "configuration."
                )
            await self._sleep(_PORT_POLL)
