"""What the configuration asks of IBKR: contracts, slots and requests."""

from __future__ import annotations

from collections.abc import Iterator

from ib_platform.config import PlatformConfig
from ib_platform.config_gateway import POD_CALLS_PER_SECOND
from ib_platform.doctor.finding import Finding, ok, problem
from ib_platform.errors import ConfigurationError
from ib_platform.fleet.plan import plan_assignment

CONTRACTS, REQUESTS = "contracts", "request budget"


def check_contracts(config: PlatformConfig) -> Iterator[Finding]:
    """Whether every contract finds a slot. What the keys mean today only IBKR can say."""
    try:
        assignment = plan_assignment(config)
    except ConfigurationError as error:
        remedy = "Take contracts away, or add a paper user or depth_slots that IBKR really grants."
        yield problem(CONTRACTS, str(error), remedy)
        return
    users = len(config.paper_users)
    yield ok(CONTRACTS, f"{len(assignment.contracts)} fit the slots of {users} paper users")


def check_requests(config: PlatformConfig) -> Iterator[Finding]:
    """The REST budget of each pod. More than IBKR allows a gateway is refused at load."""
    pacing = config.gateway.pacing
    together = pacing.supervisor_per_second + pacing.streamer_per_second
    yield ok(
        REQUESTS,
        f"{pacing.supervisor_per_second} a second for the supervisor and "
        f"{pacing.streamer_per_second} for the streamer: {together} of the {POD_CALLS_PER_SECOND} "
        "that a pod may have",
    )
