"""State of the supervisor as its probes show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ib_platform.config_gateway import SessionPolicy
from ib_platform.gateway.health import SupervisorState
from ib_platform.health import GatewayHealth
from ib_platform.ibkr.login_history import LoginHistory
from ib_platform.ibkr.session import Judgement
from ib_platform.ibkr.session_machine import SessionMachine
from ib_platform.states import PodState

NO_LOGINS = LoginHistory("papera01")
BEGAN = datetime(2026, 11, 22, 12, tzinfo=UTC)


class Clock:
    def __init__(self) -> None:
        self.now = BEGAN

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def _state(clock: Clock) -> SupervisorState:
    return SupervisorState(clock)


def _health(
    state: SupervisorState,
    history: LoginHistory = NO_LOGINS,
    *,
    program_pid: int | None = None,
    starts: int = 0,
    penalty_until: float | None = None,
) -> GatewayHealth:
    machine = SessionMachine(SessionPolicy(), history, 0.0)
    machine.next_step(0.0, BEGAN)
    return state.health(
        "alpha",
        machine,
        program_pid=program_pid,
        starts=starts,
        penalty_until=penalty_until,
    )


def test_since_moves_with_the_state_and_not_with_the_reason() -> None:
    state = _state(Clock())
    state.update(Judgement(PodState.SSO_ONLY, "one"))
    since = _health(state).since
    assert not state.update(Judgement(PodState.SSO_ONLY, "two"))
    health = _health(state, program_pid=7, starts=3)
    assert health.since == since
    assert (health.reason, health.program_pid, health.program_starts) == ("two", 7, 3)


def test_probes() -> None:
    state = _state(Clock())
    probes = state.probes(lambda: _health(state))
    assert (probes.startup(), probes.live(), probes.ready()) == (False, True, False)
    state.update(Judgement(PodState.DOWN, "refused"))
    assert not probes.startup()
    state.update(Judgement(PodState.AUTHENTICATED, "yes"))
    assert (probes.startup(), probes.ready()) == (True, True)
    state.update(Judgement(PodState.COMPETING, "no"))
    assert (probes.startup(), probes.ready()) == (True, False)


@pytest.mark.parametrize("locked", [PodState.LOCKED, PodState.REFUSED_LIVE])
def test_a_locked_pod_is_started_and_never_ready(locked: PodState) -> None:
    """A startup probe that failed for ever would restart the container in a loop."""
    state = _state(Clock())
    probes = state.probes(lambda: _health(state))
    state.update(Judgement(locked, "live"))
    assert (probes.startup(), probes.live(), probes.ready()) == (True, True, False)


def test_logins_penalty_and_alarm_are_told() -> None:
    at = BEGAN.timestamp()
    history = LoginHistory("papera01").begun(at - 90_000).begun(at - 60)
    history = history.refusal("no", at, SessionPolicy()).locked(PodState.LOCKED, "too many", at)
    health = _health(_state(Clock()), history, penalty_until=at + 900)
    assert health.penalty_until == BEGAN + timedelta(seconds=900)
    assert (health.logins_in_a_day, health.refused_logins) == (1, 1)
    assert health.alarm is not None
    assert health.alarm.startswith("too many. Correct it, then run `ib-platform unlock`")
