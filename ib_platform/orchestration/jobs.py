"""Jobs that act on the fleet: one op each, in the run's own process, launchable by hand.

The sensor ``pod_fleet`` requests launch_pod and restart_pod; retire_pod, unlock_pod, drain_spool
and rebalance are for people. Whatever runs at the same time, the lock of a pod lets only one of
them act.
"""

# No `from __future__ import annotations` here: Dagster reads an op's config class from its
# annotation and cannot resolve text.
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import dagster as dg
from pydantic import Field

from ib_platform.errors import PlatformError, PlatformInUseError
from ib_platform.fleet.pods import PodObservation, Scope
from ib_platform.orchestration.runtime import Fleet, open_fleet

LOG_LINES = 30
_POLL = 0.25
_TAGS = {
    "dagster/priority": "10",  # before any compaction that waits in the queue
    # A run whose process was killed would hold the paper user's slot in the queue for ever.
    "dagster/max_runtime": "300",
    # The sensor looks again and decides anew; an automatic retry would act on old knowledge.
    "dagster/max_retries": "0",
}
_LONGEST_DRAIN = 3600
# Longer than a drain may take: it ends by itself.
_DRAIN_TAGS = {**_TAGS, "dagster/max_runtime": str(_LONGEST_DRAIN + 600)}
_PAPER_USER = "Name of the paper user in the configuration; its pod has the same name"
_REASON = "Why, for the run's history"


class LaunchPodConfig(dg.Config):
    """The pod to launch."""

    paper_user: str = Field(description=_PAPER_USER)
    end_retirement: bool = Field(
        default=True, description="Launch also a pod that was retired; the sensor never does"
    )
    reason: str = Field(default="by hand", description=_REASON)


class RestartPodConfig(dg.Config):
    """The pod to restart, and how much of it."""

    paper_user: str = Field(description=_PAPER_USER)
    scope: Literal["streamer", "pod"] = Field(
        default="streamer",
        description="`streamer` leaves the gateway and its login alone; `pod` replaces both, "
        "which is another login",
    )
    reason: str = Field(default="by hand", description=_REASON)


class RetirePodConfig(dg.Config):
    """The pod to stop for good."""

    paper_user: str = Field(description=_PAPER_USER)
    reason: str = Field(default="by hand", description=_REASON)


class UnlockPodConfig(dg.Config):
    """The pod whose login may be tried again."""

    paper_user: str = Field(description=_PAPER_USER)
    reason: str = Field(default="by hand", description=_REASON)


class DrainSpoolConfig(dg.Config):
    """The spool to load without a session."""

    paper_user: str = Field(description=_PAPER_USER)
    deadline: float = Field(
        default=600,
        gt=0,
        le=_LONGEST_DRAIN,
        description="Seconds; what is not loaded by then stays in the spool, and the run fails",
    )
    reason: str = Field(default="by hand", description=_REASON)


@dg.op
def launch(context: dg.OpExecutionContext, config: LaunchPodConfig) -> None:
    """Start what is missing of one pod and wait until its streamer has a session."""
    with _failures():
        fleet = open_fleet()
        context.log.info(f"launching pod {config.paper_user}: {config.reason}")
        try:
            fleet.runtime.launch(config.paper_user, end_retirement=config.end_retirement)
        except PlatformInUseError as error:
            # Somebody was faster: the pod that runs is the pod that was asked for.
            context.log.warning(str(error))
        _wait_until_settled(context, fleet, config.paper_user)


@dg.op
def restart(context: dg.OpExecutionContext, config: RestartPodConfig) -> None:
    """Stop one pod or only its streamer, start it again, wait until it has a session."""
    with _failures():
        fleet = open_fleet()
        context.log.info(f"restarting {config.scope} of {config.paper_user}: {config.reason}")
        fleet.runtime.restart(config.paper_user, Scope(config.scope))
        _wait_until_settled(context, fleet, config.paper_user)


@dg.op
def retire(context: dg.OpExecutionContext, config: RetirePodConfig) -> None:
    """Stop one pod, the streamer first; nobody starts it again but a person."""
    with _failures():
        fleet = open_fleet()
        context.log.info(f"retiring pod {config.paper_user}: {config.reason}")
        fleet.runtime.retire(config.paper_user)


@dg.op
def unlock(context: dg.OpExecutionContext, config: UnlockPodConfig) -> None:
    """Give one pod another unlock token, start it again, wait until it has a session."""
    with _failures():
        fleet = open_fleet()
        context.log.info(f"unlocking pod {config.paper_user}: {config.reason}")
        fleet.runtime.unlock(config.paper_user)
        _wait_until_settled(context, fleet, config.paper_user)


@dg.op
def drain(context: dg.OpExecutionContext, config: DrainSpoolConfig) -> None:
    """Load what the spool of one paper user holds; its streamer must not run."""
    with _failures():
        fleet = open_fleet()
        context.log.info(f"draining the spool of {config.paper_user}: {config.reason}")
        said = fleet.runtime.drain(config.paper_user, config.deadline)
    context.log.info(said)
    context.add_output_metadata({"loaded": dg.MetadataValue.md(f"```\n{said}\n```")})


@dg.op
def write_plan(context: dg.OpExecutionContext) -> None:
    """Plan which paper user streams which contract; write it when it differs from the newest."""
    from ib_platform.fleet.plan import plan_assignment
    from ib_platform.warehouse.assignments import write_assignment
    from ib_platform.warehouse.connect import connect

    with _failures():
        config = open_fleet().config
        assignment = plan_assignment(config)
        client = connect(config.clickhouse, role="rebalance")
        try:
            generation = write_assignment(client, assignment, config.limits.start_grace)
        finally:
            client.close()
    table = "\n".join(
        f"| {contract} | {user} | {calendar} |"
        for contract, user, calendar in zip(
            assignment.contracts, assignment.paper_users, assignment.calendars, strict=True
        )
    )
    context.add_output_metadata(
        {
            "generation": "unchanged" if generation is None else generation,
            "assignment": dg.MetadataValue.md(
                f"| contract | paper user | calendar |\n|---|---|---|\n{table}"
            ),
        }
    )


@contextmanager
def _failures() -> Iterator[None]:
    """A PlatformError says all that a person needs: without the stack around it."""
    try:
        yield
    except PlatformError as error:
        raise dg.Failure(description=str(error), allow_retries=False) from error


def _wait_until_settled(context: dg.OpExecutionContext, fleet: Fleet, paper_user: str) -> None:
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


@dg.job(executor_def=dg.in_process_executor, tags=_TAGS)
def launch_pod() -> None:
    """Launch the pod of one paper user: gateway first, then streamer."""
    launch()


@dg.job(executor_def=dg.in_process_executor, tags=_TAGS)
def restart_pod() -> None:
    """Restart the pod of one paper user, or only its streamer."""
    restart()


@dg.job(executor_def=dg.in_process_executor, tags=_TAGS)
def retire_pod() -> None:
    """Stop the pod of one paper user until launch_pod is run by hand."""
    retire()


@dg.job(executor_def=dg.in_process_executor, tags=_TAGS)
def unlock_pod() -> None:
    """Let the pod of one paper user log in again after it was LOCKED or REFUSED_LIVE.

    Correct what was wrong first: username, password or account.
    """
    unlock()


@dg.job(executor_def=dg.in_process_executor, tags=_DRAIN_TAGS)
def drain_spool() -> None:
    """Load the spool of a paper user that does not run: retired, or not allowed to log in.

    Retire its pod first, else its streamer owns the spool and loads it by itself.
    """
    drain()


@dg.job(executor_def=dg.in_process_executor, tags=_TAGS)
def rebalance() -> None:
    """Write the next generation of the assignment, if the plan has changed."""
    write_plan()


jobs = [launch_pod, restart_pod, retire_pod, unlock_pod, drain_spool, rebalance]
