"""Children are ended whole, and what a killed demo left behind is found and nothing else."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform.demo.children import Child, ChildSpec, end_tree, left_over
from ib_platform_tests.support import wait_until

_FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import signal, time;"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)'])\n"
    "print('started', child.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def child(tmp_path: Path, code: str, name: str = "program") -> Child:
    spec = ChildSpec(
        name=name,
        command=[sys.executable, "-c", code],
        log=tmp_path / "logs" / f"{name}.log",
        environment={"DEMO_WORD": "hello"},
        working_directory=tmp_path,
    )
    return Child(spec, tmp_path / "children")


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
    assert left_over(tmp_path / "children") == [("program", started.pid)]
    started.stop(deadline=0.5)
    assert is_gone(grandchild), "it ignored SIGTERM and had to be killed"
    assert left_over(tmp_path / "children") == []
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
    started = child(tmp_path, "import os; print(os.environ['DEMO_WORD'], os.getcwd())")
    started.start()
    wait_until(started.exit_reason, "its end")
    assert started.log_tail() == f"hello {tmp_path}"
    started.stop(deadline=1)


def test_a_reused_pid_or_a_damaged_record_is_not_ours(tmp_path: Path) -> None:
    records = tmp_path / "children"
    records.mkdir()
    alive = {"pid": os.getpid(), "started": 1.0}
    (records / "reused.json").write_text(json.dumps(alive), encoding="utf-8")
    (records / "torn.json").write_text('{"pid": 12', encoding="utf-8")
    (records / "odd.json").write_text("[]", encoding="utf-8")
    assert left_over(records) == []
    assert left_over(tmp_path / "absent") == []


def test_ending_what_is_gone_is_no_error() -> None:
    end_tree(2**22 + 1, deadline=0.1)
