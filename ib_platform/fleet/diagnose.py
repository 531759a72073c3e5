"""What is the matter with a pod: (observation, memory, now) -> a finding with its remedy. Pure.

The remedies follow from what each container can cure by itself: a supervisor logs in again and a
streamer reconnects, so only what is dead, mute, or down beyond a budget is restarted. States that
another login would make worse are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

import msgspec

from ib_platform.fleet.memory import ContainerMemory, PodMemory
from ib_platform.fleet.pods import Container, ContainerState, Phase, PodObservation
from ib_platform.states import PodState

NEEDS_A_PERSON = {
    PodState.LOCKED: "repeated login failures; check the credentials, then unlock",
    PodState.REFUSED_LIVE: "the login is not provably a paper login; check the account",
    PodState.COMPETING: "somebody else uses this login; the pod resumes when they end",
}
PASSES_BY_ITSELF = {
    PodState.MAINTENANCE: "the pod resumes by itself",
    PodState.PENALTY: "too many requests were sent; the pod resumes by itself",
}
SESSION_DOWN = frozenset(
    {PodState.STARTING, PodState.DOWN, PodState.NO_SSO, PodState.SSO_ONLY},
)
_STICKY = {
    Container.GATEWAY: frozenset(NEEDS_A_PERSON),
    # A streamer learns of lock and competition from the gateway; only this judgement is its own.
    Container.STREAMER: frozenset({PodState.REFUSED_LIVE}),
}


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
    NEEDS_A_PERSON = "needs_a_person"
    RETIRED = "retired"
    UNOBSERVED = "unobserved"


class Remedy(StrEnum):
    """What would cure it."""

    LAUNCH = "launch"
    RESTART_STREAMER = "restart_streamer"
    RESTART_POD = "restart_pod"


@dataclass(frozen=True)
class Patience:
    """How long things may take. ``start_budget`` and ``session_budget`` in seconds."""

    start_budget: float = 45.0
    session_budget: float = 120.0
    unanswered: int = 3


@dataclass(frozen=True)
class Finding:
    condition: Condition
    text: str
    remedy: Remedy | None = None


def remember(
    seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience
) -> PodMemory:
    """``memory`` after ``seen``: counters of silence and of lost sessions."""
    if seen.error is not None:
        return memory
    gateway_state = seen.gateway_health.state if seen.gateway_health else None
    streamer_state = seen.streamer_health.state if seen.streamer_health else None
    return msgspec.structs.replace(
        memory,
        gateway=_remember(
            Container.GATEWAY, seen.gateway, gateway_state, memory.gateway, now, patience
        ),
        streamer=_remember(
            Container.STREAMER, seen.streamer, streamer_state, memory.streamer, now, patience
        ),
    )


def _remember(
    container: Container,
    seen: ContainerState,
    state: PodState | None,
    memory: ContainerMemory,
    now: datetime,
    patience: Patience,
) -> ContainerMemory:
    silent = seen.running and state is None and seen.age(now) > patience.start_budget
    down = state in SESSION_DOWN
    blocked = memory.blocked
    if state is not None:
        blocked = state if state in _STICKY[container] else None
    return ContainerMemory(
        unanswered=memory.unanswered + 1 if silent else 0,
        bad_since=(memory.bad_since or now.timestamp()) if down else None,
        blocked=blocked,
    )


def diagnose(seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience) -> Finding:
    """The finding about ``seen``; ``memory`` has been through ``remember`` already."""
    if seen.error is not None:
        return Finding(Condition.UNOBSERVED, f"could not be observed: {seen.error}")
    if seen.retired:
        return Finding(Condition.RETIRED, "retired by a person; launch_pod brings it back")
    return (
        _left_alone(seen, memory)
        or _dead(seen, now, patience)
        or _mute(seen, memory, patience)
        or _session_lost(seen, memory, now, patience)
        or _alive(seen, memory, now, patience)
    )


def _states(seen: PodObservation) -> list[PodState]:
    health = (seen.gateway_health, seen.streamer_health)
    return [answer.state for answer in health if answer is not None]


def _left_alone(seen: PodObservation, memory: PodMemory) -> Finding | None:
    known = [*_states(seen), memory.gateway.blocked, memory.streamer.blocked]
    for state, explanation in NEEDS_A_PERSON.items():
        if state in known:
            return Finding(Condition.NEEDS_A_PERSON, f"{state.value}: {explanation}")
    for state, explanation in PASSES_BY_ITSELF.items():
        if state in known:
            return Finding(Condition.PASSING, f"{state.value}: {explanation}")
    return None


def _dead(seen: PodObservation, now: datetime, patience: Patience) -> Finding | None:
    gateway, streamer = seen.gateway, seen.streamer
    if gateway.phase is Phase.ABSENT and streamer.phase is Phase.ABSENT:
        return Finding(Condition.ABSENT, "the pod is absent", Remedy.LAUNCH)
    if not gateway.running:
        text = f"the gateway process is gone (streamer: {streamer})"
        return Finding(Condition.GATEWAY_DEAD, text, Remedy.RESTART_POD)
    if streamer.running:
        return None
    if streamer.phase is Phase.ABSENT and gateway.age(now) <= patience.start_budget:
        return Finding(Condition.STARTING, "the gateway runs, the streamer is not started yet")
    text = f"the streamer process is gone, the gateway runs ({gateway})"
    return Finding(Condition.STREAMER_DEAD, text, Remedy.RESTART_STREAMER)


def _mute(seen: PodObservation, memory: PodMemory, patience: Patience) -> Finding | None:
    if memory.gateway.unanswered >= patience.unanswered:
        text = f"the gateway's health does not answer: {seen.gateway_error}"
        return Finding(Condition.GATEWAY_MUTE, text, Remedy.RESTART_POD)
    if memory.streamer.unanswered >= patience.unanswered:
        text = f"the streamer's health does not answer: {seen.streamer_error}"
        return Finding(Condition.STREAMER_MUTE, text, Remedy.RESTART_STREAMER)
    return None


def _session_lost(
    seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience
) -> Finding | None:
    if _down_for(seen.gateway, memory.gateway, now) > patience.session_budget:
        text = f"the session is {_words(seen)} for more than {patience.session_budget:.0f} s"
        return Finding(Condition.SESSION_LOST, text, Remedy.RESTART_POD)
    # The gateway's session is well, so a new login would cure nothing.
    if _down_for(seen.streamer, memory.streamer, now) > patience.session_budget:
        text = f"the streamer is {_words(seen)} for more than {patience.session_budget:.0f} s"
        remedy = Remedy.RESTART_STREAMER if seen.gateway_health is not None else None
        return Finding(Condition.SESSION_LOST, text, remedy)
    return None


def _down_for(seen: ContainerState, memory: ContainerMemory, now: datetime) -> float:
    if memory.bad_since is None:
        return 0.0
    since = datetime.fromtimestamp(memory.bad_since, UTC)
    return (now - max(since, seen.started_at or since)).total_seconds()


def _alive(seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience) -> Finding:
    if (
        seen.settled
        and seen.gateway_health is not None
        and seen.gateway_health.state not in SESSION_DOWN
    ):
        return Finding(Condition.HEALTHY, _healthy_line(seen))
    started = seen.started_at
    if started is not None and (now - started).total_seconds() <= patience.start_budget:
        return Finding(Condition.STARTING, f"starting: {_words(seen)}")
    text = (
        f"{_words(seen)}; unanswered calls: gateway {memory.gateway.unanswered}, "
        f"streamer {memory.streamer.unanswered}; acted on when it lasts"
    )
    return Finding(Condition.UNSETTLED, text)


def _words(seen: PodObservation) -> str:
    gateway = seen.gateway_health.state.value if seen.gateway_health else "unanswered"
    streamer = seen.streamer_health.state.value if seen.streamer_health else "unanswered"
    reason = seen.streamer_health.reason if seen.streamer_health else seen.streamer_error
    return f"gateway {gateway}, streamer {streamer}" + (f" ({reason})" if reason else "")


def _healthy_line(seen: PodObservation) -> str:
    health = seen.streamer_health
    if health is None:
        return "runs"
    lag = health.loader.lag_seconds
    loaded = "all loaded" if lag is None else f"{lag:.1f} s behind"
    return (
        f"{health.state.value}, {len(health.contracts)} contracts, "
        f"{health.frames.received} frames received, {loaded}"
    )
