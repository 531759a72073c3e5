"""What is the matter with a pod: (observation, memory, now) -> a finding with its remedy. Pure.

The remedies follow from what each container can cure by itself: a supervisor logs in again, a
streamer reconnects and subscribes again, so only what is dead, mute, or has its session down beyond
a budget is restarted. States that another login would make worse are never touched. What is dead is
found before anything that a living process says.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from ib_platform.fleet.conditions import MILD, Condition, Finding, Patience, Remedy
from ib_platform.fleet.memory import ContainerMemory, PodMemory
from ib_platform.fleet.pods import ContainerState, Phase, PodObservation
from ib_platform.fleet.recording import loading_troubles, not_streaming
from ib_platform.fleet.remember import PASSES_BY_ITSELF, SESSION_DOWN, states_of
from ib_platform.states import PodState

LOCKED_OUT = {
    PodState.LOCKED: "repeated login failures; check the credentials",
    PodState.REFUSED_LIVE: "the login is not provably a paper login; check username and account",
}
_COMPETING = "COMPETING: somebody else uses this login; the pod resumes when they end"
_OVERDUE = {
    PodState.MAINTENANCE: "look at IBKR's system status and at the gateway's log",
    PodState.PENALTY: "look in the logs for who sends so many requests with this login",
}
_CONDITIONS_OF_LOADING = frozenset({Condition.HEALTHY, *MILD}) - {Condition.RETIRED}


def diagnose(seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience) -> Finding:
    """The finding about ``seen``; ``memory`` has been through ``remember`` already.

    What the streamer says about loading plays no part: see ``with_loading``.
    """
    if seen.error is not None:
        return Finding(Condition.UNOBSERVED, f"could not be observed: {seen.error}")
    if seen.retired:
        return Finding(Condition.RETIRED, "retired by a person; launch_pod brings it back")
    return (
        _locked_out(seen, memory)
        or _dead(seen, now, patience)
        or _mute(seen, memory, patience)
        or _waits_for_others(seen, memory, now, patience)
        or _session_lost(seen, memory, now, patience)
        or _alive(seen, memory, now, patience)
    )


def with_loading(finding: Finding, seen: PodObservation, patience: Patience) -> Finding:
    """What people are told: ``finding``, and that ClickHouse does not take the rows.

    Kept apart from ``diagnose``, so that a database outage can change what is told, never what is
    done.
    """
    troubles = loading_troubles(seen.streamer_health, patience.lag_limit)
    if not troubles:
        return finding
    told = finding.condition in _CONDITIONS_OF_LOADING
    condition = Condition.NOT_LOADING if told else finding.condition
    text = "; ".join([finding.text, *troubles.values()])
    return Finding(condition, text, finding.remedy, tuple(troubles))


def _locked_out(seen: PodObservation, memory: PodMemory) -> Finding | None:
    known = {*states_of(seen), memory.gateway.blocked, memory.streamer.blocked}
    for state, explanation in LOCKED_OUT.items():
        if state in known:
            health = seen.gateway_health
            since = said = ""
            if health is not None and health.state is state:
                since = f" since {health.since:%H:%M:%S} UTC"
                said = "" if health.alarm is None else f" ({health.alarm})"
            unlock = f"then run `ib-platform unlock {seen.paper_user}`"
            text = f"{state.value}{since}: {explanation}, {unlock}{said}"
            return Finding(Condition.NEEDS_A_PERSON, text)
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
    waits = states_of(seen) & {PodState.COMPETING, *PASSES_BY_ITSELF}
    # Another login would disturb what the streamer says that the session waits for.
    if memory.gateway.unanswered >= patience.unanswered and not waits:
        text = f"the gateway's health does not answer: {seen.gateway_error}"
        return Finding(Condition.GATEWAY_MUTE, text, Remedy.RESTART_POD)
    if memory.streamer.unanswered >= patience.unanswered:
        text = f"the streamer's health does not answer: {seen.streamer_error}"
        return Finding(Condition.STREAMER_MUTE, text, Remedy.RESTART_STREAMER)
    return None


def _waits_for_others(
    seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience
) -> Finding | None:
    states = states_of(seen)
    if PodState.COMPETING in states:
        return Finding(Condition.NEEDS_A_PERSON, _COMPETING)
    budgets = {
        PodState.MAINTENANCE: patience.maintenance_budget,
        PodState.PENALTY: patience.penalty_budget,
    }
    for state, budget in budgets.items():
        if state not in states:
            continue
        text = f"{state.value} ({_words(seen)}): the pod resumes by itself"
        if _passing_for(seen, memory, now) <= budget:
            return Finding(Condition.PASSING, text)
        return Finding(
            Condition.OVERDUE,
            f"{text}, but it lasts for more than {budget / 3600:g} h: {_OVERDUE[state]}",
        )
    return None


def _passing_for(seen: PodObservation, memory: PodMemory, now: datetime) -> float:
    """Seconds; what the containers say themselves survives a lost memory."""
    answers = (seen.gateway_health, seen.streamer_health)
    starts = [a.since.timestamp() for a in answers if a and a.state in PASSES_BY_ITSELF]
    starts += [] if memory.passing_since is None else [memory.passing_since]
    return now.timestamp() - min(starts, default=now.timestamp())


def _session_lost(
    seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience
) -> Finding | None:
    gateway = seen.gateway_health
    if gateway is not None and gateway.alarm is not None and gateway.state in SESSION_DOWN:
        since = f"{gateway.state.value} since {gateway.since:%H:%M:%S} UTC"
        text = f"{since}: {gateway.alarm} (the gateway goes on trying by itself)"
        return Finding(Condition.NEEDS_A_PERSON, text)
    # A supervisor that lives cures its session by itself, or says what keeps it from that.
    if _down_for(seen.gateway, memory.gateway, now) > patience.gateway_budget:
        text = f"the session is {_words(seen)} for more than {patience.gateway_budget:.0f} s"
        return Finding(Condition.SESSION_LOST, text, Remedy.RESTART_POD)
    # The gateway's session is well, so a new login would cure nothing. And before it was well the
    # streamer could not be: it has the whole budget from then on.
    lost_for = min(_down_for(seen.streamer, memory.streamer, now), _gateway_well_for(seen, now))
    if lost_for > patience.session_budget:
        text = f"the streamer is {_words(seen)} for more than {patience.session_budget:.0f} s"
        remedy = Remedy.RESTART_STREAMER if seen.gateway_health is not None else None
        return Finding(Condition.SESSION_LOST, text, remedy)
    return None


def _down_for(seen: ContainerState, memory: ContainerMemory, now: datetime) -> float:
    if memory.bad_since is None:
        return 0.0
    since = datetime.fromtimestamp(memory.bad_since, UTC)
    return (now - max(since, seen.started_at or since)).total_seconds()


def _gateway_well_for(seen: PodObservation, now: datetime) -> float:
    """Seconds; 0 while the gateway says that it is not, infinite while it says nothing."""
    health = seen.gateway_health
    if health is None:
        return math.inf
    if health.state in SESSION_DOWN:
        return 0.0
    return (now - health.since).total_seconds()


def _alive(seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience) -> Finding:
    if (
        seen.settled
        and seen.gateway_health is not None
        and seen.gateway_health.state not in SESSION_DOWN
    ):
        return _recording(seen, memory, now, patience)
    started = seen.started_at
    if started is not None and (now - started).total_seconds() <= patience.start_budget:
        return Finding(Condition.STARTING, f"starting: {_words(seen)}")
    text = (
        f"{_words(seen)}; unanswered calls: gateway {memory.gateway.unanswered}, "
        f"streamer {memory.streamer.unanswered}; acted on when it lasts"
    )
    return Finding(Condition.UNSETTLED, text)


def _recording(
    seen: PodObservation, memory: PodMemory, now: datetime, patience: Patience
) -> Finding:
    health = seen.streamer_health
    problem = None if health is None else not_streaming(health, seen.spare)
    if problem is None:
        return Finding(Condition.HEALTHY, _healthy_line(seen))
    if _quiet_for(seen, memory, now) <= patience.start_budget:
        return Finding(Condition.NOT_YET_STREAMING, f"not streaming: {problem}")
    text = f"not streaming for more than {patience.start_budget:.0f} s: {problem}"
    return Finding(Condition.NOT_STREAMING, f"{text}; the streamer goes on trying by itself")


def _quiet_for(seen: PodObservation, memory: PodMemory, now: datetime) -> float:
    """Seconds; what the streamer says itself survives a lost memory."""
    at = now.timestamp()
    starts = [] if memory.quiet_since is None else [memory.quiet_since]
    health = seen.streamer_health
    if health is not None and health.state is not PodState.STREAMING:
        starts.append(health.since.timestamp())
    began = seen.streamer.started_at.timestamp() if seen.streamer.started_at else 0.0
    return at - max(min(starts, default=at), began)


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
    rest = "all loaded" if health.loader.quarantined_batches == 0 else "all others loaded"
    loaded = rest if lag is None else f"{lag:.1f} s behind"
    return (
        f"{health.state.value}, {len(health.contracts)} contracts, "
        f"{health.frames.received} frames received, {loaded}"
    )
