"""Everything that Dagster runs, merged. Loads without a configuration file: it is read late."""

from __future__ import annotations

import dagster as dg

from ib_platform.orchestration import (
    checks,
    jobs,
    pod_reports,
    quality_checks,
    schedules,
    sensors,
)
from ib_platform.orchestration.assets.compaction import compaction
from ib_platform.orchestration.assets.frames import frames
from ib_platform.orchestration.assets.rolls import rolls


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(
        assets=[frames, compaction, rolls],
        asset_checks=dg.load_asset_checks_from_modules([checks, pod_reports, quality_checks]),
        jobs=[*jobs.jobs, *schedules.jobs],
        schedules=schedules.schedules,
        sensors=sensors.sensors,
    )
