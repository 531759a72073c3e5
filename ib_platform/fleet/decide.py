"""What to do about every pod: (desired, observations, memory, now) -> actions and verdicts. Pure.

Trouble opens an incident. Its attempts are spaced by ``Policy.backoff``. Attempts that start a
gateway cost a login: they end after ``max_attempts``, from then on a person is asked for. Restarts
of the streamer go on, one in ``slow_every``. An incident ends when a restart could cure no more.
Whatever the observations say, one hour sees at most ``actions_per_hour`` actions and
``logins_per_hour`` that start a gateway. Only the runtime and the pods' own health are consulted,
never ClickHouse, and what a pod says about ClickHouse changes no action.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from ib_platform.config import Limits
from ib_platform.fleet.conditions import MILD, Condition, Finding, Patience, Remedy
from ib_platform.fleet.diagnose import diagnose, with_loading
from ib_platform.fleet.memory import ContainerMemory, FleetMemory, PastAction, PodMemory
from ib_platform.fleet.pods import PodObservation, Scope
from ib_platform.fleet.remember import remember

HOUR = 3600.0
# A contract that stays silent must not use up the attempts of what a restart does cure.
_CLOSING = frozenset({Condition.HEALTHY, Condition.NOT_STREAMING, Condition.RETIRED})
_SCOPES = {
    Remedy.LAUNCH: None,
    Remedy.RESTART_STREAMER: Scope.STREAMER,
    Remedy.RESTART_POD: Scope.POD,
}


@dataclass(frozen=True)
class Policy:
    """Seconds and counts. ``backoff[i]`` lies before attempt i + 1, the last one repeats until
    ``max_attempts``; ``slow_every`` lies between all later ones."""

    patience: Patience = field(default_factory=Patience)
    backoff: tuple[float, ...] = (0.0, 10.0, 30.0, 60.0, 300.0)
    max_attempts: int = 8
    slow_every: float = 600.0
    actions_per_hour: int = 40
    logins_per_hour: int = 10

    @classmethod
    def of(cls, limits: Limits) -> Policy:
        """The policy that the configuration's limits stand for."""
        return cls(patience=Patience(start_budget=limits.start_budget))

    def wait_before(self, attempt: int) -> float:
        """Seconds between attempt ``attempt - 1`` and ``attempt`` (1-based)."""
        if attempt > self.max_attempts:
            return self.slow_every
        return self.backoff[min(attempt - 1, len(self.backoff) - 1)]

    def longest_wait(self, login: bool) -> float:
        """Seconds. A restart of the streamer that did not help must not delay a login for long."""
        return max(self.backoff) if login else max(*self.backoff, self.slow_every)


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

    ``persistent``: it lasts in spite of ``max_attempts`` attempts. ``alarm``: somebody should look.
    """

    paper_user: str
    condition: Condition
    text: str
    changed: bool
    persistent: bool = False

    @property
    def healthy(self) -> bool:
        return self.condition is Condition.HEALTHY

    @property
    def alarm(self) -> bool:
        return not self.healthy and (self.persistent or self.condition not in MILD)

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


def look_at(
    observations: Iterable[PodObservation], now: datetime, patience: Patience
) -> list[PodVerdict]:
    """The verdicts of a single look, of somebody who remembers nothing and does nothing."""
    verdicts = []
    for seen in observations:
        memory = remember(seen, PodMemory(), now, patience)
        told = with_loading(diagnose(seen, memory, now, patience), seen, patience)
        verdicts.append(PodVerdict(seen.paper_user, told.condition, told.text, changed=True))
    return verdicts


def _decide_pod(
    seen: PodObservation, memory: PodMemory, now: datetime, policy: Policy, busy: bool
) -> tuple[PodMemory, Action | None, PodVerdict]:
    at = now.timestamp()
    busy = busy or seen.acting is not None
    if not busy:
        memory = remember(seen, memory, now, policy.patience)
    memory = _forget_old(memory, at)
    finding = diagnose(seen, memory, now, policy.patience)
    told = with_loading(finding, seen, policy.patience)
    action: Action | None = None
    text = told.text
    if finding.condition in _CLOSING:
        memory = msgspec.structs.replace(memory, open=False, attempt=0, logins=0, next_at=0.0)
    elif busy:
        text += f"; {seen.acting or 'a run'} is acting on it"
    elif finding.remedy is not None:
        memory, action, note = _remedy(seen.paper_user, finding, finding.remedy, memory, at, policy)
        text = f"{text}; {note}"
    persistent = memory.open and memory.attempt >= policy.max_attempts
    said = ":".join([told.condition.value, *["persistent"] * persistent, *told.loading])
    verdict = PodVerdict(seen.paper_user, told.condition, text, said != memory.said, persistent)
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
            memory, open=True, incident=memory.incident + 1, attempt=0, logins=0, next_at=at
        )
    # Also where the clock was set back.
    latest = at + policy.longest_wait(remedy.login)
    memory = msgspec.structs.replace(memory, next_at=min(memory.next_at, latest))
    if (refusal := _not_now(memory, at, policy, remedy.login)) is not None:
        return memory, None, refusal
    attempt = memory.attempt + 1
    action = Action(user, _SCOPES[remedy], finding.text, memory.incident, attempt)
    memory = msgspec.structs.replace(
        memory,
        attempt=attempt,
        logins=memory.logins + remedy.login,
        next_at=at + policy.wait_before(attempt + 1),
        actions=(*memory.actions, PastAction(at, remedy.login)),
        gateway=_acted_on(memory.gateway),
        streamer=_acted_on(memory.streamer),
    )
    return memory, action, f"{remedy.value} requested (incident {memory.incident}, try {attempt})"


def _acted_on(container: ContainerMemory) -> ContainerMemory:
    return ContainerMemory(blocked=container.blocked)


def _not_now(memory: PodMemory, at: float, policy: Policy, login: bool) -> str | None:
    """Why nothing is done at this instant, or None."""
    if login and memory.logins >= policy.max_attempts:
        return f"gave up after {memory.logins} logins: needs a human (launch_pod, restart_pod)"
    wait = memory.next_at - at
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
