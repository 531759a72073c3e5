"""What a demo refuses: one clear sentence, a non-zero exit, nothing left running."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from ib_platform_tests.e2e.running_demo import PORTS_OF_PODS, RunningDemo
from ib_platform_tests.ports import free_port, free_port_range
from ib_platform_tests.support import wait_until


def run_demo(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ib_platform.cli", "demo", "--folder", str(folder), "--no-ui"]
    ports = ["--clickhouse-port", str(free_port())]
    ports += ["--pod-port", str(free_port_range(PORTS_OF_PODS))]
    return subprocess.run(
        [*command, *ports, *arguments], capture_output=True, text=True, timeout=120
    )


def assert_one_clear_sentence(
    done: subprocess.CompletedProcess[str], code: int, words: str
) -> None:
    assert done.returncode == code, (done.stdout, done.stderr)
    assert words in done.stderr
    assert done.stderr.startswith("ib-platform: ")
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = str(holder.getsockname()[1])
        done = run_demo(tmp_path / "demo", "--clickhouse-port", port)
    assert_one_clear_sentence(done, 3, f"port {port} on 127.0.0.1, wanted for ClickHouse")
    assert not (tmp_path / "demo").exists()


def test_a_port_wanted_twice(tmp_path: Path) -> None:
    port = str(free_port_range(PORTS_OF_PODS))
    done = run_demo(tmp_path / "demo", "--clickhouse-port", port, "--pod-port", port)
    assert_one_clear_sentence(done, 2, f"port {port} is wanted for ClickHouse and for the pod of")


def test_the_port_of_the_code_server(tmp_path: Path) -> None:
    first = free_port_range(PORTS_OF_PODS)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", first + 9))
        holder.listen()
        done = run_demo(tmp_path / "demo", "--pod-port", str(first))
    assert_one_clear_sentence(done, 3, f"port {first + 9} on 127.0.0.1, wanted for Dagster's code")


def test_a_summary_that_cannot_be_written(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "demo", "--json", str(tmp_path))
    assert_one_clear_sentence(done, 2, "this is a folder; name a file")


def test_a_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "thesis.tex").write_text("years of work", encoding="utf-8")
    done = run_demo(tmp_path / "demo")
    assert_one_clear_sentence(done, 2, "not the folder of a demo")


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = run_demo(tmp_path / "file" / "demo")
    assert_one_clear_sentence(done, 2, "name another folder with --folder")


def test_a_missing_capture_and_a_broken_one(tmp_path: Path) -> None:
    done = run_demo(tmp_path / "demo", "--replay", str(tmp_path / "absent.jsonl.gz"))
    assert_one_clear_sentence(done, 2, "absent.jsonl.gz: no such file")
    broken = tmp_path / "broken.jsonl"
    broken.write_text('{"t": "2025-11-13T09:30:00Z", "dir": "in"}\n', encoding="utf-8")
    done = run_demo(tmp_path / "demo", "--replay", str(broken))
    assert_one_clear_sentence(done, 2, "broken.jsonl, line 1")


@pytest.mark.parametrize("arguments", [["--for", "0"], ["--speed", "0"], ["--ui-port", "70000"]])
def test_wrong_options(tmp_path: Path, arguments: list[str]) -> None:
    done = run_demo(tmp_path / "demo", *arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


@pytest.mark.timeout(400)
def test_a_demo_that_was_killed_is_found_and_stopped(tmp_path: Path) -> None:
    with RunningDemo(tmp_path) as killed:
        psutil.Process(killed.pid).send_signal(signal.SIGKILL)
        killed.end()
        assert killed.survivors(), "kill -9 of the demo alone leaves its processes"
        done = run_demo(killed.folder)
        assert_one_clear_sentence(done, 3, "ib-platform stop --config")
        for word in ("clickhouse (pid", "dagster", "streamer of alpha", "gateway of beta"):
            assert word in done.stderr
        config = str(killed.folder / "ib_platform.yaml")
        command = [sys.executable, "-m", "ib_platform.cli", "stop", "--config", config]
        stopped = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert stopped.returncode == 0, stopped.stderr
        for word in ("clickhouse stopped", "dagster stopped", "streamer of alpha"):
            assert word in stopped.stdout
        wait_until(lambda: not killed.survivors(), "everything to end")
        again = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert again.stdout.strip() == "nothing was running"


@pytest.mark.timeout(400)
def test_sigterm_during_the_start_leaves_nothing_running(tmp_path: Path) -> None:
    demo = RunningDemo(tmp_path)
    demo.start()
    demo.wait(lambda: demo.log_file.exists() and "starting Dagster" in demo.said, "its start")
    psutil.Process(demo.pid).send_signal(signal.SIGTERM)
    assert demo.wait_for_end() == 1
    assert "ib-platform: the demo was stopped before all pods streamed" in demo.said
    assert demo.survivors() == []


@pytest.mark.timeout(400)
def test_stop_and_a_closed_terminal_end_a_running_demo_in_order(tmp_path: Path) -> None:
    with RunningDemo(tmp_path) as demo:
        config = str(demo.folder / "ib_platform.yaml")
        command = [sys.executable, "-m", "ib_platform.cli", "stop", "--config", config]
        stopped = subprocess.run(command, capture_output=True, text=True, timeout=180)
        assert stopped.stdout.strip() == f"demo stopped (pid {demo.pid})"
        assert demo.wait_for_end() == 0, demo.said
        assert "starting it again" not in demo.said
        assert demo.survivors() == []
    with RunningDemo(tmp_path / "second") as demo:
        psutil.Process(demo.pid).send_signal(signal.SIGHUP)
        assert demo.wait_for_end() == 0, demo.said
        assert demo.survivors() == []
