"""``ib-platform simulate`` as a process of its own, for clients that need real sockets and TLS."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from ib_platform.config import PaperUser, dump_config
from ib_platform.ibkr.tls import client_ssl_context
from ib_platform.paths import PodPaths
from ib_platform.simulator.control_client import call
from ib_platform.simulator.users import simulated_password
from ib_platform_tests.ports import free_port
from ib_platform_tests.simulator.client import client_of
from ib_platform_tests.simulator.login_client import script_of
from ib_platform_tests.support import make_config, wait_until

# What the clients wait for comes sooner than at IBKR; limits, shapes and semantics stay.
SOONER = {
    "session": {"login_delay": [1.0, 1.5], "authentication_delay": 0.2},
    "gateway": {"auth_delay": 0.5},
    "quotes": {"sampled_every": 0.2},
    "market": {"quiet_rate": 40, "busy_rate": 60},
}


class SimulatorProcess:
    """A running simulator of paper user alpha. ``mark``: a string that only the command line of
    this process holds."""

    def __init__(
        self,
        folder: Path,
        behaviour: dict[str, Any],
        users: Sequence[dict[str, Any]] = (),
        options: Sequence[str] = (),
    ) -> None:
        self.config = make_config(folder)
        self.user: PaperUser = self.config.paper_user("alpha")
        self.password = simulated_password(self.user.username)
        self.certificate = PodPaths(folder, "alpha").certificate
        self.control_port = free_port()
        self.mark = f"simulated-ibkr-{self.control_port}.yaml"
        scenario = {
            "name": "conformance",
            "description": "A day without faults, for clients that we did not write.",
            "at_ibkr": "The same.",
            "behaviour": behaviour,
            "users": list(users),
        }
        (folder / self.mark).write_text(yaml.safe_dump(scenario))
        (folder / "ib_platform.yaml").write_text(dump_config(self.config))
        argv = [sys.executable, "-m", "ib_platform.cli", "simulate", "--paper-user", "alpha"]
        argv += ["--config", str(folder / "ib_platform.yaml")]
        argv += ["--scenario", str(folder / self.mark), "--control-port", str(self.control_port)]
        argv += options
        self.log = folder / "simulator.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(argv, stdout=log, stderr=subprocess.STDOUT)

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.user.gateway_port}"

    def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        return f":{self.user.gateway_port}" in self.log.read_text()

    def fault(self, kind: str, **fields: Any) -> int:
        """Begin a fault; its number."""
        begun = call(self.control_port, "POST", "/faults", {"fault": kind} | fields)
        return int(begun["number"])

    def end_fault(self, number: int) -> None:
        call(self.control_port, "DELETE", f"/faults/{number}")

    def users(self) -> Any:
        return call(self.control_port, "GET", "/state")["users"]

    def me(self) -> Any:
        """What the simulator knows of alpha's user."""
        return next(user for user in self.users() if user["username"] == self.user.username)

    def session(self) -> Any:
        """Alpha's newest login; None if there is none."""
        return (self.me()["logins"] or [None])[-1]

    def penalties(self) -> Any:
        return call(self.control_port, "GET", "/state")["penalties"]

    def log_in(self) -> None:
        """What a person does in a browser, without one."""
        asyncio.run(self._log_in())

    async def _log_in(self) -> None:
        tls = client_ssl_context(self.certificate)
        async with client_of(self.user.gateway_port, tls) as client:
            await script_of(client).log_in(self.user.username, password=self.password)


@contextmanager
def simulator(
    folder: Path,
    *,
    users: Sequence[dict[str, Any]] = (),
    survives: bool = True,
    killed: bool = False,
    options: Sequence[str] = (),
    **behaviour: Any,
) -> Iterator[SimulatorProcess]:
    """The process while it listens; it has to survive its clients and to end in order.

    ``users``: others whom IBKR knows, as a scenario writes them. ``survives`` false: a client may
    end it. ``killed``: the test kills it itself. ``options``: more of the command's.
    """
    running = SimulatorProcess(folder, SOONER | behaviour, users, options)
    try:
        wait_until(running.is_ready, "a listening simulator")
        yield running
        if killed:
            return
        assert not survives or running.process.poll() is None, running.log.read_text()
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
        assert "Traceback" not in running.log.read_text(), running.log.read_text()
    finally:
        running.process.kill()
        running.process.wait(30)


class Lines:
    """A child's JSON lines, read as they come. Other lines are kept for error messages."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self.objects: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._child = child
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._child.stdout is not None
        for line in self._child.stdout:
            try:
                self.objects.append(json.loads(line))
            except ValueError:
                self.other.append(line)

    def wait_for(
        self, wanted: Callable[[dict[str, Any]], bool], what: str, *, after: int = 0, timeout: float
    ) -> dict[str, Any]:
        """The first wanted object behind the first ``after`` ones."""

        def look() -> dict[str, Any] | None:
            found = next((each for each in self.objects[after:] if wanted(each)), None)
            if found is None and self._child.poll() is not None:
                raise AssertionError(f"the client ended before {what}: {self.other[-20:]}")
            return found

        try:
            found = wait_until(look, what, timeout)
        except AssertionError as error:
            error.add_note(f"last objects: {self.objects[-5:]}\nlog: {''.join(self.other[-20:])}")
            raise
        assert found is not None
        return found

    def finish(self) -> None:
        self._reader.join(30)
