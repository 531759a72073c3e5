"""A local runtime over stand-in containers, for the tests of the fleet and of its jobs."""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

from ib_platform.config import PaperUser, PlatformConfig, dump_config
from ib_platform.fleet import processes
from ib_platform.fleet.local import LocalRuntime, stop_all
from ib_platform.fleet.pods import Container, PodObservation
from ib_platform.paths import PodPaths
from ib_platform_tests.fleet.standin import word_file
from ib_platform_tests.support import make_config, wait_until


def standin_command(user: PaperUser, container: Container, config_file: Path) -> list[str]:
    module = "ib_platform_tests.fleet.standin"
    options = ["--config", str(config_file), "--paper-user", user.name]
    return [sys.executable, "-m", module, container.value, *options]


@dataclass
class Pods:
    config: PlatformConfig
    config_file: Path
    runtime: LocalRuntime

    @classmethod
    def create(cls, folder: Path, **limits: float) -> Pods:
        limits = {"start_budget": 60, "shutdown_deadline": 10, "health_timeout": 1, **limits}
        config = make_config(folder / "state", limits=limits)
        file = folder / "ib_platform.yaml"
        file.write_text(dump_config(config), encoding="utf-8")
        return cls(config, file, LocalRuntime(config, file, standin_command))

    def behave(self, paper_user: str, container: str, word: str) -> None:
        file = word_file(self.config.runtime.state_dir, paper_user, container)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(word)

    def paths(self, paper_user: str) -> PodPaths:
        return PodPaths(self.config.runtime.state_dir, paper_user)

    def observe(self, paper_user: str = "alpha") -> PodObservation:
        (seen,) = self.runtime.observe([paper_user])
        return seen

    def wait_settled(self, paper_user: str = "alpha") -> PodObservation:
        def settled() -> PodObservation | None:
            seen = self.observe(paper_user)
            return seen if seen.settled else None

        found = wait_until(settled, f"pod {paper_user} to settle")
        assert found is not None
        return found

    def kill(self, paper_user: str, container: Container) -> int:
        """kill -9; returns the pid."""
        record = processes.read_record(self.paths(paper_user).process_record(container.value))
        assert record is not None
        os.kill(record.pid, signal.SIGKILL)
        return record.pid

    def processes_left(self) -> list[psutil.Process]:
        """Everything alive that carries a mark of these pods."""
        return [
            process
            for user in ("alpha", "beta")
            for container in Container
            for process in processes.marked(
                f"{self.paths(user).folder.resolve()}:{container.value}"
            )
        ]


def end_everything(pods: Pods) -> None:
    for user in ("alpha", "beta"):
        for container in Container:
            pods.behave(user, container.value, "")
    stop_all(pods.config)
    assert pods.processes_left() == []
