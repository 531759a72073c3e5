"""How the fleet's decisions become Dagster's words: run requests, check results, materializations.

One check for all pods: a check per pod would need the configuration when definitions load, and a
shared name would let one pod's result hide another's.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import dagster as dg
import msgspec

from ib_platform.fleet.decide import Action, Decision, PodVerdict, Policy, look_at
from ib_platform.fleet.memory import FleetMemory, Reported
from ib_platform.fleet.pods import PodObservation
from ib_platform.orchestration.runtime import open_fleet

FRAMES = dg.AssetKey("frames")
CHECK_NAME = "pods_healthy"
REPORT_EVERY = 60.0


@dg.asset_check(asset=FRAMES, name=CHECK_NAME)
def pods_healthy() -> dg.AssetCheckResult:
    """Every pod streams. Reported by the sensor on change; run it by hand to look now."""
    fleet = open_fleet()
    seen = fleet.observe()
    verdicts = look_at(seen, datetime.now(UTC), Policy.of(fleet.config.limits).patience)
    return dg.AssetCheckResult(
        passed=all(verdict.healthy for verdict in verdicts),
        severity=_severity(verdicts),
        description=_description(verdicts),
        metadata=_metadata(verdicts),
    )


def check_evaluation(verdicts: Iterable[PodVerdict]) -> dg.AssetCheckEvaluation | None:
    """The check's result, or None when no pod's verdict has changed."""
    known = list(verdicts)
    if not any(verdict.changed for verdict in known):
        return None
    return dg.AssetCheckEvaluation(
        asset_key=FRAMES,
        check_name=CHECK_NAME,
        passed=all(verdict.healthy for verdict in known),
        severity=_severity(known),
        description=_description(known),
        metadata=_metadata(known),
    )


def _severity(verdicts: Iterable[PodVerdict]) -> dg.AssetCheckSeverity:
    alarm = any(verdict.alarm for verdict in verdicts)
    return dg.AssetCheckSeverity.ERROR if alarm else dg.AssetCheckSeverity.WARN


def _description(verdicts: Iterable[PodVerdict]) -> str:
    """What is not well, by pod; the metadata has the words of all of them."""
    ill = [str(verdict) for verdict in verdicts if not verdict.healthy]
    return "; ".join(ill) or "every pod is well"


def _metadata(verdicts: Iterable[PodVerdict]) -> dict[str, str]:
    return {verdict.paper_user: verdict.text for verdict in verdicts}


def run_request(action: Action, epoch: int) -> dg.RunRequest:
    """The run that carries out ``action``."""
    job, op = ("launch_pod", "launch") if action.scope is None else ("restart_pod", "restart")
    config: dict[str, str | bool] = {"paper_user": action.paper_user, "reason": action.reason}
    tags = {
        "paper_user": action.paper_user,
        "incident": str(action.incident),
        "attempt": str(action.attempt),
    }
    if action.scope is None:
        # A person may retire the pod while the run waits in the queue.
        config["end_retirement"] = False
    else:
        config["scope"] = tags["scope"] = action.scope.value
    return dg.RunRequest(
        run_key=action.run_key(epoch),
        job_name=job,
        run_config={"ops": {op: {"config": config}}},
        tags=tags,
    )


def frames_reports(
    decision: Decision, observations: Iterable[PodObservation], now: datetime
) -> tuple[FleetMemory, list[dg.AssetMaterialization]]:
    """At most one materialization of ``frames`` a minute and pod, and only when frames were stored
    since the last one: nothing stored must turn the asset stale."""
    pods = dict(decision.memory.pods)
    events = []
    for seen in observations:
        health = seen.streamer_health
        if health is None or health.frames.stored == 0:
            continue
        memory = decision.memory.of(seen.paper_user)
        last, at = memory.reported, now.timestamp()
        news = (health.run_id, health.frames.stored) != (last.run_id, last.stored)
        if not news or 0 <= at - last.at < REPORT_EVERY:
            continue
        reported = Reported(at, health.run_id, health.frames.stored)
        pods[seen.paper_user] = msgspec.structs.replace(memory, reported=reported)
        events.append(_materialization(seen))
    return msgspec.structs.replace(decision.memory, pods=pods), events


def _materialization(seen: PodObservation) -> dg.AssetMaterialization:
    health = seen.streamer_health
    if health is None:
        raise ValueError(f"{seen.paper_user} has no streamer health to report")
    metadata: dict[str, dg.MetadataValue] = {
        "paper_user": dg.MetadataValue.text(seen.paper_user),
        "state": dg.MetadataValue.text(health.state.value),
        "run_id": dg.MetadataValue.text(health.run_id),
        "frames_received": dg.MetadataValue.int(health.frames.received),
        "frames_stored": dg.MetadataValue.int(health.frames.stored),
        "frames_undecodable": dg.MetadataValue.int(health.frames.undecodable),
        "contracts": dg.MetadataValue.text(
            ", ".join(f"{key} {c.state.value}" for key, c in sorted(health.contracts.items()))
            or "none"
        ),
    }
    if health.loader.lag_seconds is not None:
        metadata["lag_seconds"] = dg.MetadataValue.float(health.loader.lag_seconds)
    return dg.AssetMaterialization(asset_key=FRAMES, metadata=metadata)
