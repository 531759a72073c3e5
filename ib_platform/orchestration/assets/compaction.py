"""The step that builds ``depth``, ``bars`` and ``quality_report`` of one trade date.

One step, since the three come out of one build: its tables are staged, checked together and then
swapped in. Without ``depth`` in the selection it is the refresh of an open date.
"""

# No `from __future__ import annotations` here: Dagster reads the resource's class from the
# annotation and cannot resolve text.
from collections.abc import Iterator
from typing import Any

import dagster as dg

from ib_platform.errors import PlatformError
from ib_platform.orchestration.assets.bars import bars_spec
from ib_platform.orchestration.assets.depth import depth_spec
from ib_platform.orchestration.assets.quality_report import quality_report_spec
from ib_platform.orchestration.partitions import trade_date_of_key
from ib_platform.orchestration.previews import asset_metadata
from ib_platform.orchestration.report_pages import page_metadata
from ib_platform.orchestration.resources import Platform, with_platform


@with_platform
@dg.multi_asset(
    name="compaction",
    specs=[depth_spec(), bars_spec(), quality_report_spec()],
    can_subset=True,
)
def compaction(
    context: dg.AssetExecutionContext, platform: Platform
) -> Iterator[dg.MaterializeResult[Any]]:
    """Build the selected assets of one trade date; a failed check keeps the old rows."""
    from ib_platform.warehouse.compact import build_open_date, finalize

    trade_date = trade_date_of_key(context.partition_key)
    selected = sorted(key.to_user_string() for key in context.selected_asset_keys)
    build = finalize if "depth" in selected else build_open_date
    try:
        with platform.client("compaction") as client:
            result = build(client, platform.config(), trade_date)
            context.log.info(f"{trade_date}: {result.rows}, rules {result.inputs_version}")
            for table in ("depth", "bars", "quality_report"):
                if table in selected:
                    metadata = asset_metadata(client, table, result)
                    if table == "quality_report" and build is finalize:
                        state_dir = platform.config().runtime.state_dir
                        metadata |= page_metadata(client, trade_date, state_dir)
                    yield dg.MaterializeResult(asset_key=table, metadata=metadata)
    except PlatformError as error:
        raise dg.Failure(description=str(error)) from error
