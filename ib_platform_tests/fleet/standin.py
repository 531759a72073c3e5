"""A container to supervise in tests: answers its health like a real one, misbehaves on demand.

A word in the file ``<state_dir>/standin/<paper user>-<container>`` says how: a PodState to report,
``mute`` (accepts and never answers), ``deaf`` (ignores SIGTERM), ``exit`` (ends at once), ``child``
(starts a child that outlives it), ``foreign`` (claims to be another process).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from ib_platform.config import load_config
from ib_platform.health import FrameCounts, GatewayHealth, LoaderHealth, StreamerHealth
from ib_platform.health_server import Probes, serve_health
from ib_platform.states import PodState

STARTED = datetime.now(UTC)


def word_file(state_dir: Path, paper_user: str, container: str) -> Path:
    return state_dir / "standin" / f"{paper_user}-{container}"


def _word(file: Path) -> str:
    return file.read_text() if file.exists() else ""


def _status(container: str, paper_user: str, word: str) -> msgspec.Struct:
    state = PodState(word) if word in PodState.__members__ else PodState.STREAMING
    pid = 1 if word == "foreign" else os.getpid()
    if container == "gateway":
        return GatewayHealth(paper_user, pid, state, STARTED, "", None, 1)
    return StreamerHealth(
        paper_user=paper_user,
        run_id=f"run-{pid}",
        pid=pid,
        state=state,
        since=STARTED,
        reason="",
        started_at=STARTED,
        frames=FrameCounts(3, 3, 3, 0),
        loader=LoaderHealth(),
        assignment_generation=1,
        assignment_source="file",
        contracts={},
    )


async def _serve(container: str, paper_user: str, config_file: Path) -> None:
    config = load_config(config_file)
    user = config.paper_user(paper_user)
    file = word_file(config.runtime.state_dir, paper_user, container)
    word = _word(file)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    ignore = word == "deaf"
    loop.add_signal_handler(signal.SIGTERM, (lambda: None) if ignore else stopped.set)
    print(f"{container} of {paper_user} starts", flush=True)
    if word == "exit":
        raise SystemExit("told to exit")
    port = user.gateway_health_port if container == "gateway" else user.health_port
    if word == "mute":
        async with await asyncio.start_server(lambda _r, _w: stopped.wait(), "127.0.0.1", port):
            await stopped.wait()
        return
    yes = lambda: True  # noqa: E731
    probes = Probes(yes, yes, yes, lambda: _status(container, paper_user, _word(file)))
    async with serve_health(port, probes):
        await stopped.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("container")
    parser.add_argument("--config", type=Path)
    parser.add_argument("--paper-user")
    parser.add_argument("--unlock-token")
    options = parser.parse_args()
    state_dir = load_config(options.config).runtime.state_dir
    if _word(word_file(state_dir, options.paper_user, options.container)) == "child":
        sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
        subprocess.Popen(sleeper, start_new_session=True)
    asyncio.run(_serve(options.container, options.paper_user, options.config))
