"""The 33 quality checks of a trade date as asset checks of ``quality_report``, by one query."""

# No `from __future__ import annotations` here: Dagster reads the resource's class from the
# annotation and cannot resolve text.
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from ib_platform.orchestration.checks import failures, trade_date_of_check
from ib_platform.orchestration.previews import markdown_table
from ib_platform.orchestration.resources import PLATFORM, Platform
from ib_platform.states import CheckVerdict
from ib_platform.warehouse.checks.catalogue import CHECKS, Check

_ASSET = "quality_report"
_COLUMNS = ("contract", "verdict", "value", "explanation")
_ROWS = """
SELECT code, contract, toString(verdict) AS verdict, value, explanation
FROM quality_checks WHERE trade_date = {day:Date}
ORDER BY code, quality_checks.verdict = 'fail' DESC, quality_checks.verdict = 'warn' DESC, contract
"""
_SAID = 3
_BROKEN = (CheckVerdict.FAIL, CheckVerdict.WARN)

Row = tuple[str, str, float | None, str]
"""Contract, verdict, value, explanation."""


def _spec(check: Check) -> dg.AssetCheckSpec:
    return dg.AssetCheckSpec(
        name=check.asset_check, asset=_ASSET, description=f"{check.code}: {check.judges}"
    )


@dg.multi_asset_check(
    name="quality_checks",
    specs=[_spec(check) for check in CHECKS],
    description="The 33 quality checks of every contract of a trade date.",
    can_subset=True,
    resource_defs={"platform": PLATFORM},
)
def quality_checks(
    context: dg.AssetCheckExecutionContext, platform: Platform
) -> Iterator[dg.AssetCheckResult]:
    """WARN where the worst contract warns, ERROR where one fails."""
    rows: dict[str, list[Row]] = {}
    with failures(), platform.client("checks") as client:
        day = trade_date_of_check(context, client)
        for code, *row in client.query(_ROWS, {"day": day}).result_rows:
            rows.setdefault(code, []).append(_row(row))
    wanted = {key.name for key in context.selected_asset_check_keys}
    for check in CHECKS:
        if check.asset_check in wanted:
            yield result(check, rows.get(check.code, []), day)


def result(check: Check, rows: Sequence[Row], day: date) -> dg.AssetCheckResult:
    """One check of all contracts, the worst of which come first."""
    broken = [row for row in rows if row[1] in _BROKEN]
    failed = any(row[1] == CheckVerdict.FAIL for row in broken)
    unknown = sum(row[1] == CheckVerdict.UNKNOWN for row in rows)
    said = [f"{contract}: {told}" for contract, _, _, told in broken[:_SAID]]
    if len(broken) > _SAID:
        said.append(f"and {len(broken) - _SAID} more")
    if unknown:
        said.append(f"unknown of {unknown} contracts")
    return dg.AssetCheckResult(
        asset_key=_ASSET,
        check_name=check.asset_check,
        passed=not broken,
        severity=dg.AssetCheckSeverity.ERROR if failed else dg.AssetCheckSeverity.WARN,
        description="; ".join(said) or None,
        metadata={
            "trade_date": str(day),
            "found": dg.MetadataValue.int(len(broken)),
            "rows": dg.MetadataValue.md(markdown_table(_COLUMNS, rows)),
        },
    )


def _row(row: Sequence[Any]) -> Row:
    contract, verdict, value, explanation = row
    return contract, verdict, value, explanation
