"""A world for the session machine: answers every step with evidence, and keeps the book of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from ib_platform.config_gateway import SessionPolicy
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.login_outcome import LoginOutcome, LoginResult
from ib_platform.ibkr.messages import SessionStatus
from ib_platform.ibkr.session_machine import Action, SessionMachine, Step

WELL = SessionStatus(True, True, False)
CONNECTED_ONLY = SessionStatus(False, True, False)
NOT_CONNECTED = SessionStatus(False, False, False)
COMPETING = SessionStatus(False, True, True)
SILENT = SessionStatus()
MONDAY = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
"""A moment that no expected outage of the default policy holds."""


@dataclass(frozen=True)
class Answer:
    """What the world says next, whatever is asked. ``status`` to a look or an init, unless
    ``http`` (an error status, or None for no answer) is set; ``login`` to a login, with a password
    that was ``submitted`` or not."""

    status: SessionStatus = WELL
    http: int | str | None = "none"
    login: LoginOutcome = LoginOutcome.SUBMITTED
    submitted: bool = True
    paper: bool = True
    live: bool = False
    takes: float = 0.1

    @property
    def fails(self) -> bool:
        return self.http != "none"


@dataclass
class SessionWorld:
    """``steps``: (monotonic, action) of everything but rest. ``penalty_pause``: after a 429."""

    policy: SessionPolicy = field(default_factory=SessionPolicy)
    began: datetime = MONDAY
    penalty_pause: float = 900.0
    steps: list[tuple[float, Action]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.now = 1000.0
        self._began_at = self.now
        self.penalty_until = float("-inf")
        self.machine = SessionMachine(self.policy, LoginHistory("papera01"), self.now)
        self.machine.saw_new_program(self.now)

    @property
    def wall(self) -> datetime:
        return self.began + timedelta(seconds=self.now - self._began_at)

    @property
    def penalty_left(self) -> float:
        return max(0.0, self.penalty_until - self.now)

    def step(self, answer: Answer) -> Step:
        """One step of the machine, answered."""
        return self.step_answered_by(lambda _: answer)

    def step_answered_by(self, world: Callable[[Action], Answer]) -> Step:
        """One step of the machine; ``world`` answers what was asked."""
        step = self.machine.next_step(self.now, self.wall, self.penalty_left)
        if step.action is Action.REST:
            self.now += step.seconds
            return step
        self.steps.append((self.now, step.action))
        answer = world(step.action)
        self.now += answer.takes
        self._answer(step.action, answer)
        return step

    def play(self, answer: Callable[[float], Answer], seconds: float) -> Iterator[Step]:
        """Steps for so long; ``answer`` is asked with the seconds since the beginning."""
        until = self.now + seconds
        while self.now < until:
            yield self.step(answer(self.now - self._began_at))

    def run(self, answer: Answer, seconds: float) -> list[Action]:
        """Play the same answer for so long; what was done, rest apart."""
        done = [step.action for step in self.play(lambda _: answer, seconds)]
        return [action for action in done if action is not Action.REST]

    def times(self, action: Action) -> list[float]:
        return [at for at, done in self.steps if done is action]

    def _answer(self, action: Action, answer: Answer) -> None:
        machine, now = self.machine, self.now
        match action:
            case Action.LOG_IN:
                detail = f"the page: {answer.login.value}"
                result = LoginResult(answer.login, detail, submitted=answer.submitted)
                machine.saw_login(result, now, self.wall)
            case Action.LOG_OUT:
                return
            case Action.RESTART_PROGRAM:
                machine.saw_new_program(now)
            case _ if answer.fails:
                self._failed(action, answer)
            case Action.PROVE if answer.live:
                machine.saw_live_login("LOGIN_TYPE 1", self.wall)
            case Action.PROVE:
                machine.saw_proof(now, login=answer.paper, proven=answer.paper)
            case Action.TICKLE:
                machine.saw_tickle(now)
            case Action.REAUTHENTICATE:
                return
            case _:
                machine.saw_status(answer.status, now)

    def _failed(self, action: Action, answer: Answer) -> None:
        status = answer.http if isinstance(answer.http, int) else None
        if status == 429:
            self.penalty_until = self.now + self.penalty_pause
        if action is Action.TICKLE:
            self.machine.saw_tickle_fail(self.now)
        elif action is Action.LOOK:
            self.machine.saw_failure(status, self.now)
        else:
            self.machine.saw_question_fail(f"HTTP {status}", self.now)
