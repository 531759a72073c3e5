"""Observations for tests of the pure decisions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType

from ib_platform.fleet.pods import ContainerState, Phase, PodObservation
from ib_platform.health import (
    ContractHealth,
    FrameCounts,
    GatewayHealth,
    LoaderHealth,
    StreamerHealth,
)
from ib_platform.states import ContractState, PodState

T0 = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
GONE = ContainerState(Phase.EXITED)
NEVER = ContainerState(Phase.ABSENT)
LONG_AGO = T0 - timedelta(hours=3)
NO_CONTRACTS: Mapping[str, ContractState] = MappingProxyType({})


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def running(pid: int = 7, started: datetime = LONG_AGO) -> ContainerState:
    return ContainerState(Phase.RUNNING, pid, started)


def gateway_health(state: PodState = PodState.AUTHENTICATED, since: datetime = T0) -> GatewayHealth:
    return GatewayHealth("alpha", 7, state, since, "", 8, 1)


def streamer_health(
    state: PodState = PodState.STREAMING,
    stored: int = 10,
    run_id: str = "run",
    *,
    since: datetime = T0,
    contracts: Mapping[str, ContractState] = NO_CONTRACTS,
    loader: LoaderHealth | None = None,
) -> StreamerHealth:
    return StreamerHealth(
        paper_user="alpha",
        run_id=run_id,
        pid=9,
        state=state,
        since=since,
        reason="",
        started_at=LONG_AGO,
        frames=FrameCounts(stored, stored, stored, 0),
        loader=loader or LoaderHealth(),
        assignment_generation=1,
        assignment_source="clickhouse",
        contracts={key: ContractHealth(state=found) for key, found in contracts.items()},
    )


def pod(
    gateway: PodState | None = PodState.AUTHENTICATED,
    streamer: PodState | None = PodState.STREAMING,
    *,
    paper_user: str = "alpha",
    gateway_container: ContainerState | None = None,
    streamer_container: ContainerState | None = None,
    retired: bool = False,
    acting: str | None = None,
    since: datetime = T0,
    contracts: Mapping[str, ContractState] = NO_CONTRACTS,
    loader: LoaderHealth | None = None,
) -> PodObservation:
    """A pod that is well, but for what is said. A state None: its health does not answer."""
    first = gateway_container or running(7)
    second = streamer_container or running(9)
    gateway = gateway if first.running else None
    streamer = streamer if second.running else None
    return PodObservation(
        paper_user,
        gateway=first,
        streamer=second,
        gateway_health=gateway_health(gateway, since) if gateway else None,
        streamer_health=(
            streamer_health(streamer, since=since, contracts=contracts, loader=loader)
            if streamer
            else None
        ),
        gateway_error="no answer" if first.running and gateway is None else None,
        streamer_error="no answer" if second.running and streamer is None else None,
        retired=retired,
        acting=acting,
    )
