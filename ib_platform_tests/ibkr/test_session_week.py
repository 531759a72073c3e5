"""A week of one session, on a compressed clock: resets, a weekend, outages, rivals, small failures.

The world answers what is asked as IBKR would: a login ends at midnight in New York and cannot be
made for a quarter of an hour then; on Saturday evening the servers are away; on Wednesday they are
for an hour; three times somebody logs in elsewhere; one request in a hundred fails.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr.login_history import DAY
from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform.ibkr.session_machine import Action
from ib_platform.states import PodState
from ib_platform_tests.figures import Figures
from ib_platform_tests.ibkr.session_world import (
    COMPETING,
    CONNECTED_ONLY,
    WELL,
    Answer,
    SessionWorld,
)

NEW_YORK = ZoneInfo("America/New_York")
BEGAN = datetime(2026, 11, 22, 18, 0, tzinfo=NEW_YORK)  # a Sunday evening
END = BEGAN + timedelta(days=7)
RESET_LASTS = timedelta(minutes=15)
AUTHENTICATES_AFTER = 6.0
BACK_WITHIN = {"reset": 720.0, "outage": 60.0, "rival": 60.0, "weekend": 720.0}
"""Seconds from the end of each trouble. In an expected outage a login is tried every 600 s."""


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@dataclass
class Trouble:
    kind: str
    begin: datetime
    end: datetime

    def holds(self, wall: datetime) -> bool:
        return self.begin <= wall < self.end


TROUBLES = [
    *(
        Trouble("reset", midnight, midnight + RESET_LASTS)
        for midnight in (_at(f"2026-11-{day}T00:00:00") for day in range(23, 29))
    ),
    Trouble("outage", _at("2026-11-25T14:00:00"), _at("2026-11-25T15:00:00")),
    Trouble("weekend", _at("2026-11-28T20:00:00"), _at("2026-11-29T01:30:00")),
    *(
        Trouble("rival", _at(begin), _at(begin) + timedelta(minutes=20))
        for begin in ("2026-11-23T10:00:00", "2026-11-24T11:00:00", "2026-11-26T09:30:00")
    ),
]


@dataclass
class Ibkr:
    """What IBKR knows of the session."""

    chance: random.Random
    logged_in: bool = True
    authenticated_at: float | None = 0.0
    resets: list[datetime] = field(
        default_factory=lambda: [t.begin for t in TROUBLES if t.kind == "reset"]
    )

    def answer(self, action: Action, world: SessionWorld) -> Answer:
        wall, now = world.wall, world.now
        while self.resets and wall >= self.resets[0]:
            del self.resets[0]
            self.logged_in, self.authenticated_at = False, None
        held = {trouble.kind for trouble in TROUBLES if trouble.holds(wall)}
        if action is Action.LOG_IN:
            return self._login(held, now)
        if held & {"outage", "weekend"}:
            return Answer(http=503, takes=1.0)
        if self.chance.random() < 0.01:
            return Answer(http=self.chance.choice((None, 500, 503)), takes=self.chance.random())
        if not self.logged_in:
            return Answer(http=401)
        if "rival" in held:
            self.authenticated_at = None
            return Answer(status=COMPETING)
        if action is Action.INITIALISE and self.authenticated_at is None:
            self.authenticated_at = now + AUTHENTICATES_AFTER
        begun = self.authenticated_at is not None and now >= self.authenticated_at
        return Answer(status=WELL if begun else CONNECTED_ONLY)

    def _login(self, held: set[str], now: float) -> Answer:
        if held & {"reset", "outage", "weekend"}:
            return Answer(login=LoginOutcome.REFUSED, takes=10.0)
        self.logged_in, self.authenticated_at = True, now + 10.0 + AUTHENTICATES_AFTER
        return Answer(login=LoginOutcome.SUBMITTED, takes=10.0)


def _week(policy: SessionPolicy, seed: int) -> tuple[SessionWorld, list[tuple[float, PodState]]]:
    """The world after the week, and every change of the state with its instant."""
    world = SessionWorld(policy, BEGAN.astimezone(UTC))
    ibkr = Ibkr(random.Random(seed))
    states: list[tuple[float, PodState]] = []
    while world.wall < END:
        world.step_answered_by(lambda action: ibkr.answer(action, world))
        state = world.machine.judgement.state
        if not states or states[-1][1] is not state:
            states.append((world.now, state))
    return world, states


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.long) for seed in (2, 3, 4, 5))]
)
def test_the_session_is_back_after_each_trouble(seed: int, figures: Figures) -> None:
    policy = SessionPolicy()
    world, states = _week(policy, seed)
    began = world.now - (world.wall - BEGAN.astimezone(UTC)).total_seconds()
    lines = []
    for trouble in sorted(TROUBLES, key=lambda trouble: trouble.begin):
        end = began + (trouble.end - BEGAN).total_seconds()
        back = _back_after(states, end) - end
        lines.append(f"{trouble.begin:%a %H:%M} {trouble.kind:8} back {back:6.1f} s after its end")
        assert back <= BACK_WITHIN[trouble.kind], lines[-1]
    logins = world.times(Action.LOG_IN)
    most = max(sum(at <= other < at + DAY for other in logins) for at in logins)
    lines.append(f"{len(logins)} logins in the week, at most {most} in a day")
    figures("\n".join(lines))
    assert most <= policy.logins_per_day
    assert world.machine.history.lock is None
    assert not world.times(Action.RESTART_PROGRAM), "nothing of this is cured by a restart"
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    assert world.machine.alarm is None


def _back_after(states: list[tuple[float, PodState]], instant: float) -> float:
    """When it was authenticated, from ``instant`` on."""
    before = [state for at, state in states if at <= instant]
    if before and before[-1] is PodState.AUTHENTICATED:
        return instant
    return next(at for at, state in states if at > instant and state is PodState.AUTHENTICATED)
