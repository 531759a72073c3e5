"""ibeam 0.5.12 as a process: it drives Chromium through the login page and minds the session.

It would terminate every process whose command line holds ``IBEAM_GATEWAY_PROCESS_MATCH``: that is
the simulator's mark, which stands in no other command line. Its verdicts are its log and its health
server: ``/readyz`` asks the gateway anew each time, ``/livez`` is 500 once it has given up.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from filelock import FileLock

from ib_platform_tests.conformance.foreign import program, python_of
from ib_platform_tests.conformance.simulator_process import SimulatorProcess
from ib_platform_tests.pod_processes import http_get
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import wait_until

TIMEOUT = 90.0
_STARTER = (
    "import ibeam, pathlib; print(pathlib.Path(ibeam.__file__).with_name('ibeam_starter.py'))"
)


class Ibeam:
    """One running ibeam."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, health_port: int) -> None:
        self.process = process
        self._log = log
        self._health_port = health_port

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def says(self, text: str, *, times: int = 1) -> None:
        """Wait until its log holds ``text`` so often."""

        def look() -> bool:
            if self.count(text) >= times:
                return True
            assert self.process.poll() is None, f"ibeam has ended:\n{self.log()[-3000:]}"
            return False

        try:
            wait_until(look, f"ibeam's {text!r}", TIMEOUT)
        except AssertionError as error:
            error.add_note(self.log()[-4000:])
            raise

    def count(self, text: str) -> int:
        return self.log().count(text)

    def says_again(self, text: str) -> None:
        """Wait until its log holds ``text`` once more than now."""
        self.says(text, times=self.count(text) + 1)

    def health(self, path: str) -> int | None:
        """Status of its health server; None while that does not listen. Not to be polled: behind
        each ``/readyz`` is a tickle, and ten requests a second are allowed."""
        answer = http_get(self._health_port, path)
        return None if answer is None else answer[0]


@contextmanager
def ibeam(simulator: SimulatorProcess, folder: Path, **settings: str) -> Iterator[Ibeam]:
    """ibeam with alpha's credentials; ``settings``: its own, without the prefix ``IBEAM_``.

    Everything that it starts (Chromium, its driver, Xvfb) ends with the block. One at a time on a
    machine: its Chromium listens on port 9222.
    """
    with FileLock(Path(tempfile.gettempdir()) / "ib_platform_tests.ibeam.lock"):
        yield from _ibeam(simulator, folder, settings)


def _ibeam(simulator: SimulatorProcess, folder: Path, settings: dict[str, str]) -> Iterator[Ibeam]:
    python, driver = python_of("ibeam"), program("chromedriver", "chromium-driver")
    program("chromium", "chromium")
    program("Xvfb", "xvfb")
    found = subprocess.run(
        [str(python), "-c", _STARTER], capture_output=True, text=True, check=True
    )
    inputs = folder / "inputs"
    inputs.mkdir()
    port = free_port()
    own = {
        "GATEWAY_BASE_URL": simulator.address,
        "GATEWAY_PROCESS_MATCH": simulator.mark,
        "GATEWAY_DIR": str(folder),
        "INPUTS_DIR": str(inputs),
        "OUTPUTS_DIR": str(folder),
        "CHROME_DRIVER_PATH": str(driver),
        "ACCOUNT": simulator.user.username,
        "PASSWORD": simulator.password,
        "HEALTH_SERVER_PORT": str(port),
        "LOG_TO_FILE": "false",
        "MIN_PRESUBMIT_BUFFER": "1",
    }
    environment = {f"IBEAM_{name}": value for name, value in (own | settings).items()}
    log = folder / "ibeam.log"
    # Chromium's profile lies in the folder for temporary files under a fixed name, with a socket
    # in it, whose path has to be short.
    temporary = tempfile.mkdtemp(prefix="ibeam")
    with log.open("wb") as out:
        process = subprocess.Popen(
            [str(python), found.stdout.strip()],
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=os.environ | environment | {"TMPDIR": temporary, "PYTHONUNBUFFERED": "1"},
        )
    try:
        yield Ibeam(process, log, port)
    finally:
        _end(process)
        shutil.rmtree(temporary, ignore_errors=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait(30)
