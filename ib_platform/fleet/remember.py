"""What a look at a pod adds to its memory: counters of silence, since when things last. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from ib_platform.fleet.conditions import Patience
from ib_platform.fleet.memory import ContainerMemory, PodMemory
from ib_platform.fleet.pods import Container, ContainerState, PodObservation
from ib_platform.fleet.recording import SESSION_UP, not_streaming
from ib_platform.states import PodState

PASSES_BY_ITSELF = frozenset({PodState.MAINTENANCE, PodState.PENALTY})
SESSION_DOWN = frozenset(
    {PodState.STARTING, PodState.DOWN, PodState.NO_SSO, PodState.SSO_ONLY},
)
STICKY = {
    # Another login would make these worse, so the death of the process does not end them.
    Container.GATEWAY: frozenset({PodState.LOCKED, PodState.REFUSED_LIVE}),
    # A streamer learns of a lock from the gateway; only this judgement is its own.
    Container.STREAMER: frozenset({PodState.REFUSED_LIVE}),
}


def states_of(seen: PodObservation) -> set[PodState]:
    """What the containers that answer say."""
    answers = (seen.gateway_health, seen.streamer_health)
    return {answer.state for answer in answers if answer is not None}


def remember(
    seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience
) -> PodMemory:
    """``memory`` after ``seen``. An observation that failed adds nothing."""
    if seen.error is not None:
        return memory
    gateway_state = seen.gateway_health.state if seen.gateway_health else None
    streamer_state = seen.streamer_health.state if seen.streamer_health else None
    return msgspec.structs.replace(
        memory,
        gateway=_container(
            Container.GATEWAY, seen.gateway, gateway_state, memory.gateway, now, patience
        ),
        streamer=_container(
            Container.STREAMER, seen.streamer, streamer_state, memory.streamer, now, patience
        ),
        passing_since=_passing_since(seen, memory, now),
        quiet_since=_quiet_since(seen, memory, now),
    )


def _container(
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
        blocked = state if state in STICKY[container] else None
    return ContainerMemory(
        unanswered=memory.unanswered + 1 if silent else 0,
        bad_since=(memory.bad_since or now.timestamp()) if down else None,
        blocked=blocked,
    )


def _passing_since(seen: PodObservation, memory: PodMemory, now: datetime) -> float | None:
    states = states_of(seen)
    if states & PASSES_BY_ITSELF:
        return memory.passing_since or now.timestamp()
    # Only a session that is well proves that it has passed: errors of a server under maintenance
    # alternate with no answer at all.
    return None if states and not states & SESSION_DOWN else memory.passing_since


def _quiet_since(seen: PodObservation, memory: PodMemory, now: datetime) -> float | None:
    health = seen.streamer_health
    if health is None or health.state in SESSION_DOWN:
        return memory.quiet_since
    if health.state in SESSION_UP and not_streaming(health, seen.spare) is not None:
        return memory.quiet_since or now.timestamp()
    return None
