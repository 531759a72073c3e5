"""``rolls``: when the continuous series of each product changes its contract."""

# No `from __future__ import annotations` here: Dagster reads the resource's class from the
# annotation and cannot resolve text.
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ib_platform.errors import PlatformError
from ib_platform.orchestration.assets.frames import OWNERS
from ib_platform.orchestration.columns import describe_table
from ib_platform.orchestration.previews import rolls_metadata
from ib_platform.orchestration.resources import Platform, with_platform


@with_platform
@dg.asset(
    name="rolls",
    deps=["bars"],
    description=(
        "One row per decision on when the continuous series of a product changes to a contract: "
        "date, rule, reason, and the difference of the two contracts' prices before it. "
        "Append-only: a newer decision supersedes. Bars over it: view continuous_bars."
    ),
    group_name="bars",
    kinds={"clickhouse", "python"},
    owners=OWNERS,
    metadata=describe_table("rolls", "product, to_conid, decided_at", partitioned=False),
)
def rolls(context: dg.AssetExecutionContext, platform: Platform) -> dg.MaterializeResult[Any]:
    """Plan the rolls anew and append what has changed."""
    from ib_platform.warehouse.connect import warehouse_errors
    from ib_platform.warehouse.rolls import plan_of_record, write_changes

    now = datetime.now(UTC)
    try:
        config = platform.config()
        with (
            platform.client("rolls") as client,
            warehouse_errors(config.clickhouse, "plan the rolls"),
        ):
            plan = plan_of_record(client, config, now)
            written = write_changes(client, plan, "asset rolls", now)
    except PlatformError as error:
        raise dg.Failure(description=str(error)) from error
    context.log.info(f"{len(plan.rows)} rolls, {written} rows written")
    return dg.MaterializeResult(metadata=rolls_metadata(plan, written))
