"""The session machine, in fake time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.session import SessionMachine, SessionParameters, SessionStatus

LOGGED_IN = SessionStatus(sso=True, connected=True, authenticated=False)
AUTHENTICATED = SessionStatus(sso=True, connected=True, authenticated=True)
LOGGED_OUT = SessionStatus(sso=False, connected=False, authenticated=False)


def test_a_fresh_gateway_is_logged_in_without_brokerage_session() -> None:
    assert SessionMachine(0.0).status(0.0) == LOGGED_IN


def test_init_authenticates_after_a_delay() -> None:
    machine = SessionMachine(0.0)
    machine.start_brokerage(10.0)
    assert machine.status(10.4) == LOGGED_IN
    assert machine.status(10.5) == AUTHENTICATED


def test_init_again_does_not_start_over() -> None:
    machine = SessionMachine(0.0)
    machine.start_brokerage(0.0)
    machine.start_brokerage(0.4)
    assert machine.status(0.5) == AUTHENTICATED
    machine.start_brokerage(1.0)
    assert machine.status(1.0) == AUTHENTICATED


def test_logout_ends_the_brokerage_session_and_init_brings_it_back() -> None:
    machine = SessionMachine(0.0)
    machine.start_brokerage(0.0)
    machine.log_out()
    assert machine.status(1.0) == LOGGED_IN
    machine.start_brokerage(1.0)
    assert machine.status(2.0) == AUTHENTICATED


def test_logout_can_end_the_login_for_good() -> None:
    machine = SessionMachine(0.0, SessionParameters(logout_ends_sso=True))
    machine.start_brokerage(0.0)
    machine.log_out()
    assert machine.status(1.0) == LOGGED_OUT
    machine.start_brokerage(1.0)
    assert machine.status(2.0) == LOGGED_OUT


def test_six_idle_minutes_end_the_brokerage_session() -> None:
    machine = SessionMachine(0.0)
    machine.start_brokerage(0.0)
    assert machine.status(360.0) == AUTHENTICATED
    assert machine.status(360.1) == LOGGED_IN


def test_requests_keep_it_alive() -> None:
    machine = SessionMachine(0.0)
    machine.start_brokerage(0.0)
    for minute in range(1, 120):
        machine.request_seen(minute * 300.0)
    assert machine.status(119 * 300.0) == AUTHENTICATED


def test_a_request_after_the_idle_time_is_too_late() -> None:
    machine = SessionMachine(0.0)
    machine.start_brokerage(0.0)
    machine.request_seen(361.0)
    assert machine.status(361.0) == LOGGED_IN
    machine.start_brokerage(361.0)
    assert machine.status(362.0) == AUTHENTICATED


@given(st.floats(0, 10_000_000))
def test_sso_expiry_runs_down_and_jumps_back(now: float) -> None:
    assert 0 < SessionMachine(0.0).sso_expires_ms(now) <= 600_000


def test_sso_expiry_is_in_milliseconds() -> None:
    machine = SessionMachine(100.0)
    assert machine.sso_expires_ms(100.0) == 600_000
    assert machine.sso_expires_ms(101.5) == 598_500
    assert machine.sso_expires_ms(700.0) == 600_000
