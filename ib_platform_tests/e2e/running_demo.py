"""A demo as a process, for end-to-end tests, benchmarks and screenshots."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from ib_platform.config import PlatformConfig, load_config
from ib_platform.fleet.local import LocalRuntime
from ib_platform.states import PodState
from ib_platform_tests.ports import free_port, free_port_range

PATIENCE = 300.0
PORTS_OF_PODS = 24


class RunningDemo:
    """Starts `ib-platform demo` below ``folder`` and ends it at exit.

    ``seconds_to_streaming`` counts from the command until every ladder has sent frames.
    """

    def __init__(self, folder: Path, *, ui: bool = False, arguments: Sequence[str] = ()) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder / "demo"
        self.json_file = folder / "summary.json"
        self.log_file = folder / "demo.log"
        self.ui_port = free_port()
        self._options = [*([] if ui else ["--no-ui"]), *arguments]
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds_to_streaming = 0.0

    def __enter__(self) -> RunningDemo:
        began = time.monotonic()
        self.start()
        config_file = self.folder / "ib_platform.yaml"
        try:
            self.wait(config_file.is_file, "the demo's configuration")
            self.config: PlatformConfig = load_config(config_file)
            self._runtime = LocalRuntime(self.config, config_file)
            self.wait(self._all_streaming, "all pods to stream")
        except BaseException:
            self.end()
            raise
        self.seconds_to_streaming = time.monotonic() - began
        self.wait(self._demo_has_seen_it, "the demo to say so")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()

    def start(self) -> None:
        command = [sys.executable, "-m", "ib_platform.cli", "demo", "--folder", str(self.folder)]
        command += ["--ui-port", str(self.ui_port), "--clickhouse-port", str(free_port())]
        command += ["--pod-port", str(free_port_range(PORTS_OF_PODS))]
        command += ["--json", str(self.json_file)]
        with self.log_file.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, *self._options], stdout=log, stderr=subprocess.STDOUT
            )

    def end(self) -> int:
        """Ctrl-C, if it still runs; its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
        return self._process.wait(PATIENCE)

    @property
    def said(self) -> str:
        return self.log_file.read_text(encoding="utf-8")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def summary(self) -> dict[str, Any]:
        """The summary that the demo wrote at its end."""
        summary: dict[str, Any] = json.loads(self.json_file.read_text(encoding="utf-8"))
        return summary

    def processes(self, paper_user: str) -> dict[str, int]:
        """Pid of the running gateway and streamer of a pod."""
        (pod,) = self._runtime.observe([paper_user])
        found = {"gateway": pod.gateway.pid, "streamer": pod.streamer.pid}
        return {name: pid for name, pid in found.items() if pid is not None}

    def clickhouse_pid(self) -> int:
        record = json.loads((self.folder / "children" / "clickhouse.json").read_text())
        pid: int = record["pid"]
        return pid

    def streaming_run(self, paper_user: str) -> str | None:
        """Run id of a streamer that has received ladder frames and is STREAMING, else None."""
        (pod,) = self._runtime.observe([paper_user])
        health = pod.streamer_health
        if health is None or health.state is not PodState.STREAMING:
            return None
        frames = [contract.ladder_frames for contract in health.contracts.values()]
        return health.run_id if frames and min(frames) > 0 else None

    def stored(self, paper_user: str) -> int:
        """Frames of the current run that ClickHouse has acknowledged."""
        (pod,) = self._runtime.observe([paper_user])
        return pod.streamer_health.frames.stored if pod.streamer_health else 0

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Poll until true; an error after five minutes, or when the demo has ended."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"waited in vain for {what}; the demo said:\n{self.said[-3000:]}"
                )
            time.sleep(0.05)

    def wait_for_end(self) -> int:
        """Exit code of a demo that ends by itself."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def survivors(self) -> list[str]:
        """Command lines of processes that still mention this demo's folder."""
        found = []
        for process in psutil.process_iter(["pid", "cmdline", "status"]):
            words = " ".join(process.info["cmdline"] or [])
            ours = str(self.folder) in words and process.info["status"] != psutil.STATUS_ZOMBIE
            if ours and process.pid != self.pid:
                found.append(words)
        return found

    def _demo_has_seen_it(self) -> bool:
        """The demo looks once a second, so it may know later than we."""
        said = self.said
        return all(f"pod {user.name} is STREAMING" in said for user in self.config.paper_users)

    def _all_streaming(self) -> bool:
        return all(self.streaming_run(user.name) for user in self.config.paper_users)
