"""``depth``: the book after every ladder frame."""

from __future__ import annotations

import dagster as dg

from ib_platform.orchestration.assets.frames import OWNERS
from ib_platform.orchestration.columns import describe_table
from ib_platform.orchestration.partitions import trade_dates


def depth_spec() -> dg.AssetSpec:
    """Spec of ``depth``; made by ``compaction``."""
    return dg.AssetSpec(
        key="depth",
        deps=["frames"],
        description=(
            "One row per ladder frame that belongs to a window: touch, 21 signed sizes carried "
            "forward, last trade, flags, time in force, market phase. Built when the trade date "
            "has closed; bars of the open date come straight from the same definition "
            "(queries/states.sql)."
        ),
        group_name="depth",
        kinds={"clickhouse", "sql"},
        owners=OWNERS,
        partitions_def=trade_dates,
        metadata=describe_table("depth", "conid, received_at, run_id, seq"),
        skippable=True,
    )
