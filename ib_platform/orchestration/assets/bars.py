"""``bars``: summaries of depth over time."""

from __future__ import annotations

import dagster as dg

from ib_platform.orchestration.assets.frames import OWNERS
from ib_platform.orchestration.columns import describe_table
from ib_platform.orchestration.partitions import trade_dates


def bars_spec() -> dg.AssetSpec:
    """Spec of ``bars``; made by ``compaction``."""
    return dg.AssetSpec(
        key="bars",
        # Of depth's definition, not of its table: the open date has no depth rows yet.
        deps=["frames", "depth"],
        description=(
            "One row per contract, bar size (1s to 1d) and bar start with at least one "
            "book state: mid OHLC, touch at close, spread, depth, imbalance, order flow, last "
            "trades, traded volume, realised variance, time covered, flags, verdict of the date. "
            "Left-closed, labelled by start, UTC."
        ),
        group_name="bars",
        kinds={"clickhouse", "sql"},
        owners=OWNERS,
        partitions_def=trade_dates,
        metadata=describe_table("bars", "conid, bar_size, bar_start"),
        skippable=True,
    )
