"""Tables and JSON say the same, and nothing in a name is taken for markup."""

from __future__ import annotations

import io
import json

from rich.console import Console

from ib_platform.verify.show import as_json, show, verdict
from ib_platform.warehouse.verify.findings import (
    Balance,
    Finding,
    Kind,
    RunProof,
    SpoolProof,
    Standing,
    Verification,
)


def finding(standing: Standing, text: str = "words") -> Finding:
    return Finding("alpha", "r[bold]", Kind.MISSING, standing, 3, text, remedy="Do it.")


def proof(*findings: Finding, **counts: int) -> Verification:
    run = RunProof("alpha", "r[bold]", "stopped", Balance(**counts), findings)
    spool = SpoolProof("alpha", "/spool", 2, 7, 1, 0)
    return Verification("b", "e", (run, run), (spool,))


def shown(verification: Verification) -> str:
    file = io.StringIO()
    show(verification, Console(file=file, width=250))
    return file.getvalue()


def test_those_that_fail_come_first() -> None:
    order = [f.standing for f in proof(*map(finding, Standing)).findings]
    assert order[:2] == [Standing.UNEXPLAINED] * 2
    assert order[-1] is Standing.EXPLAINED


def test_a_table_has_every_number_and_every_text() -> None:
    text = shown(proof(finding(Standing.UNEXPLAINED, "lost [red]words"), received=1234567))
    for word in ("r[bold]", "lost [red]words. Do it.", "1,234,567", "2,469,134", "2 runs"):
        assert word in text
    assert "7 frames of 2 segments compared with their rows, 1 differ" in text


def test_columns_of_zeros_are_left_out_and_no_digit_is_cut() -> None:
    run = RunProof("alpha", "alpha-20261122T105714123Z-3f2a", "stopped", Balance(*[9**9] * 9))
    file = io.StringIO()
    show(Verification("b", "e", (run,)), Console(file=file, width=150))
    (row,) = [line for line in file.getvalue().splitlines() if f"{9**9:,}" in line and "│" in line]
    assert row.count(f"{9**9:,}") == len(Balance.__struct_fields__)
    few = shown(proof(received=5, stored=5))
    assert "received" in few
    assert "repeated" not in few


def test_the_last_line_is_the_verdict() -> None:
    good = proof(received=5, stored=3, explained=2)
    assert verdict(good) == "verified: 10 received, 6 stored, 4 lost with a cause"
    assert shown(good).splitlines()[-1] == verdict(good)
    assert verdict(proof(finding(Standing.UNEXPLAINED))).startswith("NOT VERIFIED: 2 findings")
    assert verdict(Verification("b", "e", ())).startswith("nothing was received")


def test_json_has_the_same() -> None:
    found = json.loads(as_json(proof(finding(Standing.PENDING), received=5, pending=5)))
    assert found["verified"] is True
    assert found["total"]["received"] == 10
    assert found["runs"][0]["findings"][0]["standing"] == "pending"
    assert found["spools"][0]["compared"] == 7
    assert not json.loads(as_json(proof(finding(Standing.UNEXPLAINED))))["verified"]
