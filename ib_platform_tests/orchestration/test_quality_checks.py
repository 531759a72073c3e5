"""From rows of ``quality_checks`` to results of asset checks."""

from __future__ import annotations

from datetime import date

import dagster as dg
import pytest

from ib_platform.orchestration.quality_checks import Row, quality_checks, result
from ib_platform.warehouse.checks.catalogue import BY_CODE, CHECKS

DAY = date(2026, 11, 18)
COVERAGE = BY_CODE["Q01"]


def row(contract: str, verdict: str) -> Row:
    return contract, verdict, 0.5, f"{verdict} of it"


@pytest.mark.parametrize(
    ("verdicts", "passed", "severity"),
    [
        ([], True, "WARN"),
        (["pass", "report", "not_applicable", "unknown"], True, "WARN"),
        (["warn", "pass"], False, "WARN"),
        (["fail", "warn"], False, "ERROR"),
        (["fail"], False, "ERROR"),
    ],
)
def test_the_worst_contract_decides(verdicts: list[str], passed: bool, severity: str) -> None:
    found = result(COVERAGE, [row("CL", verdict) for verdict in verdicts], DAY)
    assert (found.passed, found.severity.value) == (passed, severity)
    assert found.check_name == "q01_coverage"
    assert found.metadata["trade_date"].value == "2026-11-18"
    assert found.metadata["found"].value == sum(v in ("warn", "fail") for v in verdicts)


def test_what_is_wrong_is_said_and_the_rest_counted() -> None:
    rows = [*(row(f"C{number}", "fail") for number in range(5)), row("D", "unknown")]
    found = result(COVERAGE, rows, DAY)
    assert found.description == (
        "C0: fail of it; C1: fail of it; C2: fail of it; and 2 more; unknown of 1 contracts"
    )
    table = str(found.metadata["rows"].value)
    assert table.startswith("| contract | verdict | value | explanation |")
    assert "| D | unknown | 0.5 | unknown of it |" in table


def test_each_check_is_one_of_the_report() -> None:
    keys = {key.name: key.asset_key for key in quality_checks.check_keys}
    assert set(keys) == {check.asset_check for check in CHECKS}
    assert set(keys.values()) == {dg.AssetKey("quality_report")}
