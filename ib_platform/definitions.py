"""Everything that Dagster runs, merged. Loads without a configuration file: it is read late."""

from __future__ import annotations

import dagster as dg

from ib_platform.orchestration import assets, checks, jobs, pod_reports, schedules, sensors


@dg.definitions
def defs() -> dg.Definitions:
    return dg.Definitions(
        assets=dg.load_assets_from_package_module(assets),
        asset_checks=dg.load_asset_checks_from_modules([checks, pod_reports]),
        jobs=[*jobs.jobs, *schedules.jobs],
        schedules=schedules.schedules,
        sensors=sensors.sensors,
    )
