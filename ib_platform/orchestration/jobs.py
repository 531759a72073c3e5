"""Jobs that act on the fleet: one op each, in the run's own process, launchable by hand.

The sensor ``pod_fleet`` requests launch_pod and restart_pod; retire_pod and rebalance are for
people. Whatever runs at the same time, the lock of a pod lets one of them act.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import dagster as dg

from ib_platform.errors import PlatformError, PlatformInUseError
from ib_platform.fleet.pods import Phase, PodObservation, Scope
from ib_platform.orchestration.runtime import Fleet, open_fleet

LOG_LINES = 30
_POLL = 0.25
_TAGS = {
    # A run whose process was killed would hold the paper user's slot in the queue for ever.
    "dagster/max_runtime": "300",
    # The sensor looks again and decides anew; an automatic retry would act on old knowledge.
    "dagster/max_retries": "0",
}


class PodConfig(dg.Config):
    """Which pod, and why."""

    paper_user: str = dg.Field(description="Name of the paper user in the configuration")  # type: ignore[assignment]
    reason: str = "by hand"


def _act(context: dg.OpExecutionContext) -> None:
    context.log.info("acting")
