"""Observations for tests of the pure decisions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ib_platform.fleet.pods import ContainerState, Phase, PodObservation
from ib_platform.health import FrameCounts, GatewayHealth, LoaderHealth, StreamerHealth
from ib_platform.states import PodState

T0 = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
GONE = ContainerState(Phase.EXITED)
NEVER = ContainerState(Phase.ABSENT)
LONG_AGO = T0 - timedelta(hours=3)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def running(pid: int = 7, started: datetime = LONG_AGO) -> ContainerState:
    return ContainerState(Phase.RUNNING, pid, started)


def gateway_health(state: PodState = PodState.AUTHENTICATED) -> GatewayHealth:
    return GatewayHealth("alpha", 7, state, LONG_AGO, "", 8, 1)


def streamer_health(
    state: PodState = PodState.STREAMING, stored: int = 10, run_id: str = "run"
) -> StreamerHealth:
    return StreamerHealth(
        paper_user="alpha",
        run_id=run_id,
        pid=9,
        state=state,
        since=LONG_AGO,
        reason="",
        started_at=LONG_AGO,
        frames=FrameCounts(stored, stored, stored, 0),
        loader=LoaderHealth(),
        assignment_generation=1,
        assignment_source="clickhouse",
        contracts={},
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
        gateway_health=gateway_health(gateway) if gateway else None,
        streamer_health=streamer_health(streamer) if streamer else None,
        gateway_error="no answer" if first.running and gateway is None else None,
        streamer_error="no answer" if second.running and streamer is None else None,
        retired=retired,
        acting=acting,
    )
