"""State of the supervisor as its probes show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ib_platform.gateway.health import SupervisorState
from ib_platform.ibkr.session import Judgement
from ib_platform.states import PodState


class Clock:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def _state(clock: Clock) -> SupervisorState:
    return SupervisorState(clock)


def test_a_program_that_never_answered_is_starting_and_later_down() -> None:
    state = _state(Clock())
    down = Judgement(PodState.DOWN, "refused")
    assert not state.update(down)
    assert state.judgement.state is PodState.STARTING
    assert state.update(Judgement(PodState.NO_SSO, "401"))
    assert state.update(down)
    assert state.judgement == down


def test_since_moves_with_the_state_and_not_with_the_reason() -> None:
    clock = Clock()
    state = _state(clock)
    state.update(Judgement(PodState.SSO_ONLY, "one"))
    since = state.health("alpha", None, 0).since
    assert not state.update(Judgement(PodState.SSO_ONLY, "two"))
    health = state.health("alpha", 7, 3)
    assert health.since == since
    assert (health.reason, health.program_pid, health.program_starts) == ("two", 7, 3)


def test_probes() -> None:
    state = _state(Clock())
    probes = state.probes(lambda: state.health("alpha", None, 0))
    assert (probes.startup(), probes.live(), probes.ready()) == (False, True, False)
    state.update(Judgement(PodState.AUTHENTICATED, "yes"))
    assert (probes.startup(), probes.ready()) == (True, True)
    state.update(Judgement(PodState.COMPETING, "no"))
    assert (probes.startup(), probes.ready()) == (True, False)


def test_a_refused_live_login_is_never_ready() -> None:
    state = _state(Clock())
    probes = state.probes(lambda: state.health("alpha", None, 0))
    state.update(Judgement(PodState.REFUSED_LIVE, "live"))
    assert not probes.ready()
