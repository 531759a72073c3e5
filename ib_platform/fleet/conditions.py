"""The words of a diagnosis: what a pod is found in, what would cure it, how long things may take.

Data only. ``ib_platform.fleet.diagnose`` says when each condition holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Condition(StrEnum):
    """What a pod is found in."""

    HEALTHY = "healthy"
    STARTING = "starting"
    ABSENT = "absent"
    STREAMER_DEAD = "streamer_dead"
    GATEWAY_DEAD = "gateway_dead"
    STREAMER_MUTE = "streamer_mute"
    GATEWAY_MUTE = "gateway_mute"
    SESSION_LOST = "session_lost"
    UNSETTLED = "unsettled"
    PASSING = "passing"
    OVERDUE = "overdue"
    NOT_YET_STREAMING = "not_yet_streaming"
    NOT_STREAMING = "not_streaming"
    NOT_LOADING = "not_loading"
    NEEDS_A_PERSON = "needs_a_person"
    RETIRED = "retired"
    UNOBSERVED = "unobserved"


MILD = frozenset(
    {
        Condition.STARTING,
        Condition.UNSETTLED,
        Condition.PASSING,
        Condition.NOT_YET_STREAMING,
        Condition.RETIRED,
    }
)
"""Not healthy, and nothing that anybody must look at yet."""


class Remedy(StrEnum):
    """What would cure it."""

    LAUNCH = "launch"
    RESTART_STREAMER = "restart_streamer"
    RESTART_POD = "restart_pod"

    @property
    def login(self) -> bool:
        """Whether it starts a gateway, which logs in."""
        return self is not Remedy.RESTART_STREAMER


@dataclass(frozen=True)
class Patience:
    """How long things may take: seconds, and ``unanswered`` health calls in a row.

    ``start_budget``: until a started pod answers, and until an authenticated one streams.
    ``session_budget``: a streamer whose session is down beside a gateway that is well;
    ``gateway_budget``: a gateway whose session is down and that raises no alarm about it.
    ``maintenance_budget`` and ``penalty_budget``: what IBKR ends by itself. ``lag_limit``: age of
    the oldest record that waits for ClickHouse.
    """

    start_budget: float = 45.0
    session_budget: float = 120.0
    gateway_budget: float = 1000.0
    maintenance_budget: float = 6 * 3600.0
    penalty_budget: float = 3600.0
    lag_limit: float = 300.0
    unanswered: int = 3


@dataclass(frozen=True)
class Finding:
    """A condition, in words for people, with its remedy where a restart would cure it. ``loading``:
    the kinds of trouble that rows have on their way to ClickHouse, which the text tells of too."""

    condition: Condition
    text: str
    remedy: Remedy | None = None
    loading: tuple[str, ...] = ()
