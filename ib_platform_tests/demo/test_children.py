"""Children are ended whole, and what a killed demo left behind is found and nothing else."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform.demo.children import CHILD_RECORDS, Child, ChildSpec, end_child, left_over
from ib_platform_tests.support import wait_until

_FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
    "signal.signal(signal.SIGINT, signal.SIG_IGN); print(1, flush=True); time.sleep(600)'])\n"
    "print('started', child.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def child(folder: Path, code: str, name: str = "program") -> Child:
    command = [sys.executable, "-c", code]
    return Child(ChildSpec(folder, name, command, {"DEMO_WORD": "hello"}))


def grandchild_of(started: Child) -> int:
    def find() -> int | None:
        words = started.log_tail().split()
        return int(words[words.index("started") + 1]) if "1" in words and "started" in words else 0

    return wait_until(find, "the grandchild") or 0


def is_gone(pid: int) -> bool:
    """Ended, even where nobody has collected its exit code yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_is_recorded_and_its_whole_family_is_ended(tmp_path: Path) -> None:
    started = child(tmp_path, _FAMILY)
    started.start()
    grandchild = grandchild_of(started)
    assert started.pid is not None
    assert left_over(tmp_path) == [("program", started.pid)]
    started.stop(deadline=0.5)
    assert is_gone(grandchild), "it ignored SIGINT and had to be killed"
    assert left_over(tmp_path) == []
    started.stop(deadline=0.5)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("raise SystemExit(7)", "exit code 7"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
    ],
)
def test_how_a_child_ended_is_said(tmp_path: Path, code: str, reason: str) -> None:
    started = child(tmp_path, code)
    started.start()
    assert wait_until(started.exit_reason, "its end") == reason
    started.stop(deadline=1)


def test_output_goes_to_the_log_and_the_environment_is_passed(tmp_path: Path) -> None:
    started = child(tmp_path, "import os; print(os.environ['DEMO_WORD'])")
    started.start()
    wait_until(started.exit_reason, "its end")
    assert started.log_tail() == "hello"
    started.stop(deadline=1)


def test_what_a_killed_program_left_is_ended_before_it_starts_again(tmp_path: Path) -> None:
    started = child(tmp_path, _FAMILY)
    started.start()
    grandchild, first = grandchild_of(started), started.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    assert wait_until(started.exit_reason, "its end") == "killed by signal 9"
    assert not is_gone(grandchild)
    started.start()
    assert is_gone(grandchild)
    assert started.pid != first
    assert started.exit_reason() is None
    started.stop(deadline=0.5)


def test_another_demo_finds_and_ends_what_was_left(tmp_path: Path) -> None:
    started = child(tmp_path, "import time; time.sleep(600)")
    started.start()
    assert started.pid is not None
    ((name, pid),) = left_over(tmp_path)
    assert (name, pid) == ("program", started.pid)
    end_child(tmp_path / CHILD_RECORDS / "program.json", deadline=1)
    assert is_gone(started.pid)
    assert left_over(tmp_path) == []
    end_child(tmp_path / CHILD_RECORDS / "program.json", deadline=1)


def test_children_of_a_killed_program_are_left_over_too(tmp_path: Path) -> None:
    started = child(tmp_path, _FAMILY)
    started.start()
    grandchild = grandchild_of(started)
    assert started.pid is not None
    os.kill(started.pid, signal.SIGKILL)
    wait_until(started.exit_reason, "its end")
    assert left_over(tmp_path) == [("program", grandchild)]
    end_child(tmp_path / CHILD_RECORDS / "program.json", deadline=0.2)
    assert is_gone(grandchild)
    assert left_over(tmp_path) == []
