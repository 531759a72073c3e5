"""Jobs that act on the fleet: one op each, in the run's own process, launchable by hand.

The sensor ``pod_fleet`` requests launch_pod and restart_pod; retire_pod, unlock_pod, drain_spool
and rebalance are for people. Whatever runs at the same time, the lock of a pod lets only one of
them act.
"""

# No `from __future__ import annotations` here: Dagster reads an op's config class from its
# annotation and cannot resolve text.
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ib_platform.errors import PlatformError, PlatformInUseError
from ib_platform.fleet.pods import Scope
from ib_platform.orchestration.job_configs import (
    LONGEST_DRAIN,
    DrainSpoolConfig,
    LaunchPodConfig,
    RestartPodConfig,
    RetirePodConfig,
    UnlockPodConfig,
)
from ib_platform.orchestration.runtime import open_fleet
from ib_platform.orchestration.settling import wait_until_settled

_TAGS = {
    "dagster/priority": "10",  # before any compaction that waits in the queue
    # A run whose process was killed would hold the paper user's slot in the queue for ever.
    "dagster/max_runtime": "300",
    # The sensor looks again and decides anew; an automatic retry would act on old knowledge.
    "dagster/max_retries": "0",
}
# Longer than a drain may take: it ends by itself.
_DRAIN_TAGS = {**_TAGS, "dagster/max_runtime": str(LONGEST_DRAIN + 600)}


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
        wait_until_settled(context, fleet, config.paper_user)


@dg.op
def restart(context: dg.OpExecutionContext, config: RestartPodConfig) -> None:
    """Stop one pod or only its streamer, start it again, wait until it has a session."""
    with _failures():
        fleet = open_fleet()
        context.log.info(f"restarting {config.scope} of {config.paper_user}: {config.reason}")
        fleet.runtime.restart(config.paper_user, Scope(config.scope))
        wait_until_settled(context, fleet, config.paper_user)


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
        wait_until_settled(context, fleet, config.paper_user)


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
