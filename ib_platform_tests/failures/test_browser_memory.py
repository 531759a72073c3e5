"""Row 14: what logins leave behind, and what they take while they last."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import psutil

from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform_tests.failures.document import BROWSER, note
from ib_platform_tests.figures import Figures
from ib_platform_tests.gateway.login_pods import LoginPod, browser_processes, simulated_pod

LOGINS = 3
_MEGABYTE = 1024**2


async def test_logins_leave_no_browser_behind(tmp_path: Path, figures: Figures) -> None:
    async with simulated_pod(tmp_path) as (pod, _):
        most = [await _megabytes_of_a_login(pod) for _ in range(LOGINS)]
        assert not browser_processes()
        assert min(most) > 0, "there was a browser"
        measured = (
            f"{LOGINS} logins in a row, at most {max(most):.0f} MB meanwhile, and no process of a "
            "browser or of its driver left, no zombie either"
        )
    figures(measured)
    note(BROWSER, measured)


async def _megabytes_of_a_login(pod: LoginPod) -> float:
    """The most that its processes held together (PSS: shared pages count once)."""
    over = threading.Event()
    watching = asyncio.create_task(asyncio.to_thread(_watch, over))
    try:
        result = await pod.log_in()
    finally:
        over.set()
    assert result.outcome is LoginOutcome.SUBMITTED, result
    return await watching


def _watch(over: threading.Event) -> float:
    most = 0
    while not over.wait(0.1):
        most = max(most, sum(_held_by(process) for process in browser_processes()))
    return most / _MEGABYTE


def _held_by(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        # Gone meanwhile, or a child of Chromium's sandbox.
        return 0
