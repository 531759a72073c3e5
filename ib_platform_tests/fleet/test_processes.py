"""Processes: started detached, found again, ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform.fleet import processes
from ib_platform.fleet.processes import ProcessRecord
from ib_platform_tests.support import wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]


@pytest.fixture
def mark(tmp_path: Path) -> str:
    return f"{tmp_path}:test"


def start(tmp_path: Path, mark: str, program: str | None = None) -> ProcessRecord:
    command = SLEEPER if program is None else [sys.executable, "-c", program]
    return processes.start_detached(command, tmp_path / "log", mark)


def end(mark: str) -> None:
    processes.stop(processes.marked(mark), deadline=10)


def test_start_is_detached_and_found(tmp_path: Path, mark: str) -> None:
    record = start(tmp_path, mark)
    found = processes.find(record)
    assert found is not None
    assert os.getsid(record.pid) == record.pid != os.getsid(0)
    assert record.started_at.tzinfo is not None
    assert os.readlink(f"/proc/{record.pid}/fd/0") == os.devnull
    assert [p.pid for p in processes.marked(mark)] == [record.pid]
    assert processes.adopt(SLEEPER, mark) == record
    assert processes.adopt([*SLEEPER, "other"], mark) is None
    assert processes.adopt(SLEEPER, mark + "2") is None
    end(mark)
    assert processes.find(record) is None


def test_the_log_is_appended_and_private(tmp_path: Path, mark: str) -> None:
    program = "import sys; print('out', flush=True); print('err', file=sys.stderr)"
    for _ in range(2):
        record = start(tmp_path, mark, program)
        wait_until(lambda record=record: processes.find(record) is None, "its end")
    log = tmp_path / "log"
    assert log.read_text() == "out\nerr\n" * 2
    assert log.stat().st_mode & 0o077 == 0


def test_signals_reach_what_a_deaf_starter_started(tmp_path: Path, mark: str) -> None:
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        record = start(tmp_path, mark)
    finally:
        signal.signal(signal.SIGTERM, previous)
    found = processes.find(record)
    assert found is not None
    assert processes.stop([found], deadline=30) == []


def test_a_zombie_is_dead(tmp_path: Path, mark: str) -> None:
    # Its parent is another process that never reaps it.
    parent = subprocess.Popen(
        [sys.executable, "-c", ZOMBIE_MAKER],
        stdout=subprocess.PIPE,
        stdin=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    record = ProcessRecord(pid, psutil.Process(pid).create_time(), mark, [])
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE, "a zombie")
    assert processes.find(record) is None
    assert processes.stop([psutil.Process(pid)], deadline=5) == []
    parent.communicate("end", timeout=30)


ZOMBIE_MAKER = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_another_start_time_is_another_process(mark: str) -> None:
    created = psutil.Process().create_time()
    assert processes.find(ProcessRecord(os.getpid(), created, mark, [])) is not None
    assert processes.find(ProcessRecord(os.getpid(), created - 60, mark, [])) is None
    assert processes.find(None) is None


def test_records_round_trip_and_garbage_is_none(tmp_path: Path, mark: str) -> None:
    path = tmp_path / "record.json"
    assert processes.read_record(path) is None
    record = processes.record_of_self(mark)
    processes.write_record(path, record)
    assert processes.read_record(path) == record
    assert [file.name for file in tmp_path.iterdir()] == ["record.json"]
    path.write_text('{"pid": 1')
    assert processes.read_record(path) is None
    path.unlink()
    path.mkdir()
    assert processes.read_record(path) is None


def test_stop_kills_what_does_not_listen(tmp_path: Path, mark: str) -> None:
    deaf = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True)"
    record = start(tmp_path, mark, f"{deaf}; time.sleep(600)")
    wait_until(lambda: "deaf" in (tmp_path / "log").read_text(), "its ignoring of SIGTERM")
    found = processes.find(record)
    assert found is not None
    assert [p.pid for p in processes.stop([found], deadline=0.3)] == [record.pid]
    assert processes.marked(mark) == []


def test_stopping_nothing_is_harmless() -> None:
    assert processes.stop([], deadline=1) == []


def test_a_detached_process_holds_no_pipe_of_its_starter(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.set_inheritable(write, True)
    code = "import os, time; print(os.listdir('/proc/self/fd'), flush=True); time.sleep(600)"
    log = tmp_path / "program.log"
    record = processes.start_detached([sys.executable, "-c", code], log, f"{tmp_path}:pipes")
    try:
        os.close(write)
        assert os.read(read, 1) == b"", "the end of the pipe is seen although the process lives"
        assert processes.find(record) is not None
    finally:
        os.close(read)
        processes.stop(processes.marked(record.mark), deadline=5)
