"""What to do about every pod: (desired, observations, memory, now) -> actions and verdicts. Pure.

Trouble opens an incident. Its attempts are spaced by ``Policy.backoff`` and end after
``max_attempts``: from then on a person is asked for. Health closes the incident. Whatever the
observations say, one hour sees at most ``actions_per_hour`` actions and ``logins_per_hour`` actions
that start a gateway. Only the runtime and the pods' own health are consulted, never ClickHouse.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from ib_platform.config import Limits
from ib_platform.fleet.diagnose import Condition, Finding, Patience, Remedy, diagnose, remember
from ib_platform.fleet.memory import ContainerMemory, FleetMemory, PastAction, PodMemory
from ib_platform.fleet.pods import PodObservation, Scope

HOUR = 3600.0
_CLOSING = frozenset({Condition.HEALTHY, Condition.RETIRED})
_MILD = frozenset({Condition.STARTING, Condition.PASSING, Condition.RETIRED, Condition.UNSETTLED})


@dataclass(frozen=True)
class Policy:
    """Seconds and counts. ``backoff[i]`` lies before attempt i + 1, the last one repeats."""

    patience: Patience = field(default_factory=Patience)
    backoff: tuple[float, ...] = (0.0, 10.0, 30.0, 60.0, 300.0)
    max_attempts: int = 8
    actions_per_hour: int = 40
    logins_per_hour: int = 10

    @classmethod
    def of(cls, limits: Limits) -> Policy:
        """The policy that the configuration's limits stand for."""
        return cls(patience=Patience(start_budget=limits.start_budget))

    def wait_before(self, attempt: int) -> float:
        """Seconds between attempt ``attempt - 1`` and ``attempt`` (1-based)."""
        return self.backoff[min(attempt - 1, len(self.backoff) - 1)]


@dataclass(frozen=True)
class Action:
    """A launch (``scope`` None) or a restart, as the ``attempt``-th of ``incident``."""

    paper_user: str
    scope: Scope | None
    reason: str
    incident: int
    attempt: int

    def run_key(self, epoch: int) -> str:
        """Unique for ever, since Dagster remembers run keys for ever."""
        return f"{self.paper_user}:{self.incident}:{self.attempt}:{epoch}"


@dataclass(frozen=True)
class PodVerdict:
    """``changed``: it differs from the last one in kind, not only in its figures.

    ``alarm``: not healthy, and neither starting nor passing by itself.
    """

    paper_user: str
    condition: Condition
    text: str
    changed: bool

    @property
    def healthy(self) -> bool:
        return self.condition is Condition.HEALTHY

    @property
    def alarm(self) -> bool:
        return not self.healthy and self.condition not in _MILD

    def __str__(self) -> str:
        return f"{self.paper_user}: {self.text}"


@dataclass(frozen=True)
class Decision:
    actions: tuple[Action, ...]
    verdicts: tuple[PodVerdict, ...]
    memory: FleetMemory


def decide(
    desired: Iterable[str],
    observations: Iterable[PodObservation],
    memory: FleetMemory,
    now: datetime,
    policy: Policy,
    busy: Collection[str] = (),
) -> Decision:
    """Decide about every desired pod, in the order of ``desired``.

    ``observations``: a pod without one counts as unobserved. ``busy``: paper users that a run is
    acting on, or queued to. ``now``: UTC, aware.
    """
    by_user = {seen.paper_user: seen for seen in observations}
    pods = dict(memory.pods)
    actions: list[Action] = []
    verdicts: list[PodVerdict] = []
    for user in desired:
        seen = by_user.get(user) or PodObservation(user, error="no observation")
        pods[user], action, verdict = _decide_pod(seen, memory.of(user), now, policy, user in busy)
        actions += [] if action is None else [action]
        verdicts.append(verdict)
    return Decision(tuple(actions), tuple(verdicts), msgspec.structs.replace(memory, pods=pods))


def _decide_pod(
    seen: PodObservation, memory: PodMemory, now: datetime, policy: Policy, busy: bool
) -> tuple[PodMemory, Action | None, PodVerdict]:
    at = now.timestamp()
    busy = busy or seen.acting is not None
    if not busy:
        memory = remember(seen, memory, now, policy.patience)
    memory = _forget_old(memory, at)
    finding = diagnose(seen, memory, now, policy.patience)
    action: Action | None = None
    text = finding.text
    if finding.condition in _CLOSING:
        memory = msgspec.structs.replace(memory, open=False, attempt=0, next_at=0.0)
    elif busy:
        text += f"; {seen.acting or 'a run'} is acting on it"
    elif finding.remedy is not None:
        memory, action, note = _remedy(seen.paper_user, finding, finding.remedy, memory, at, policy)
        text = f"{text}; {note}"
    gave_up = memory.open and memory.attempt >= policy.max_attempts
    said = f"{finding.condition.value}{':gave_up' if gave_up else ''}"
    verdict = PodVerdict(seen.paper_user, finding.condition, text, said != memory.said)
    return msgspec.structs.replace(memory, said=said), action, verdict


def _forget_old(memory: PodMemory, at: float) -> PodMemory:
    # A clock that was set back must not hold actions off for longer than the limit means.
    kept = tuple(
        msgspec.structs.replace(past, at=min(past.at, at))
        for past in memory.actions
        if past.at > at - HOUR
    )
    return msgspec.structs.replace(memory, actions=kept)


def _remedy(
    user: str, finding: Finding, remedy: Remedy, memory: PodMemory, at: float, policy: Policy
) -> tuple[PodMemory, Action | None, str]:
    if not memory.open:
        memory = msgspec.structs.replace(
            memory, open=True, incident=memory.incident + 1, attempt=0, next_at=at
        )
    login = remedy is not Remedy.RESTART_STREAMER
    if (refusal := _not_now(memory, at, policy, login)) is not None:
        return memory, None, refusal
    attempt = memory.attempt + 1
    scope = {
        Remedy.LAUNCH: None,
        Remedy.RESTART_STREAMER: Scope.STREAMER,
        Remedy.RESTART_POD: Scope.POD,
    }[remedy]
    action = Action(user, scope, finding.text, memory.incident, attempt)
    memory = msgspec.structs.replace(
        memory,
        attempt=attempt,
        next_at=at + policy.wait_before(attempt + 1),
        actions=(*memory.actions, PastAction(at, login)),
        gateway=_acted_on(memory.gateway),
        streamer=_acted_on(memory.streamer),
    )
    return memory, action, f"{remedy.value} requested (incident {memory.incident}, try {attempt})"


def _acted_on(container: ContainerMemory) -> ContainerMemory:
    return ContainerMemory(blocked=container.blocked)


def _not_now(memory: PodMemory, at: float, policy: Policy, login: bool) -> str | None:
    """Why nothing is done at this instant, or None."""
    if memory.attempt >= policy.max_attempts:
        return f"gave up after {memory.attempt} attempts: needs a human (launch_pod, restart_pod)"
    wait = min(memory.next_at - at, max(policy.backoff))
    if wait > 0:
        return f"attempt {memory.attempt + 1} in {wait:.0f} s"
    limits = [(policy.actions_per_hour, [past.at for past in memory.actions])]
    if login:
        logins = [past.at for past in memory.actions if past.login]
        limits.append((policy.logins_per_hour, logins))
    for allowed, past in limits:
        if len(past) >= allowed:
            wait = sorted(past)[-allowed] + HOUR - at
            return f"{len(past)} attempts within the hour: the next in {wait:.0f} s"
    return None
