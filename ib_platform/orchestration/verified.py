"""A verification as the result of an asset check."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import dagster as dg
import msgspec

from ib_platform.orchestration.previews import markdown_table

if TYPE_CHECKING:
    from ib_platform.warehouse.verify.findings import Verification

_MOST = 50
_COUNTS = ("received", "stored", "explained", "unknown", "unexplained", "repeated")


def verification_result(found: Verification, day: date) -> dg.AssetCheckResult:
    """Counts, the balance of every run and the findings, those that fail first."""
    total, failed = found.total, found.unexplained
    rows = [(run.run_id, run.end, *msgspec.structs.astuple(run.balance)) for run in found.runs]
    findings = [
        (f.run_id, f.kind.value, f.standing.value, f.frames, f.cause, f.text, f.remedy)
        for f in found.findings
    ]
    return dg.AssetCheckResult(
        passed=not failed,
        severity=dg.AssetCheckSeverity.ERROR,
        description="; ".join(f"{f.run_id}: {f.text}" for f in failed[:_MOST]) or None,
        metadata={
            "trade_date": str(day),
            **{f"frames_{name}": dg.MetadataValue.int(getattr(total, name)) for name in _COUNTS},
            "runs": dg.MetadataValue.md(
                markdown_table(["run", "end", *total.__struct_fields__], rows[:_MOST])
            ),
            "findings": dg.MetadataValue.md(
                markdown_table(
                    ["run", "finding", "standing", "frames", "cause", "what", "what to do"],
                    findings[:_MOST],
                )
            ),
        },
    )
