"""Results of checks on ``frames`` that runs have evaluated, kept in sight.

Dagster shows a check as "Not Evaluated" as soon as its asset was materialized after it. A pod's
report materializes ``frames`` within the minute, so that a failed check would be gone before
anybody has seen it. A result that is itself a report outlives other reports: what a run has found
is said once more in that way, together with the materialization.
"""

from __future__ import annotations

import dagster as dg

from ib_platform.orchestration.pod_reports import FRAMES

CHECKS_OF_RUNS = tuple(
    dg.AssetCheckKey(FRAMES, name) for name in ("frames_verified", "nothing_quarantined")
)


def results_said_again(instance: dg.DagsterInstance) -> list[dg.AssetCheckEvaluation]:
    """The newest result of each check, where a run has evaluated it and it was not said again
    since; ``evaluated_by`` in its metadata is that run."""
    newest = instance.event_log_storage.get_latest_asset_check_execution_by_key(CHECKS_OF_RUNS)
    again = []
    for record in newest.values():
        found = record.evaluation
        # Of a check that a run is still to evaluate, the newest event is the plan.
        if record.run_id and isinstance(found, dg.AssetCheckEvaluation):
            evaluated_by = dg.MetadataValue.dagster_run(record.run_id)
            again.append(
                dg.AssetCheckEvaluation(
                    asset_key=found.asset_key,
                    check_name=found.check_name,
                    passed=found.passed,
                    metadata={**found.metadata, "evaluated_by": evaluated_by},
                    severity=found.severity,
                    description=found.description,
                )
            )
    return again
