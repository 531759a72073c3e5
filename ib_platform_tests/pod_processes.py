"""Real pod processes for tests: start a command of ib-platform, ask its health, end it."""

from __future__ import annotations

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
import psutil

from ib_platform.config import PlatformConfig, dump_config
from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform_tests.secret_watch import WATCH
from ib_platform_tests.support import wait_until

Health = TypeVar("Health", GatewayHealth, StreamerHealth)


def write_config(config: PlatformConfig, folder: Path) -> Path:
    """The configuration as a file that commands can read."""
    file = folder / "ib_platform.yaml"
    file.write_text(dump_config(config))
    return file


def http_get(port: int, path: str, method: str = "GET") -> tuple[int, bytes] | None:
    """Status and body of a plain HTTP call, None while nobody listens."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        body = answer.read()
        WATCH.look(body, f"the answer of {path} at port {port}")
        return answer.status, body
    except (ConnectionError, http.client.HTTPException, TimeoutError):
        return None
    finally:
        connection.close()


def health_of(port: int, kind: type[Health]) -> Health | None:
    """The answer of ``/status``, None while nobody listens."""
    answer = http_get(port, "/status")
    return None if answer is None else msgspec.json.decode(answer[1], type=kind)


class PodProcess:
    """One running command with its log file."""

    def __init__(
        self,
        command: str,
        config_file: Path,
        paper_user: str,
        name: str,
        options: Sequence[str] = (),
    ) -> None:
        self.log = config_file.with_name(f"{name}.log")
        argv = [sys.executable, "-m", "ib_platform.cli", command]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*argv, "--config", str(config_file), "--paper-user", paper_user, *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and return its exit code."""
        if self.process.poll() is None:
            WATCH.look_at_arguments(psutil.Process(self.pid))
        self.process.send_signal(number)
        return self.process.wait(60)

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.pid).children(recursive=True)


@contextmanager
def running(
    command: str,
    config_file: Path,
    paper_user: str = "alpha",
    name: str | None = None,
    options: Sequence[str] = (),
) -> Iterator[PodProcess]:
    """A command that is killed, with its children, when the block ends."""
    process = PodProcess(command, config_file, paper_user, name or command, options)
    try:
        yield process
    except AssertionError as error:
        error.add_note(f"{process.log}:\n{process.output()[-4000:]}")
        raise
    finally:
        if process.process.poll() is None:
            WATCH.look_at_arguments(psutil.Process(process.pid))
            children = process.children()
            process.process.kill()
            process.process.wait(30)
            for child in children:
                if child.is_running():
                    child.kill()


def wait_gone(process: psutil.Process, what: str) -> None:
    """Until the process is no longer there (or only its entry is, as a zombie)."""

    def gone() -> bool:
        try:
            return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True

    wait_until(gone, f"the end of {what}")
