"""``quality_report``: how good the record of a trade date is."""

from __future__ import annotations

import dagster as dg

from ib_platform.orchestration.assets.frames import OWNERS
from ib_platform.orchestration.columns import describe_table
from ib_platform.orchestration.partitions import trade_dates


def quality_report_spec() -> dg.AssetSpec:
    """Spec of ``quality_report``; made by ``compaction``."""
    return dg.AssetSpec(
        key="quality_report",
        deps=["frames", "bars"],
        description=(
            "One row per contract that was assigned or recorded on the trade date: verdict with "
            "reasons, coverage, gaps by cause, book states, spool balance of its pod. "
            "Preliminary while the date is open. The spans are in tables gaps and suspect_windows."
        ),
        group_name="quality",
        kinds={"clickhouse", "python"},
        owners=OWNERS,
        partitions_def=trade_dates,
        metadata=describe_table("quality_report", "contract"),
        skippable=True,
    )
