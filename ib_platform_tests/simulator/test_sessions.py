"""The session machine of one user, in fake time."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.outages import OutageParameters, Outages
from ib_platform.simulator.session_states import (
    NO_LOGIN,
    InitAnswer,
    PasswordAnswer,
    SessionParameters,
    SessionStatus,
)
from ib_platform.simulator.sessions import UserSessions

LOGGED_IN = SessionStatus(sso=True, connected=True, authenticated=False)
FRESH = SessionStatus(sso=True, connected=False, authenticated=False)
AUTHENTICATED = SessionStatus(sso=True, connected=True, authenticated=True)
COMPETING = SessionStatus(sso=True, connected=True, authenticated=False, competing=True)
NEW_YORK = ZoneInfo("America/New_York")
NOON = datetime(2026, 11, 23, 17, tzinfo=UTC).timestamp()


def machine(*tokens: str, **parameters: Any) -> UserSessions:
    """A user with old logins at instant 0, whose ``ssodh/init`` never says wait."""
    sessions = UserSessions(SessionParameters(**({"wait_share": 0.0} | parameters)), seed="1")
    for token in tokens:
        sessions.log_in(token, 0.0, fresh=False)
    return sessions


def start(sessions: UserSessions, token: str, now: float, *, compete: bool = True) -> InitAnswer:
    return sessions.start_brokerage(token, now, compete=compete)


def test_a_login_alone_is_no_brokerage_session() -> None:
    assert machine("a").status("a", 0.0) == LOGGED_IN
    assert machine().status("a", 0.0) == NO_LOGIN


def test_init_authenticates_after_a_delay() -> None:
    sessions = machine("a")
    assert start(sessions, "a", 10.0) is InitAnswer.STARTED
    assert sessions.status("a", 10.4) == LOGGED_IN
    assert sessions.status("a", 10.5) == AUTHENTICATED
    start(sessions, "a", 11.0)
    assert sessions.status("a", 11.0) == AUTHENTICATED, "init again does not start over"


def test_a_clients_init_overtakes_the_delayed_one_of_its_gateway() -> None:
    sessions = machine("a")
    sessions.start_brokerage("a", 0.0, compete=False, delay=3.0)
    assert sessions.status("a", 1.0) == LOGGED_IN
    start(sessions, "a", 1.0)
    assert sessions.status("a", 1.5) == AUTHENTICATED
    sessions.start_brokerage("a", 2.0, compete=False, delay=3.0)
    assert sessions.status("a", 2.0) == AUTHENTICATED, "a later one does not set it back"


def test_a_fresh_login_stays_unauthenticated_for_five_to_seven_seconds() -> None:
    seen = set()
    for seed in range(50):
        sessions = UserSessions(SessionParameters(wait_share=0.0), seed=str(seed))
        sessions.log_in("a", 100.0)
        start(sessions, "a", 100.0)
        assert sessions.status("a", 104.99) == FRESH
        seen.add(sessions.status("a", 106.0).authenticated)
        assert sessions.status("a", 107.0) == AUTHENTICATED
    assert seen == {False, True}


def test_wait_is_said_in_its_share_and_goes_on_by_itself() -> None:
    sessions = UserSessions(SessionParameters(wait_share=0.2), seed="share")
    sessions.log_in("a", 0.0, fresh=False)
    answers = [start(sessions, "a", float(at)) for at in range(300)]
    assert 40 <= answers.count(InitAnswer.WAIT) <= 80
    waiting = UserSessions(SessionParameters(wait_share=1.0), seed="1")
    waiting.log_in("a", 0.0, fresh=False)
    assert start(waiting, "a", 0.0) is InitAnswer.WAIT
    assert waiting.status("a", 1.0) == AUTHENTICATED


def test_no_bridge_for_a_while_after_init() -> None:
    sessions = machine("a", no_bridge_after_init=2.0)
    start(sessions, "a", 0.0)
    assert sessions.status("a", 1.0) == AUTHENTICATED
    assert not sessions.has_bridge("a", 1.0)
    assert sessions.has_bridge("a", 2.5)
    assert not sessions.has_bridge("unknown", 2.5)


def test_logout_ends_the_brokerage_session_and_init_brings_it_back() -> None:
    sessions = machine("a")
    start(sessions, "a", 0.0)
    sessions.log_out("a")
    assert sessions.status("a", 1.0) == LOGGED_IN
    start(sessions, "a", 1.0)
    assert sessions.status("a", 2.0) == AUTHENTICATED


def test_logout_can_end_the_login_for_good() -> None:
    sessions = machine("a", logout_ends_sso=True)
    start(sessions, "a", 0.0)
    sessions.log_out("a")
    assert sessions.status("a", 1.0) == NO_LOGIN
    assert start(sessions, "a", 1.0) is InitAnswer.NO_LOGIN
    assert sessions.status("a", 2.0) == NO_LOGIN


def test_six_idle_minutes_end_the_brokerage_session_only() -> None:
    sessions = machine("a")
    start(sessions, "a", 0.0)
    assert sessions.status("a", 360.0) == AUTHENTICATED
    assert sessions.status("a", 360.6) == LOGGED_IN
    sessions.request_seen("a", 361.0)
    assert sessions.status("a", 361.0) == LOGGED_IN, "a request after the idle time is too late"
    start(sessions, "a", 361.0)
    assert sessions.status("a", 362.0) == AUTHENTICATED


def test_requests_keep_it_alive() -> None:
    sessions = machine("a")
    start(sessions, "a", 0.0)
    for minute in range(1, 120):
        sessions.request_seen("a", minute * 300.0)
    assert sessions.status("a", 119 * 300.0) == AUTHENTICATED


def test_a_login_that_no_gateway_keeps_alive_ends() -> None:
    sessions = machine()
    sessions.log_in("alone", 0.0, kept_alive=False)
    sessions.log_in("kept", 0.0)
    assert sessions.status("alone", 600.0).sso
    assert not sessions.status("alone", 600.1).sso
    assert sessions.status("kept", 3_600.0).sso


def test_no_login_outlives_a_day() -> None:
    sessions = machine("a")
    for hour in range(25):
        sessions.request_seen("a", hour * 3_600.0)
    assert sessions.status("a", 86_400.0).sso
    assert sessions.status("a", 86_401.0) == NO_LOGIN


def test_the_second_login_competes() -> None:
    sessions = machine("a", "b")
    start(sessions, "a", 0.0)
    assert start(sessions, "b", 1.0, compete=False) is InitAnswer.COMPETING
    assert sessions.status("b", 2.0) == COMPETING
    assert sessions.status("a", 2.0) == AUTHENTICATED, "who holds it, keeps it"
    assert start(sessions, "b", 3.0, compete=True) is InitAnswer.STARTED
    assert sessions.status("a", 4.0) == COMPETING
    assert sessions.status("b", 4.0) == AUTHENTICATED
    sessions.log_out("b")
    assert sessions.status("a", 5.0) == LOGGED_IN, "nobody competes any more"


def test_another_device_takes_the_session_and_comes_back_for_it() -> None:
    sessions = machine("a")
    start(sessions, "a", 0.0)
    sessions.other_device(1.0, retakes=1, every=60.0)
    assert sessions.status("a", 1.0) == COMPETING
    assert start(sessions, "a", 2.0, compete=False) is InitAnswer.COMPETING
    assert start(sessions, "a", 3.0, compete=True) is InitAnswer.STARTED
    assert sessions.status("a", 4.0) == AUTHENTICATED
    assert sessions.status("a", 62.9) == AUTHENTICATED
    assert sessions.status("a", 63.0) == COMPETING
    start(sessions, "a", 64.0)
    assert sessions.status("a", 300.0) == AUTHENTICATED, "it had one try"


def test_another_device_can_leave_by_itself() -> None:
    sessions = machine("a")
    start(sessions, "a", 0.0)
    sessions.other_device(1.0, stays=30.0)
    assert sessions.status("a", 30.9) == COMPETING
    assert sessions.status("a", 31.0) == LOGGED_IN
    assert start(sessions, "a", 32.0, compete=False) is InitAnswer.STARTED


def test_quarrels_of_others_cost_the_other_device_no_try() -> None:
    sessions = machine("a", "b")
    sessions.other_device(0.0, retakes=2, every=100.0)
    start(sessions, "a", 1.0)
    start(sessions, "b", 50.0)
    assert sessions.status("b", 101.0) == COMPETING, "a hundred seconds after it lost the session"
    start(sessions, "b", 102.0)
    assert sessions.status("b", 201.9) == AUTHENTICATED
    assert sessions.status("b", 202.0) == COMPETING, "its second try"


def test_what_a_login_was_does_not_hang_on_who_looked() -> None:
    watched, alone = machine(), machine()
    for sessions in (watched, alone):
        sessions.log_in("a", 0.0)
        start(sessions, "a", 0.0)
    assert watched.status("a", 10.0) == AUTHENTICATED
    assert watched.status("a", 500.0) == alone.status("a", 500.0) == LOGGED_IN


def test_wrong_passwords_in_a_row_lock_the_user() -> None:
    sessions = machine(lock_after=3)
    wrong = [sessions.check_password(False) for _ in range(2)]
    assert wrong == [PasswordAnswer.WRONG] * 2
    assert sessions.check_password(True) is PasswordAnswer.RIGHT
    answers = [sessions.check_password(False) for _ in range(3)]
    assert answers == [PasswordAnswer.WRONG, PasswordAnswer.WRONG, PasswordAnswer.LOCKED]
    assert sessions.check_password(True) is PasswordAnswer.LOCKED


def test_the_totp_trap_and_a_stuck_authentication() -> None:
    trapped = UserSessions(SessionParameters(wait_share=0.0), seed="1", authenticates=False)
    trapped.log_in("a", 0.0)
    start(trapped, "a", 0.0)
    assert trapped.status("a", 300.0) == FRESH
    stuck = [True]
    sessions = UserSessions(SessionParameters(), seed="1", stuck=lambda: stuck[0])
    sessions.log_in("a", 0.0, fresh=False)
    start(sessions, "a", 0.0)
    assert sessions.status("a", 5.0) == LOGGED_IN
    stuck.clear()
    stuck.append(False)
    assert sessions.status("a", 6.0) == AUTHENTICATED


def nightly(**changes: Any) -> UserSessions:
    """A user whose instant 0 is noon in New York."""
    outages = Outages(OutageParameters(nightly=True, nightly_at=time(0, 0), **changes))
    return UserSessions(
        SessionParameters(wait_share=0.0), seed="1", outages=outages, wall_offset=NOON
    )


def test_midnight_ends_the_brokerage_session() -> None:
    sessions = nightly()
    sessions.log_in("a", 0.0, fresh=False)
    start(sessions, "a", 0.0)
    midnight = 12 * 3_600.0
    for at in range(0, int(midnight), 300):
        sessions.request_seen("a", float(at))
    assert sessions.status("a", midnight - 1) == AUTHENTICATED
    assert sessions.status("a", midnight) == LOGGED_IN
    assert start(sessions, "a", midnight + 1) is InitAnswer.UNAVAILABLE
    sessions.request_seen("a", midnight + 301)
    assert start(sessions, "a", midnight + 301) is InitAnswer.STARTED
    assert sessions.status("a", midnight + 302) == AUTHENTICATED


def test_midnight_can_end_the_login_too() -> None:
    sessions = nightly(nightly_ends_login=True)
    sessions.log_in("a", 0.0, fresh=False)
    assert sessions.status("a", 12 * 3_600.0 - 1).sso
    assert sessions.status("a", 12 * 3_600.0) == NO_LOGIN


def test_midnight_ends_a_login_without_any_reset() -> None:
    outages = Outages(OutageParameters(midnight_ends_login=True))
    sessions = UserSessions(SessionParameters(), seed="1", outages=outages, wall_offset=NOON)
    sessions.log_in("a", 0.0)
    assert sessions.status("a", 12 * 3_600.0 - 1).sso
    assert sessions.status("a", 12 * 3_600.0) == NO_LOGIN
    sessions.log_in("b", 12 * 3_600.0 + 1)
    assert sessions.status("b", 36 * 3_600.0 - 1).sso, "until the next one"
    assert sessions.status("b", 36 * 3_600.0) == NO_LOGIN


@pytest.mark.parametrize("noon", [datetime(2026, 10, 28, 12), datetime(2026, 3, 4, 12)])
def test_a_week_with_a_saturday_and_a_change_of_clocks(noon: datetime) -> None:
    """Noon Wednesday to noon Wednesday in New York, minute by minute."""
    first = noon.replace(tzinfo=NEW_YORK)
    offset = first.timestamp()
    outages = Outages(OutageParameters(nightly=True, weekend=True))
    limit = timedelta(days=8).total_seconds()
    sessions = UserSessions(
        SessionParameters(wait_share=0.0, session_limit=limit),
        seed="1",
        outages=outages,
        wall_offset=offset,
    )
    sessions.log_in("a", 0.0, fresh=False)
    start(sessions, "a", 0.0)
    lost, back, was = [], [], True
    end = (noon + timedelta(days=7)).replace(tzinfo=NEW_YORK).timestamp() - offset
    for at in range(60, int(end) + 1, 60):
        now = float(at)
        sessions.request_seen("a", now)
        start(sessions, "a", now)
        sees = sessions.status("a", now + 1).authenticated
        if sees != was:
            local = datetime.fromtimestamp(now + offset, NEW_YORK)
            (back if sees else lost).append(f"{local:%a %H:%M}")
            was = sees
    nights = [f"{day} 00:00" for day in ("Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed")]
    assert lost == [*nights[:3], "Sat 18:00", *nights[3:]]
    assert back == [text.replace("00:00", "00:05").replace("18:00", "21:00") for text in lost]


def test_a_day_without_a_gateway_keeper_needs_one_login() -> None:
    """With requests each minute a login lives its day, and not a second longer."""
    sessions = machine()
    sessions.log_in("a", 0.0, kept_alive=False)
    start(sessions, "a", 0.0)
    authenticated = []
    for at in range(0, 90_000, 60):
        sessions.request_seen("a", float(at))
        authenticated.append(sessions.status("a", float(at)).authenticated)
    changes = [i * 60 for i in range(1, 1_500) if authenticated[i] != authenticated[i - 1]]
    assert changes == [60, 86_460]


@given(st.floats(0, 86_000))
def test_sso_expiry_runs_down_and_jumps_back(now: float) -> None:
    assert 0 < machine("a").sso_expires_ms("a", now) <= 600_000


def test_sso_expiry_is_in_milliseconds() -> None:
    sessions = machine("a")
    assert [sessions.sso_expires_ms("a", at) for at in (0.0, 1.5, 600.0)] == [
        600_000,
        598_500,
        600_000,
    ]


TOKENS = "abc"
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["login", "lonely", "end", "init", "compete", "drop", "logout", "device", "ask"]
        ),
        st.sampled_from(TOKENS),
        st.floats(0, timedelta(hours=9).total_seconds()),
    ),
    max_size=40,
)


@given(STEPS, st.booleans(), st.booleans(), st.booleans())
def test_at_most_one_login_is_authenticated_whatever_happens(
    steps: list[tuple[str, str, float]], logout_ends_sso: bool, resets: bool, midnight: bool
) -> None:
    sessions = UserSessions(
        SessionParameters(logout_ends_sso=logout_ends_sso),
        seed="1",
        outages=Outages(
            OutageParameters(nightly=resets, weekend=resets, midnight_ends_login=midnight)
        ),
        wall_offset=NOON,
    )
    now, ended = 0.0, set(TOKENS)
    for step, token, passed in steps:
        now += passed
        match step:
            case "login" | "lonely":
                sessions.log_in(token, now, kept_alive=step == "login")
                ended.discard(token)
            case "end":
                sessions.end_login(token)
                ended.add(token)
            case "init" | "compete":
                start(sessions, token, now, compete=step == "compete")
            case "drop":
                sessions.drop_brokerage(token)
            case "logout":
                sessions.log_out(token)
            case "device":
                sessions.other_device(now, retakes=2, every=passed + 1)
            case _:
                sessions.request_seen(token, now)
        states = {name: sessions.status(name, now) for name in TOKENS}
        assert sum(state.authenticated for state in states.values()) <= 1
        assert all(state.sso for state in states.values() if state.authenticated)
        assert not any(state.authenticated and state.competing for state in states.values())
        assert not any(states[name].sso for name in ended), "an ended login never comes back"
        ended |= {name for name in TOKENS if not states[name].sso}
        assert set(sessions.tokens) == set(TOKENS) - ended


def test_lock_after_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="lock_after"):
        SessionParameters(lock_after=0)
