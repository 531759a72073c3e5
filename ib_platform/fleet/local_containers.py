"""The containers of local pods: each is a detached process of this machine with a record of it.

Who starts and stops them holds the lock of the pod.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from ib_platform.config import PaperUser, PlatformConfig
from ib_platform.fleet import processes
from ib_platform.fleet.pods import Container, ContainerState, Phase
from ib_platform.fleet.processes import ProcessRecord
from ib_platform.paths import PodPaths

START_ORDER = (Container.GATEWAY, Container.STREAMER)
STOP_ORDER = (Container.STREAMER, Container.GATEWAY)
_SUBCOMMANDS = {Container.GATEWAY: "gateway", Container.STREAMER: "stream"}
CommandOf = Callable[[PaperUser, Container, Path], Sequence[str]]
logger = logging.getLogger(__name__)


def platform_command(user: PaperUser, container: Container, config_file: Path) -> list[str]:
    """The command line of a container. It names the configuration file and holds no secret."""
    subcommand = _SUBCOMMANDS[container]
    options = ["--config", str(config_file), "--paper-user", user.name]
    return [sys.executable, "-m", "ib_platform.cli", subcommand, *options]


class LocalContainers:
    """Sees, starts and stops them. ``config_file``, absolute: what they are started with."""

    def __init__(self, config: PlatformConfig, config_file: Path, command_of: CommandOf) -> None:
        self._config = config
        self._config_file = config_file
        self._command_of = command_of
        # A container may flush for the whole deadline: it ends some time after it.
        self._stop_deadline = 1.5 * config.limits.shutdown_deadline

    def state(self, paper_user: str, container: Container) -> ContainerState:
        """Whether its recorded process runs, has ended, or never was."""
        path = self._paths(paper_user).process_record(container.value)
        record = processes.read_record(path)
        if record is not None and processes.find(record) is not None:
            return ContainerState(Phase.RUNNING, record.pid, record.started_at)
        # A record that cannot be read still says that something was started.
        return ContainerState(Phase.EXITED if path.exists() else Phase.ABSENT)

    def start_missing(self, user: PaperUser) -> list[Container]:
        """Start what does not run, in order; what runs without a record is adopted. Returns what
        was started."""
        started = []
        for container in START_ORDER:
            paths = self._paths(user.name)
            path = paths.process_record(container.value)
            record = processes.read_record(path)
            if record is not None and processes.find(record) is not None:
                continue
            command = [
                *self._command_of(user, container, self._config_file),
                *self._unlock_option(paths, container),
            ]
            mark = self._mark(user.name, container)
            if (adopted := processes.adopt(command, mark)) is not None:
                logger.warning("%s of %s: adopted pid %s", container, user.name, adopted.pid)
                processes.write_record(path, adopted)
                continue
            self.stop(user.name, container)  # children that a killed predecessor left behind
            record = processes.start_detached(command, paths.log(container.value), mark)
            processes.write_record(path, record)
            logger.info("%s of %s: started pid %s", container, user.name, record.pid)
            started.append(container)
        return started

    def stop(self, paper_user: str, container: Container) -> str | None:
        """End it with everything that it started; a line for people, None when nothing ran."""
        path = self._paths(paper_user).process_record(container.value)
        line = end_container(
            processes.read_record(path),
            self._mark(paper_user, container),
            self._stop_deadline,
        )
        path.unlink(missing_ok=True)
        return None if line is None else f"{container.value} of {paper_user}: {line}"

    def _unlock_option(self, paths: PodPaths, container: Container) -> list[str]:
        if container is not Container.GATEWAY or not paths.unlock_token.exists():
            return []
        return ["--unlock-token", paths.unlock_token.read_text(encoding="utf-8").strip()]

    def _paths(self, paper_user: str) -> PodPaths:
        return PodPaths(self._config.runtime.state_dir, paper_user)

    def _mark(self, paper_user: str, container: Container) -> str:
        return f"{self._paths(paper_user).folder.resolve()}:{container.value}"


def end_container(record: ProcessRecord | None, mark: str, deadline: float) -> str | None:
    """End a container's own process, then what it left behind; None when there was nothing."""
    leader = processes.find(record)
    ended = [leader] if leader is not None else []
    killed = processes.stop(ended, deadline)
    rest = processes.marked(mark)
    killed += processes.stop(rest, deadline)
    if not ended and not rest:
        return None
    pids = ", ".join(str(process.pid) for process in (*ended, *rest))
    return f"ended pid {pids}" + (" (killed)" if killed else "")
