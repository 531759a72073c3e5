"""Seconds that each folder of tests may take on 2 cores, printed beside what it took.

`make test` stays under 20 minutes. It has several workers, so the seconds of all folders together
are more than a clock on the wall counts. A folder over its budget is printed, not failed: a slow
machine is no defect. Who adds slow tests raises its budget here, knowingly, or marks them `long`.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePath

import pytest

BUDGETS = {
    "(top)": 30,
    "benchmarks": 150,
    "conformance": 330,
    "demo": 30,
    "doctor": 90,
    "e2e": 520,
    "failures": 550,
    "faults": 260,
    "fleet": 110,
    "gateway": 530,
    "ibkr": 90,
    "marketdata": 20,
    "orchestration": 270,
    "rebuild": 150,
    "recorder": 130,
    "redecode": 60,
    "rehearsal": 130,
    "report": 120,
    "research": 200,
    "retention": 100,
    "simulator": 370,
    "streamer": 1150,
    "verify": 150,
    "warehouse": 900,
}


def print_budgets(terminalreporter: pytest.TerminalReporter) -> None:
    """Seconds of this run's tests by folder, summed over all workers."""
    spent: dict[str, float] = defaultdict(float)
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                spent[folder_of(report.nodeid)] += report.duration
    if not spent:
        return
    terminalreporter.section("seconds by folder (budget)")
    for folder, seconds in sorted(spent.items()):
        budget = BUDGETS.get(folder, 0)
        over = "  over its budget" if seconds > budget else ""
        terminalreporter.write_line(f"{folder:14} {seconds:7.1f}  ({budget}){over}")


def folder_of(nodeid: str) -> str:
    """First folder below ``ib_platform_tests``, ``(top)`` for its own files."""
    parts = PurePath(nodeid.partition("::")[0]).parts
    return parts[1] if len(parts) > 2 else "(top)"
