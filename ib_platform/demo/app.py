"""Run a demo: prepare, start, watch, sum up, stop. In this order, and everything is stopped."""

from __future__ import annotations

import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from filelock import FileLock, Timeout

from ib_platform.config import PlatformConfig
from ib_platform.demo.children import left_over
from ib_platform.demo.prepare import (
    CONFIG_FILE,
    DemoOptions,
    code_server_port,
    demo_config,
    prepare_folder,
    require_free_ports,
    require_parts,
    write_config,
)
from ib_platform.demo.stop import recorded_demo
from ib_platform.demo.summary import build_summary, complaints, contract_line
from ib_platform.demo.system import DemoSystem
from ib_platform.demo.watch import Watch
from ib_platform.errors import ConfigurationError, PlatformError, PlatformInUseError
from ib_platform.fleet.local import LocalRuntime
from ib_platform.marketdata.calendar import trade_dates_between
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect

CLICKHOUSE_PATIENCE = 90.0
STREAMING_PATIENCE = 240.0
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""Ctrl-C, a request, a closed terminal: the same ordered end."""


def run(options: DemoOptions) -> int:
    """The whole demo; returns the exit code (0: the main job was done).

    Raises:
        PlatformError: it could not start; nothing is left running.
    """
    require_parts(options)
    config = demo_config(options)
    folder = options.folder.resolve()
    with _only_demo(folder, config):
        require_free_ports(config, options)
        prepare_folder(options)
        config_file = write_config(config, folder)
        say(f"files of this demo: {folder}")
        with recorded_demo(folder), _stop_requests() as stop_requested:
            return _run(options, config, config_file, stop_requested)


def say(text: str) -> None:
    """One line of progress with the time of day."""
    print(f"{datetime.now():%H:%M:%S} {text}", flush=True)


def _run(
    options: DemoOptions, config: PlatformConfig, config_file: Path, stop: threading.Event
) -> int:
    began = datetime.now(UTC)
    system = DemoSystem(config, config_file, say)
    watch = Watch(config, config_file, began, _addresses(options, config))
    with ExitStack() as stack:
        for step in (system.stop_clickhouse, system.stop_pods, system.stop_dagster):
            stack.callback(step)  # whatever happens; the last of these first
        say("starting the embedded ClickHouse")
        system.start_clickhouse(CLICKHOUSE_PATIENCE)
        ui = "without its webserver" if options.no_ui else f"with its UI on port {options.ui_port}"
        say(f"starting Dagster {ui}; its sensor launches the pods")
        system.start_dagster(
            ui_port=None if options.no_ui else options.ui_port,
            code_server_port=code_server_port(options),
        )
        if not watch.until_streaming(system.tend, stop, STREAMING_PATIENCE, say):
            raise PlatformError("the demo was stopped before all pods streamed")
        watch.show(system.tend, stop, options.seconds)
        say("stopping Dagster")
        system.stop_dagster()
        watch.remember_replay(say)
        say("stopping the pods; what they hold is flushed")
        for line in system.stop_pods():
            say(line)
        summary = _sum_up(config, watch, began)
    return _report(summary, options.json_file)


def _sum_up(config: PlatformConfig, watch: Watch, began: datetime) -> dict[str, Any]:
    with closing(connect(config.clickhouse)) as client:
        for trade_date in trade_dates_between(began, datetime.now(UTC)):
            say(f"building depth, bars and the quality report of {trade_date}")
            finalize(client, config, trade_date)
        summary = build_summary(client, began, watch.histories)
    ended = datetime.now(UTC)
    header = {"began": began.isoformat(), "ended": ended.isoformat()}
    return {**header, **summary, "replay": watch.replay}


def _report(summary: dict[str, Any], json_file: Path | None) -> int:
    text = json.dumps(summary, indent=2, default=str)
    if json_file is not None:
        json_file.write_text(text + "\n", encoding="utf-8")
        say(f"summary written to {json_file}")
    for name, pod in summary["pods"].items():
        say(
            f"pod {name}: received {pod['received']}, spooled {pod['spooled']}, "
            f"stored {pod['stored']} in {pod['runs']} runs"
        )
    for name, contract in summary["contracts"].items():
        say(contract_line(name, contract))
    problems = complaints(summary)
    for problem in problems:
        print(f"ib-platform demo: {problem}", file=sys.stderr, flush=True)
    return 1 if problems else 0


def _addresses(options: DemoOptions, config: PlatformConfig) -> list[str]:
    notes = [] if options.no_ui else [f"Dagster     http://127.0.0.1:{options.ui_port}"]
    clickhouse = config.clickhouse
    notes.append(
        f"ClickHouse  http://127.0.0.1:{clickhouse.port}  user {clickhouse.username}, "
        f"password in {clickhouse.password_file}"
    )
    for user in config.paper_users:
        notes.append(f"pod {user.name}  http://127.0.0.1:{user.health_port}/status")
    return notes


@contextmanager
def _only_demo(folder: Path, config: PlatformConfig) -> Iterator[None]:
    """Hold the lock beside the folder, and refuse to start over what another demo left running."""
    lock_file = folder.parent / f".{folder.name}.lock"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_file, timeout=0)
        lock.acquire()
    except Timeout:
        raise PlatformInUseError(
            f"another demo runs in {folder}: end it with Ctrl-C there, or name another --folder"
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"the demo cannot write to {folder.parent} ({error.strerror}): name another folder "
            "with --folder"
        ) from error
    try:
        stale = [f"{name} (pid {pid})" for name, pid in left_over(folder)]
        stale += _running_pods(config, folder)
        if stale:
            raise PlatformInUseError(
                f"an earlier demo in {folder} left running: {', '.join(stale)}. End them with: "
                f"ib-platform stop --config {folder / CONFIG_FILE}"
            )
        yield
    finally:
        lock.release()


def _running_pods(config: PlatformConfig, folder: Path) -> list[str]:
    """Containers of the demo's pods that run: ``gateway of alpha (pid 7)``."""
    runtime = LocalRuntime(config, folder / CONFIG_FILE)
    return [
        f"{name} of {pod.paper_user} ({container})"
        for pod in runtime.observe([user.name for user in config.paper_users])
        for name, container in (("gateway", pod.gateway), ("streamer", pod.streamer))
        if container.running
    ]


@contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """An event that each of ``_ENDINGS`` sets."""
    requested = threading.Event()

    def request(signum: int, frame: FrameType | None) -> None:
        requested.set()

    before = {number: signal.signal(number, request) for number in _ENDINGS}
    try:
        yield requested
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


__all__ = ["DemoOptions", "run", "say"]
