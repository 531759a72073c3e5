"""A demo as a process, for benchmarks and screenshots."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from ib_platform.config import PlatformConfig, load_config
from ib_platform.fleet.local import LocalRuntime
from ib_platform.states import PodState
from ib_platform_tests.support import free_port

PATIENCE = 300.0


class RunningDemo:
    """Starts `ib-platform demo` in ``folder``, waits until all pods stream, ends it at exit."""

    def __init__(self, folder: Path, *, ui: bool) -> None:
        self._folder = folder / "demo"
        self._ui = ui
        self.ui_port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.seconds_to_streaming = 0.0

    def __enter__(self) -> RunningDemo:
        command = [sys.executable, "-m", "ib_platform.cli", "demo", "--folder", str(self._folder)]
        command += ["--ui-port", str(self.ui_port), "--clickhouse-port", str(free_port())]
        command += ["--pod-port", "22100", *([] if self._ui else ["--no-ui"])]
        log = (self._folder.parent / "demo.log").open("wb")
        began = time.monotonic()
        self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        config_file = self._folder / "ib_platform.yaml"
        try:
            self.wait(config_file.is_file, "the demo's configuration")
            self.config: PlatformConfig = load_config(config_file)
            self._runtime = LocalRuntime(self.config, config_file)
            self.wait(self._all_streaming, "all pods to stream")
        except BaseException:
            self._end()
            raise
        self.seconds_to_streaming = time.monotonic() - began
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    def _end(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        self._process.wait(120)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def processes(self, paper_user: str) -> dict[str, int]:
        """Pid of the running gateway and streamer of a pod."""
        (pod,) = self._runtime.observe([paper_user])
        found = {"gateway": pod.gateway.pid, "streamer": pod.streamer.pid}
        return {name: pid for name, pid in found.items() if pid is not None}

    def streaming_run(self, paper_user: str) -> str | None:
        """Run id of a streamer that has received ladder frames and is STREAMING, else None."""
        (pod,) = self._runtime.observe([paper_user])
        health = pod.streamer_health
        if health is None or health.state is not PodState.STREAMING:
            return None
        frames = [contract.ladder_frames for contract in health.contracts.values()]
        return health.run_id if frames and min(frames) > 0 else None

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Poll until true; an error after five minutes, or when the demo has ended."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self._process is not None
            if self._process.poll() is not None or time.monotonic() > deadline:
                log = (self._folder.parent / "demo.log").read_text(encoding="utf-8")
                raise RuntimeError(f"waited in vain for {what}; the demo said:\n{log[-3000:]}")
            time.sleep(0.05)

    def _all_streaming(self) -> bool:
        return all(self.streaming_run(user.name) for user in self.config.paper_users)
