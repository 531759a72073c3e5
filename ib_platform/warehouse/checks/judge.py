"""From what was measured to the 33 rows of ``quality_checks``. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict
from ib_platform.warehouse.checks import of_book, of_record, of_whole
from ib_platform.warehouse.checks.catalogue import CHECKS, Check
from ib_platform.warehouse.checks.figures import Measured
from ib_platform.warehouse.checks.finding import Finding
from ib_platform.warehouse.checks.rules import judged

Judge = Callable[[Measured, CheckThresholds], Finding]
JUDGES: Mapping[str, Judge] = {
    "Q01": of_record.coverage,
    "Q02": of_record.gaps,
    "Q03": of_record.unexplained_gaps,
    "Q04": of_record.silent_feed,
    "Q05": of_record.renewal,
    "Q06": of_record.own_sequence,
    "Q07": of_record.verified_and_clean,
    "Q08": of_record.spool_balance,
    "Q09": of_record.duplicates,
    "Q10": of_record.order,
    "Q11": of_record.clock_skew,
    "Q12": of_record.latency,
    "Q13": of_book.crossed_book,
    "Q14": of_book.locked_book,
    "Q15": of_book.one_sided_book,
    "Q16": of_book.bad_values,
    "Q17": of_book.off_tick,
    "Q18": of_book.ladder_shape,
    "Q19": of_book.wide_spread,
    "Q20": of_book.mid_outlier,
    "Q21": of_book.spike,
    "Q22": of_book.stale_touch,
    "Q23": of_book.frozen_side,
    "Q24": of_book.size_outlier,
    "Q25": of_whole.nulls,
    "Q26": of_whole.frame_rate,
    "Q27": of_whole.schema_drift,
    "Q28": of_whole.overlap,
    "Q29": of_whole.depth_against_quote,
    "Q30": of_whole.contract,
    "Q31": of_whole.bars_reconcile,
    "Q32": of_whole.verdict,
    "Q33": of_whole.suspect_windows,
}
"""The function of each check, by code: it has the name of the check."""


def check_rows(measured: Measured, thresholds: CheckThresholds) -> list[dict[str, Any]]:
    """Rows of ``quality_checks`` of one contract, one for each check, in order of their codes."""
    return [
        _row(check, JUDGES[check.code](measured, thresholds), measured, thresholds)
        for check in CHECKS
    ]


def verdict_of(check: Check, finding: Finding, thresholds: CheckThresholds) -> CheckVerdict:
    """The verdict that the finding names, else that of the check's rules."""
    if finding.verdict is not None:
        return finding.verdict
    if finding.value is None:
        return CheckVerdict.UNKNOWN
    return judged(finding.value, check.warn, check.fail, thresholds)


def _row(
    check: Check, finding: Finding, measured: Measured, thresholds: CheckThresholds
) -> dict[str, Any]:
    return {
        "contract": measured.contract,
        "conid": measured.conid,
        "code": check.code,
        "name": check.name,
        "value": None if finding.value is None else float(finding.value),
        "unit": check.unit,
        "warn": check.warns(thresholds),
        "fail": check.fails(thresholds),
        "verdict": verdict_of(check, finding, thresholds).value,
        "explanation": finding.explanation,
        "figures": {name: float(figure) for name, figure in finding.figures.items()},
        "source": measured.source,
        "preliminary": measured.facts.date_is_open,
    }
