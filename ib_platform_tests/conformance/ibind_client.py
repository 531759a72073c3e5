"""ibind 0.2.2 as a process: orders on its stdin, its typed events and verdicts from its stdout."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ib_platform.ibkr.pacing import TICKLE, VALIDATE, Pace
from ib_platform_tests.conformance.foreign import HERE, python_of
from ib_platform_tests.conformance.simulator_process import Lines, SimulatorProcess

TIMEOUT = 45.0
_PATHS = {
    "tickle": TICKLE,
    "check_health": TICKLE,
    "validate": VALIDATE,
    "portfolio_accounts": "/portfolio/accounts",
}
Event = dict[str, Any]


class RefusedError(Exception):
    """What ibind raised: its exception's class, HTTP status and text."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.type, self.status, self.text = error["type"], error["status"], error["text"]
        super().__init__(f"{self.type} {self.status}: {self.text}")


class IbindClient:
    """One running ibind."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self._ids = itertools.count(1)
        self._pace = Pace(share=8)
        self.lines = Lines(child)

    def do(self, name: str, **arguments: Any) -> Any:
        """An order and its answer; RefusedError with what ibind raised."""
        number = next(self._ids)
        assert self._child.stdin is not None
        order = {"id": number, "do": name, "arguments": arguments}
        self._child.stdin.write(json.dumps(order) + "\n")
        self._child.stdin.flush()
        answer = self.lines.wait_for(
            lambda said: said.get("id") == number, f"the answer to {name}", timeout=TIMEOUT
        )
        if "error" in answer:
            raise RefusedError(answer["error"])
        return answer["answer"]

    def rest(self, method: str, **arguments: Any) -> Any:
        """A REST method of ibind; the data of its result. ibind has no limiter: ours stands here
        before it."""
        asyncio.run(self._wait_for_turn(_PATHS.get(method, "")))
        return self.carelessly(method, **arguments)

    def carelessly(self, method: str, **arguments: Any) -> Any:
        """The same as fast as ibind can."""
        return self.do("call_rest", method=method, arguments=arguments)

    async def _wait_for_turn(self, path: str) -> None:
        async with self._pace.turn(path):
            pass

    def now(self) -> int:
        """A place in the stream of events, for ``event(after=...)``."""
        return len(self.lines.objects)

    def event(
        self,
        kind: str,
        wanted: Callable[[Event], bool] = lambda _: True,
        *,
        after: int = 0,
        timeout: float = TIMEOUT,
    ) -> Event:
        """The next typed event of this class that is wanted."""
        return self.lines.wait_for(
            lambda said: said.get("event") == kind and wanted(said),
            f"ibind's {kind}",
            after=after,
            timeout=timeout,
        )

    def events(self, kind: str, *, after: int = 0) -> list[Event]:
        return [said for said in self.lines.objects[after:] if said.get("event") == kind]


@contextmanager
def ibind(simulator: SimulatorProcess, **environment: str) -> Iterator[IbindClient]:
    """ibind against this simulator; ``environment``: its own settings."""
    settings = {"IBIND_LOG_TO_FILE": "false", "PYTHONDONTWRITEBYTECODE": "1"} | environment
    child = subprocess.Popen(
        [
            str(python_of("ibind")),
            str(HERE / "ibind_remote.py"),
            simulator.address,
            simulator.user.account,
            str(simulator.certificate),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | settings,
    )
    try:
        yield IbindClient(child)
    finally:
        child.kill()
        child.communicate(timeout=30)
