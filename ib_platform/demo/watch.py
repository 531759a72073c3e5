"""Watching a demo: waits until all pods stream, then shows the live table until the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from ib_platform.config import PlatformConfig
from ib_platform.demo.simulator_record import replay_record
from ib_platform.demo.summary import PodHistory
from ib_platform.demo.table import Built, as_text, lines, render, troubles
from ib_platform.errors import GatewayError, PlatformError, WarehouseError
from ib_platform.fleet.decide import Policy
from ib_platform.fleet.local import LocalRuntime
from ib_platform.fleet.pods import PodObservation
from ib_platform.states import PodState
from ib_platform.warehouse.connect import connect, warehouse_errors

_LOOK_EVERY = 1.0
_TEXT_EVERY = 15.0

Tend = Callable[[], None]
Say = Callable[[str], None]


class Watch:
    """Looks at the pods once a second and remembers their states. ``began`` is UTC."""

    def __init__(
        self, config: PlatformConfig, config_file: Path, began: datetime, addresses: list[str]
    ) -> None:
        self._config = config
        self._runtime = LocalRuntime(config, config_file)
        self._lag_limit = Policy.of(config.limits).patience.lag_limit
        self._began = began
        self._addresses = addresses
        self._sql = files("ib_platform.warehouse.queries").joinpath("demo_latest.sql").read_text()
        self._built: dict[str, Built] = {}
        self._database_note = ""
        self.histories = {user.name: PodHistory() for user in config.paper_users}
        self.replay: dict[str, Any] | None = None

    def until_streaming(self, tend: Tend, stop: threading.Event, patience: float, say: Say) -> bool:
        """True when every pod has reached STREAMING, False when ``stop`` was set before.

        Raises:
            PlatformError: it took longer than ``patience`` seconds; says what each pod waits for.
        """
        deadline = time.monotonic() + patience
        said: dict[str, str] = {}
        while not stop.is_set():
            tend()
            waiting = {}
            for pod in self._look():
                if self.histories[pod.paper_user].streaming_after_seconds is None:
                    waiting[pod.paper_user] = _what_it_waits_for(pod)
                elif pod.paper_user in said:
                    say(f"pod {pod.paper_user} is STREAMING")
                    del said[pod.paper_user]
            for name, reason in waiting.items():
                if said.get(name) != reason:
                    say(f"waiting for pod {name}: {reason}")
                    said[name] = reason
            if not waiting:
                return True
            if time.monotonic() > deadline:
                detail = "; ".join(f"{name}: {reason}" for name, reason in waiting.items())
                raise PlatformError(
                    f"not all pods were STREAMING after {patience:.0f} s ({detail}); "
                    f"logs: {self._config.runtime.state_dir / 'pods'} and "
                    f"{self._config.runtime.state_dir / 'logs'}"
                )
            stop.wait(_LOOK_EVERY)
        return False

    def show(self, tend: Tend, stop: threading.Event, seconds: float | None) -> None:
        """Show the table until ``stop`` is set or ``seconds`` are over."""
        console = Console()
        end = None if seconds is None else time.monotonic() + seconds
        next_text = 0.0
        with Live(console=console, auto_refresh=False, transient=False) as live:
            while not stop.is_set() and (end is None or time.monotonic() < end):
                tend()
                seen = self._look()
                rows = lines(seen, self._latest())
                told = troubles(seen, self._lag_limit)
                if console.is_terminal:
                    live.update(render(rows, [*told, *self._notes(end)]), refresh=True)
                elif time.monotonic() >= next_text:
                    console.print(
                        f"{datetime.now():%H:%M:%S} {as_text(rows, told)}", soft_wrap=True
                    )
                    next_text = time.monotonic() + _TEXT_EVERY
                left = _LOOK_EVERY if end is None else end - time.monotonic()
                stop.wait(max(0.0, min(_LOOK_EVERY, left)))

    def remember_replay(self, say: Say) -> None:
        """Keep the simulator's own count of what it sent; before the pods are stopped."""
        if self._config.gateway.simulator.replay is not None:
            try:
                self.replay = replay_record(self._config)
            except GatewayError as error:
                say(f"how much of the replay was sent is not known: {error}")

    def _look(self) -> list[PodObservation]:
        observations = self._runtime.observe([user.name for user in self._config.paper_users])
        now = datetime.now(UTC)
        for pod in observations:
            if pod.streamer_health is None:
                continue
            history, state = self.histories[pod.paper_user], pod.streamer_health.state
            if not history.states or history.states[-1][1] != state.value:
                history.states.append((now.isoformat(), state.value))
            if state is PodState.STREAMING and history.streaming_after_seconds is None:
                seconds = round((now - self._began).total_seconds(), 1)
                self.histories[pod.paper_user] = PodHistory(history.states, seconds)
        return observations

    def _latest(self) -> dict[str, Built]:
        """The newest bars and verdicts; the last known ones while the database is away."""
        settings = self._config.clickhouse
        try:
            client = connect(settings)
            with warehouse_errors(settings, "newest bars"), closing(client):
                result = client.query(self._sql, parameters={"since": self._began.timestamp()})
                rows = list(result.named_results())
        except WarehouseError as error:
            self._database_note = str(error)
            return self._built
        self._database_note = ""
        self._built = {
            row["contract"]: Built(row["last_bar"], row["mid_close"], row["verdict"])
            for row in rows
        }
        return self._built

    def _notes(self, end: float | None) -> list[str]:
        left = (
            "Ctrl-C ends it" if end is None else f"ends in {max(0, end - time.monotonic()):.0f} s"
        )
        notes = [*self._addresses, left]
        return [*notes, self._database_note] if self._database_note else notes


def _what_it_waits_for(pod: PodObservation) -> str:
    if pod.error is not None:
        return pod.error
    if not pod.gateway.running and not pod.streamer.running:
        return "the sensor's run of launch_pod"
    if pod.streamer_health is None:
        return "its streamer to start"
    return f"{pod.streamer_health.state.value}, {pod.streamer_health.reason}"
