"""Figures that tests print: kept with their reports, shown at the end of a run.

With several workers nothing else that a test prints reaches the terminal.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

Figures = Callable[[str], None]
_KEY = "figures"


@pytest.fixture
def figures(record_property: Callable[[str, object], None]) -> Figures:
    """Call it with text of any number of lines; it is printed below the test's name."""
    return lambda text: record_property(_KEY, text)


def print_figures(terminalreporter: pytest.TerminalReporter) -> None:
    """What the tests of this run have kept."""
    kept = [
        (report.nodeid, str(text))
        for reports in terminalreporter.stats.values()
        for report in reports
        if isinstance(report, pytest.TestReport) and report.when == "call"
        for key, text in report.user_properties
        if key == _KEY
    ]
    if kept:
        terminalreporter.section("figures")
    for nodeid, text in sorted(kept):
        terminalreporter.write_line(f"{nodeid}\n{text}\n")
