"""The local runtime: a pod is two detached processes of this machine, behind one file lock.

The gateway is started first and stopped last, since it owns the session and logs out when nobody
uses it any more. Files of a pod: see ``ib_platform.paths.PodPaths``. Works without Dagster.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from ib_platform.config import PaperUser, PlatformConfig, find_config
from ib_platform.errors import PlatformError, PlatformInUseError
from ib_platform.fleet.draining import run_drain
from ib_platform.fleet.local_containers import (
    START_ORDER,
    STOP_ORDER,
    CommandOf,
    LocalContainers,
    platform_command,
)
from ib_platform.fleet.podlock import PodLock
from ib_platform.fleet.pods import Container, PodObservation, Scope
from ib_platform.fleet.probe import health_of
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.paths import PodPaths

_LOG_TAIL_BYTES = 64 * 1024


class LocalRuntime:
    """A ``PodRuntime``. ``config_file``: what the pods are started with. ``lock_timeout``: seconds
    to wait for somebody else who acts on the same pod, by default as long as a restart takes."""

    def __init__(
        self,
        config: PlatformConfig,
        config_file: Path,
        command_of: CommandOf = platform_command,
        lock_timeout: float | None = None,
    ) -> None:
        self._config = config
        self._config_file = config_file.resolve()
        self._containers = LocalContainers(config, self._config_file, command_of)
        longest = 6 * config.limits.shutdown_deadline
        self._lock_timeout = longest if lock_timeout is None else lock_timeout

    def observe(self, paper_users: Iterable[str]) -> list[PodObservation]:
        """All pods at once, in threads: two health calls of one ``health_timeout`` each."""
        names = list(paper_users)
        if not names:
            return []
        with ThreadPoolExecutor(max_workers=min(16, len(names))) as pool:
            return list(pool.map(self._observe_safely, names))

    def launch(self, paper_user: str, *, end_retirement: bool = True) -> None:
        user = self._config.paper_user(paper_user)
        with self._lock(paper_user, "launch"):
            if not end_retirement:
                self._refuse_retired(paper_user)
            self._retired(paper_user).unlink(missing_ok=True)
            started = self._containers.start_missing(user)
        if not started:
            raise PlatformInUseError(
                f"pod {paper_user} already runs; restart it, or stop it with `ib-platform stop`"
            )

    def restart(self, paper_user: str, scope: Scope) -> None:
        user = self._config.paper_user(paper_user)
        with self._lock(paper_user, f"restart of scope {scope.value}"):
            self._refuse_retired(paper_user)
            for container in STOP_ORDER:
                if scope is Scope.POD or container is Container.STREAMER:
                    self._containers.stop(paper_user, container)
            self._containers.start_missing(user)

    def retire(self, paper_user: str) -> None:
        self._config.paper_user(paper_user)
        with self._lock(paper_user, "retirement"):
            self._retired(paper_user).touch()
            for container in STOP_ORDER:
                self._containers.stop(paper_user, container)

    def unlock(self, paper_user: str) -> None:
        user = self._config.paper_user(paper_user)
        with self._lock(paper_user, "unlock"):
            self._refuse_retired(paper_user)
            token = self._paths(paper_user).unlock_token
            token.write_text(f"{uuid.uuid4().hex}\n", encoding="utf-8")
            for container in STOP_ORDER:
                self._containers.stop(paper_user, container)
            self._containers.start_missing(user)

    def drain(self, paper_user: str, deadline: float) -> str:
        self._config.paper_user(paper_user)
        with self._lock(paper_user, "drain of the spool"):
            streamer = self._containers.state(paper_user, Container.STREAMER)
            if streamer.running:
                raise PlatformInUseError(
                    f"the streamer of pod {paper_user} runs ({streamer}) and loads its spool by "
                    "itself; to drain it without a session, retire the pod first (job retire_pod)"
                )
            return run_drain(self._config_file, paper_user, deadline)

    def stop(self, paper_user: str) -> list[str]:
        """Stop the pod without retiring it. One line per process that was ended.

        The paper user need not be in the configuration any more.
        """
        if not self._paths(paper_user).folder.is_dir():
            return []
        with self._lock(paper_user, "stop"):
            lines = [self._containers.stop(paper_user, container) for container in STOP_ORDER]
        return [line for line in lines if line is not None]

    def log_tail(self, paper_user: str, lines: int) -> str:
        tails = []
        for container in START_ORDER:
            log = self._paths(paper_user).log(container.value)
            tails.append(f"--- {log}\n{_tail(log, lines)}")
        return "\n".join(tails)

    def _observe_safely(self, paper_user: str) -> PodObservation:
        try:
            return self._observe(self._config.paper_user(paper_user))
        except (PlatformError, psutil.Error, OSError) as error:
            return PodObservation(paper_user, error=f"{type(error).__name__}: {error}")

    def _observe(self, user: PaperUser) -> PodObservation:
        gateway = self._containers.state(user.name, Container.GATEWAY)
        streamer = self._containers.state(user.name, Container.STREAMER)
        timeout = self._config.limits.health_timeout
        with ThreadPoolExecutor(max_workers=2) as pool:
            ask = pool.submit(
                health_of, user, gateway, user.gateway_health_port, GatewayHealth, timeout
            )
            streamer_answer = health_of(user, streamer, user.health_port, StreamerHealth, timeout)
            gateway_answer = ask.result()
        return PodObservation(
            user.name,
            gateway=gateway,
            streamer=streamer,
            gateway_health=None if isinstance(gateway_answer, str) else gateway_answer,
            streamer_health=None if isinstance(streamer_answer, str) else streamer_answer,
            gateway_error=gateway_answer if isinstance(gateway_answer, str) else None,
            streamer_error=streamer_answer if isinstance(streamer_answer, str) else None,
            retired=self._retired(user.name).exists(),
            acting=self._lock(user.name, "observation").holder(),
        )

    def _lock(self, paper_user: str, doing: str) -> PodLock:
        return PodLock(self._paths(paper_user), doing, self._lock_timeout)

    def _paths(self, paper_user: str) -> PodPaths:
        return PodPaths(self._config.runtime.state_dir, paper_user)

    def _retired(self, paper_user: str) -> Path:
        return self._paths(paper_user).folder / "retired"

    def _refuse_retired(self, paper_user: str) -> None:
        """Under the lock: what waited for it may be older than the retirement."""
        if self._retired(paper_user).exists():
            raise PlatformError(
                f"pod {paper_user} is retired and stays stopped; to bring it back, run the job "
                "launch_pod by hand"
            )


def stop_all(config: PlatformConfig) -> list[str]:
    """End every pod of the configuration's state folder, streamers before their gateways.

    Pods of paper users that have left the configuration are ended too. Ends nothing that the
    platform did not start. Returns one line per container that was ended.
    """
    runtime = LocalRuntime(config, find_config())
    folder = config.runtime.state_dir / "pods"
    names = (
        sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    )
    if not names:
        return []
    with ThreadPoolExecutor(max_workers=16) as pool:
        return [line for lines in pool.map(runtime.stop, names) for line in lines]


def _tail(log: Path, lines: int) -> str:
    try:
        with log.open("rb") as file:
            size = file.seek(0, 2)
            file.seek(max(0, size - _LOG_TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return "(no log)"
    return "\n".join(text.splitlines()[-lines:]) or "(empty)"
