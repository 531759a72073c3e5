"""What is known of a pod, and what a runtime can do to one. Data and a protocol, no I/O.

A pod is two containers of one paper user: ``gateway`` and ``streamer``. The local runtime runs them
as two processes; another runtime may run them elsewhere, the decisions stay the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from ib_platform.health import GatewayHealth, StreamerHealth
from ib_platform.states import PodState


class Container(StrEnum):
    """The two containers of a pod."""

    GATEWAY = "gateway"
    STREAMER = "streamer"


class Scope(StrEnum):
    """What a restart replaces. ``streamer`` leaves the gateway and its login alone."""

    STREAMER = "streamer"
    POD = "pod"


class Phase(StrEnum):
    """``absent``: never started or stopped on purpose. ``exited``: was started and is gone."""

    ABSENT = "absent"
    RUNNING = "running"
    EXITED = "exited"


SETTLED = frozenset(PodState) - {
    PodState.STARTING,
    PodState.DOWN,
    PodState.NO_SSO,
    PodState.SSO_ONLY,
}
"""States in which a launch has nothing more to wait for, for better or worse."""


@dataclass(frozen=True)
class ContainerState:
    """One container. ``started_at`` is UTC; None where it does not run."""

    phase: Phase = Phase.ABSENT
    pid: int | None = None
    started_at: datetime | None = None

    @property
    def running(self) -> bool:
        return self.phase is Phase.RUNNING

    def age(self, now: datetime) -> float:
        """Seconds since the start; 0 for what does not run."""
        return (now - self.started_at).total_seconds() if self.started_at else 0.0

    def __str__(self) -> str:
        return f"pid {self.pid}" if self.running else self.phase.value


@dataclass(frozen=True)
class PodObservation:
    """One look at one pod. ``*_error`` says why a running container gave no health.

    ``error``: the runtime itself could not look; everything else is unknown then.
    ``retired``: stopped by a person on purpose; nobody launches it but a person.
    ``acting``: who launches, restarts or retires the pod at this moment.
    ``spare``: the plan gives the pod no contract; said by whoever knows the plan.
    """

    paper_user: str
    gateway: ContainerState = field(default_factory=ContainerState)
    streamer: ContainerState = field(default_factory=ContainerState)
    gateway_health: GatewayHealth | None = None
    streamer_health: StreamerHealth | None = None
    gateway_error: str | None = None
    streamer_error: str | None = None
    retired: bool = False
    acting: str | None = None
    spare: bool = False
    error: str | None = None

    @property
    def settled(self) -> bool:
        """Both containers run, both answer, and the session has reached a state of its own."""
        return (
            self.gateway.running
            and self.streamer.running
            and self.gateway_health is not None
            and self.streamer_health is not None
            and self.streamer_health.state in SETTLED
        )

    @property
    def started_at(self) -> datetime | None:
        """Start of the younger container, UTC."""
        starts = [c.started_at for c in (self.gateway, self.streamer) if c.started_at]
        return max(starts, default=None)


class PodRuntime(Protocol):
    """Where pods run. Every call is bounded in time; none consults ClickHouse or Dagster."""

    def observe(self, paper_users: Iterable[str]) -> list[PodObservation]:
        """One observation per paper user, in that order. Errors are values, never raised."""

    def launch(self, paper_user: str, *, end_retirement: bool = True) -> None:
        """Start what is missing of the pod. Ends a retirement, unless told not to.

        Raises:
            PlatformInUseError: it already runs, or somebody else is acting on it.
            PlatformError: the pod is retired, and ``end_retirement`` is False.
        """

    def restart(self, paper_user: str, scope: Scope) -> None:
        """Stop what ``scope`` names, then start what is missing of the pod.

        Raises:
            PlatformInUseError: somebody else is acting on the pod.
            PlatformError: the pod is retired; nothing was stopped or started.
        """

    def retire(self, paper_user: str) -> None:
        """Stop the pod, the streamer first, and keep it stopped until a launch.

        Raises:
            PlatformInUseError: somebody else is acting on the pod.
        """

    def unlock(self, paper_user: str) -> None:
        """Give the pod another unlock token and start it again: the login may be tried anew.

        Raises:
            PlatformInUseError: somebody else is acting on the pod.
            PlatformError: the pod is retired; nothing was changed.
        """

    def drain(self, paper_user: str, deadline: float) -> str:
        """Load what is in the paper user's spool, without a session, and say what was loaded.
        ``deadline``: seconds; this call alone may take that long, and some time to end.

        Raises:
            PlatformInUseError: the streamer runs, or somebody else is acting on the pod.
            PlatformError: not everything was loaded; says what is left.
        """

    def log_tail(self, paper_user: str, lines: int) -> str:
        """The last lines of each container's log, with a heading each."""
