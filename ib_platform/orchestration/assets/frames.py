"""``frames``: what the pods record. External: no run makes it, the fleet sensor reports it."""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from ib_platform.orchestration.columns import describe_table

OWNERS = ["team:market-data"]

# A definition, not a bare spec: module loaders pass bare specs over unless told otherwise.
frames = dg.AssetsDefinition(
    specs=[
        dg.AssetSpec(
            key="frames",
            description=(
                "One row per websocket frame of any topic, as received, with the stamps of the "
                "streamer. The truth: immutable, written by the pods through their spools, never "
                "by Dagster."
            ),
            group_name="record",
            kinds={"clickhouse"},
            owners=OWNERS,
            metadata=describe_table("frames", "paper_user, run_id, seq"),
            freshness_policy=dg.FreshnessPolicy.time_window(
                fail_window=timedelta(minutes=15), warn_window=timedelta(minutes=5)
            ),
        )
    ]
)
