"""Starting, restarting and ending a child process; the guard against orphans."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform.errors import GatewayError, PlatformInUseError
from ib_platform.gateway.guard import guarded
from ib_platform.gateway.program import (
    GatewayProgram,
    ProgramCommand,
    port_is_free,
    program_command,
    restart_pause,
)
from ib_platform_tests.pod_processes import wait_gone
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import make_config, wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "open(sys.argv[1], 'w').close(); time.sleep(600)",
]


class Sleeps:
    """Instead of asyncio.sleep: remembers what was asked for and returns at once."""

    def __init__(self) -> None:
        self.asked: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        await asyncio.sleep(0)


def _command(*argv: str) -> ProgramCommand:
    return ProgramCommand(argv)


async def _until(condition: object, what: str) -> None:
    assert callable(condition)
    await asyncio.to_thread(wait_until, condition, what)


def test_the_command_line_names_files_and_holds_no_secret(tmp_path: Path) -> None:
    config = make_config(tmp_path)
    user = config.paper_user("alpha")
    argv = list(program_command(config, user, Path("some.yaml")).argv)
    assert argv[:4] == [sys.executable, "-m", "ib_platform.cli", "simulate"]
    assert argv[argv.index("--config") + 1] == str(Path("some.yaml").resolve())
    assert argv[argv.index("--port") + 1] == str(user.gateway_port)
    assert user.username not in argv


def test_pauses_double_up_to_a_cap() -> None:
    assert [restart_pause(n) for n in (0, 1, 2, 3, 40)] == [0, 0.5, 1, 2, 30]
    assert restart_pause(5000) == 30


def test_a_port_that_cannot_be_bound_at_all_is_a_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Forbidden(socket.socket):
        def bind(self, address: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(socket, "socket", Forbidden)
    with pytest.raises(GatewayError, match="gateway port 443 cannot be used .*Permission denied"):
        port_is_free(443)


def test_a_port_is_free_or_not() -> None:
    port = free_port()
    assert port_is_free(port)
    with socket.create_server(("127.0.0.1", port)):
        assert not port_is_free(port)


async def test_a_dying_program_is_restarted_with_growing_pauses() -> None:
    sleeps = Sleeps()
    argv = [sys.executable, "-c", "raise SystemExit(1)"]
    program = GatewayProgram(_command(*argv), free_port(), port_deadline=5, sleep=sleeps)
    task = asyncio.create_task(program.keep_running())
    await _until(lambda: program.starts >= 4, "four starts")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await program.stop(5)
    assert sleeps.asked[:4] == [0, 0.5, 1, 2]
    assert program.pid is None


async def test_a_program_that_ignores_sigterm_is_killed_after_the_deadline(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    program = GatewayProgram(_command(*STUBBORN, str(ready)), free_port(), port_deadline=5)
    task = asyncio.create_task(program.keep_running())
    await _until(ready.exists, "the program")
    assert program.pid is not None
    child = psutil.Process(program.pid)
    task.cancel()
    await program.stop(0.2)
    assert program.pid is None
    assert not child.is_running()


async def test_a_port_that_stays_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        program = GatewayProgram(_command(*SLEEPER), port, port_deadline=0.3)
        with pytest.raises(PlatformInUseError, match=str(port)):
            await program.keep_running()
    assert program.starts == 0


def test_a_guarded_child_dies_with_its_parent() -> None:
    argv = guarded(SLEEPER, 0)
    parent = (
        "import os, subprocess, sys, time;"
        f"argv = {argv!r}; argv[3] = str(os.getpid());"
        "print(subprocess.Popen(argv).pid, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = psutil.Process(int(process.stdout.readline()))
        wait_until(lambda: "ib_platform.gateway.guard" not in child.cmdline(), "the exec")
        assert child.is_running()
        process.kill()
    wait_gone(child, "the guarded child")


def test_a_guarded_child_of_a_parent_that_is_gone_does_not_start() -> None:
    not_the_parent = os.getppid()
    assert subprocess.run(guarded(SLEEPER, not_the_parent), timeout=30).returncode == 3


async def test_a_restart_that_was_asked_for_waits_for_nothing(tmp_path: Path) -> None:
    sleeps = Sleeps()
    program = GatewayProgram(_command(*SLEEPER), free_port(), port_deadline=5, sleep=sleeps)
    task = asyncio.create_task(program.keep_running())
    await _until(lambda: program.pid, "the program")
    first = program.pid
    await program.restart(10)
    await _until(lambda: program.pid not in (None, first), "another program")
    assert program.starts == 2
    assert set(sleeps.asked) == {0.0}
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await program.stop(10)


async def test_it_runs_in_its_folder(tmp_path: Path) -> None:
    writer = [sys.executable, "-c", "open('here', 'w').close(); import time; time.sleep(600)"]
    command = ProgramCommand(tuple(writer), tmp_path)
    program = GatewayProgram(command, free_port(), port_deadline=5)
    task = asyncio.create_task(program.keep_running())
    await _until((tmp_path / "here").exists, "its file")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await program.stop(10)
