"""How a run that starts a pod ends: it waits for a session, and says what is known of the pod."""

from __future__ import annotations

import time

import dagster as dg

from ib_platform.fleet.pods import PodObservation
from ib_platform.orchestration.runtime import Fleet

LOG_LINES = 30
_POLL = 0.25


def wait_until_settled(context: dg.OpExecutionContext, fleet: Fleet, paper_user: str) -> None:
    """Return when the pod answers with a session state of its own; bounded by start_budget.

    A process that is gone at two looks in a row has ended; at one look, another run that waited
    for the lock of the pod may be restarting it.

    Raises:
        dg.Failure: a process ended meanwhile, or the budget is over; holds the tail of the logs.
    """
    started = time.monotonic()
    deadline = started + fleet.config.limits.start_budget
    looks_at_dead = 0
    while True:
        (seen,) = fleet.runtime.observe([paper_user])
        waited = time.monotonic() - started
        if seen.settled:
            context.log.info(f"pod {paper_user} answers after {waited:.1f} s")
            context.add_output_metadata({"waited_seconds": waited, **describe(seen)})
            return
        looks_at_dead = looks_at_dead + 1 if _ended(seen) else 0
        dead = looks_at_dead > 1
        if dead or time.monotonic() > deadline:
            what = "ended" if dead else "has no session"
            raise dg.Failure(
                description=f"pod {paper_user} {what} {waited:.1f} s after its start",
                metadata={
                    **describe(seen),
                    "log": dg.MetadataValue.md(
                        f"```\n{fleet.runtime.log_tail(paper_user, LOG_LINES)}\n```"
                    ),
                },
                allow_retries=False,
            )
        time.sleep(_POLL)


def _ended(seen: PodObservation) -> bool:
    gone = not (seen.gateway.running and seen.streamer.running)
    return gone and seen.error is None and seen.acting is None


def describe(seen: PodObservation) -> dict[str, str | int]:
    """What is known of a pod, as metadata."""
    described: dict[str, str | int] = {
        "paper_user": seen.paper_user,
        "gateway": str(seen.gateway),
        "streamer": str(seen.streamer),
    }
    if seen.gateway_health is not None:
        described["gateway_state"] = seen.gateway_health.state.value
        if (alarm := seen.gateway_health.alarm) is not None:
            described["alarm"] = alarm
    if (health := seen.streamer_health) is not None:
        described["streamer_state"] = f"{health.state.value}: {health.reason}"
        described["run_id"] = health.run_id
        described["recovered_frames"] = health.loader.recovered_frames
    for name in ("gateway_error", "streamer_error", "error"):
        if (problem := getattr(seen, name)) is not None:
            described[name] = problem
    return described
