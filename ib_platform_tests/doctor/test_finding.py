"""The boundary: whatever a check does, the findings of the others are told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import StringIO

from rich.console import Console

from ib_platform.doctor.app import as_json, exit_code, show
from ib_platform.doctor.finding import Finding, Level, findings_of, ok, problem, warning

GOOD, ODD = ok("disk", "fine [bold]"), warning("clock", "unknown", "Look.")
BAD = problem("ports", "taken", "Free it.")


def breaks(_: int) -> Iterator[Finding]:
    yield GOOD
    raise ZeroDivisionError("by seven")


def works(subject: int) -> Iterator[Finding]:
    yield problem("works", f"saw {subject}", "Nothing.")


def test_a_check_that_fails_is_a_finding_and_costs_nothing_else() -> None:
    found = findings_of([("breaks", breaks), ("works", works)], 7)
    assert [finding.check for finding in found] == ["disk", "breaks", "works"]
    assert found[1].level is Level.PROBLEM
    assert "ZeroDivisionError: by seven" in found[1].text
    assert found[2].text == "saw 7"


def test_warnings_do_not_count() -> None:
    assert exit_code([GOOD, ODD]) == 0
    assert exit_code([GOOD, BAD, ODD]) == 1


def test_for_machines() -> None:
    assert json.loads(as_json([GOOD, ODD, BAD])) == {
        "findings": [
            {"check": "disk", "level": "ok", "text": "fine [bold]", "remedy": None},
            {"check": "clock", "level": "warning", "text": "unknown", "remedy": "Look."},
            {"check": "ports", "level": "problem", "text": "taken", "remedy": "Free it."},
        ],
        "problems": 1,
        "warnings": 1,
    }


def test_for_people() -> None:
    out = StringIO()
    show([GOOD, ODD, BAD], Console(file=out, width=100))
    text = out.getvalue()
    assert "fine [bold]" in text, "no markup"
    assert "Free it." in text
    assert "3 findings: 1 problems, 1 warnings" in text


def test_a_narrow_terminal_cuts_nothing_off() -> None:
    out = StringIO()
    show(
        [problem("disk", "/a/very/long/path/" + "x" * 80, "Free it.")], Console(file=out, width=60)
    )
    assert out.getvalue().count("x") == 80
