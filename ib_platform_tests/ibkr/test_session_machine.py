"""The session machine: what it does about each kind of evidence, and what it never does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.config_gateway import ExpectedOutage, SessionPolicy
from ib_platform.ibkr.login_history import DAY, HOUR
from ib_platform.ibkr.login_outcome import LoginOutcome
from ib_platform.ibkr.session_alarms import STUCK_AFTER
from ib_platform.ibkr.session_machine import CURES, Action
from ib_platform.states import PodState
from ib_platform_tests.ibkr.session_world import (
    COMPETING,
    CONNECTED_ONLY,
    MONDAY,
    NOT_CONNECTED,
    SILENT,
    WELL,
    Answer,
    SessionWorld,
)

NO_SSO = Answer(http=401)
NOBODY = Answer(http=None)
REJECTED = Answer(http=401, login=LoginOutcome.REJECTED)


def _well(policy: SessionPolicy | None = None, began: datetime = MONDAY) -> SessionWorld:
    """A world whose session has been authenticated for a minute."""
    world = SessionWorld(policy or SessionPolicy(), began)
    world.run(Answer(), 60)
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    world.steps.clear()
    return world


def test_a_login_is_proven_before_the_session_is_initialised() -> None:
    world = SessionWorld()
    done = world.run(Answer(status=NOT_CONNECTED), 4)
    done = [action for action in done if action is not Action.TICKLE]
    assert done[:4] == [Action.LOOK, Action.PROVE, Action.LOOK, Action.INITIALISE]
    assert world.machine.judgement.state is PodState.SSO_ONLY


def test_a_usable_session_is_not_called_authenticated_before_the_proof() -> None:
    world = SessionWorld()
    done = world.run(Answer(paper=False), 30)
    assert world.machine.judgement.state is PodState.SSO_ONLY
    assert "has not said yet" in world.machine.judgement.reason
    assert set(done) == {Action.LOOK, Action.PROVE, Action.TICKLE}
    world.run(Answer(), 5)
    assert world.machine.judgement.state is PodState.AUTHENTICATED


def test_a_settled_session_is_asked_every_five_seconds_and_tickled_every_fifty() -> None:
    world = _well()
    done = world.run(Answer(), 600)
    assert done.count(Action.TICKLE) == pytest.approx(12, abs=1)
    assert done.count(Action.LOOK) == pytest.approx(120, abs=12)
    assert set(done) == {Action.LOOK, Action.TICKLE}
    assert world.machine.alarm is None


@pytest.mark.parametrize("slip", [401, 500, 503, 400, None])
def test_one_failed_look_is_a_slip(slip: int | None) -> None:
    world = _well()
    world.run(Answer(), 5)
    while world.step(Answer(http=slip)).action is Action.REST:
        pass
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    assert world.run(Answer(), 10)[0] is Action.LOOK
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    assert not world.machine.cures


def test_a_lost_login_is_made_again_within_seconds() -> None:
    world = _well()
    began = world.now
    done = world.run(NO_SSO, 15)
    assert Action.LOG_IN in done
    assert world.times(Action.LOG_IN)[0] - began < 10


def test_after_a_login_the_session_gets_time_to_settle() -> None:
    world = _well()
    while world.step(NO_SSO).action is not Action.LOG_IN:
        pass
    world.steps.clear()
    done = world.run(Answer(status=NOT_CONNECTED), 8)
    assert set(done) - {Action.TICKLE} == {Action.LOOK, Action.PROVE}
    assert Action.INITIALISE in world.run(Answer(status=NOT_CONNECTED), 10)


def test_the_cures_of_an_unauthenticated_session_come_in_order_and_end() -> None:
    world = _well()
    world.run(Answer(status=CONNECTED_ONLY), 150)
    cures = [action for _, action in world.steps if action in CURES]
    assert cures == [*[Action.INITIALISE] * 3, *[Action.REAUTHENTICATE] * 2, Action.INITIALISE]
    world.run(Answer(status=CONNECTED_ONLY), 7200 - 150)
    restarts = world.times(Action.RESTART_PROGRAM)
    assert restarts[0] - 1060 == pytest.approx(180, abs=15)
    assert max(sum(at <= other < at + HOUR for other in restarts) for at in restarts) == 2
    assert world.machine.alarm is not None


@pytest.mark.parametrize("problem", [500, 503, 400])
def test_an_init_that_is_refused_leads_on_to_the_next_cure(problem: int) -> None:
    """Row 1 of the failures: ssodh/init answers 503 while auth/status answers well."""
    world = _well()

    def answer(_: float) -> Answer:
        return Answer(status=CONNECTED_ONLY)

    for _ in range(3000):
        step = world.machine.next_step(world.now, world.wall)
        if step.action is Action.REST:
            world.now += step.seconds
            continue
        world.steps.append((world.now, step.action))
        world.now += 0.1
        fails = step.action in (Action.INITIALISE, Action.REAUTHENTICATE)
        world._answer(step.action, Answer(http=problem) if fails else answer(world.now))
    assert world.times(Action.REAUTHENTICATE)
    assert world.times(Action.RESTART_PROGRAM)
    assert world.machine.alarm is not None
    assert f"HTTP {problem}" in world.machine.alarm


def test_the_totp_trap_is_explained_after_the_grace() -> None:
    """The page says success, and the session never authenticates."""
    world = _well()
    while world.step(NO_SSO).action is not Action.LOG_IN:
        pass
    world.run(Answer(status=NOT_CONNECTED), 40)
    assert world.machine.alarm is None
    world.run(Answer(status=NOT_CONNECTED), 30)
    assert world.machine.judgement.state is PodState.SSO_ONLY
    assert world.machine.alarm is not None
    assert "TOTP" in world.machine.alarm


def test_refused_logins_back_off_and_lock() -> None:
    world = _well()
    world.run(REJECTED, 3600)
    logins = world.times(Action.LOG_IN)
    assert len(logins) == 3
    assert logins[1] - logins[0] >= 60
    assert logins[2] - logins[1] >= 300
    assert world.machine.judgement.state is PodState.LOCKED
    assert "3 logins in a row" in world.machine.judgement.reason
    assert world.run(Answer(), 3 * DAY) == [], "nothing is asked any more"
    assert world.machine.alarm is not None
    assert world.machine.alarm.startswith(world.machine.judgement.reason)
    assert "ib-platform unlock" in world.machine.alarm


def test_a_good_login_forgets_the_refused_ones() -> None:
    world = _well()
    while len(world.times(Action.LOG_IN)) < 2:
        world.step(REJECTED)
    world.step(REJECTED)
    assert world.machine.history.refused == 2
    assert world.machine.alarm is not None
    assert "1 more" in world.machine.alarm
    world.run(Answer(), 400)
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    assert world.machine.history.refused == 0


def test_a_second_factor_stops_at_once() -> None:
    world = _well()
    world.run(Answer(http=401, login=LoginOutcome.SECOND_FACTOR), 600)
    assert len(world.times(Action.LOG_IN)) == 1
    assert world.machine.judgement.state is PodState.LOCKED
    assert "second factor" in world.machine.judgement.reason


@pytest.mark.parametrize(
    "outcome",
    [
        LoginOutcome.NO_BROWSER,
        LoginOutcome.NO_CREDENTIALS,
        LoginOutcome.NOT_REACHED,
        LoginOutcome.PAGE_CHANGED,
        LoginOutcome.PAGE_HANGS,
    ],
)
def test_a_login_whose_password_reached_nobody_costs_no_attempt_and_is_told(
    outcome: LoginOutcome,
) -> None:
    """Four hours of 5xx instead of the login page must not use up the logins of the day."""
    world = _well()
    world.run(Answer(http=401, login=outcome, submitted=False), 4 * HOUR)
    assert world.machine.history.attempts == ()
    assert 60 < len(world.times(Action.LOG_IN)) <= 241
    assert world.machine.alarm is not None
    assert outcome.value in world.machine.alarm
    world.run(Answer(), 120)
    assert world.machine.judgement.state is PodState.AUTHENTICATED


@pytest.mark.parametrize("outcome", [o for o in LoginOutcome if o not in (LoginOutcome.SUBMITTED,)])
def test_a_password_that_may_have_been_refused_counts_as_refused(outcome: LoginOutcome) -> None:
    """A browser that dies after the click, an answer that nobody recognises: it locks all the
    same."""
    world = _well()
    world.run(Answer(http=401, login=outcome, submitted=True), 2 * HOUR)
    assert len(world.times(Action.LOG_IN)) <= 3
    assert world.machine.history.lock is not None


def test_a_live_login_is_logged_out_and_never_tried_again() -> None:
    world = SessionWorld()
    done = world.run(Answer(live=True), DAY)
    assert [a for a in done if a is not Action.TICKLE] == [
        Action.LOOK,
        Action.PROVE,
        Action.LOG_OUT,
    ]
    assert world.machine.judgement.state is PodState.REFUSED_LIVE
    assert world.machine.history.lock is not None


def test_a_penalty_is_waited_for_and_ends_with_a_tickle() -> None:
    world = _well()
    while not world.penalty_left:
        world.step(Answer(http=429))
    world.steps.clear()
    world.run(Answer(), 899)
    assert world.steps == []
    assert world.machine.judgement.state is PodState.PENALTY
    assert world.machine.alarm is not None
    assert world.run(Answer(), 10)[:2] == [Action.TICKLE, Action.LOOK]
    assert world.machine.judgement.state is PodState.AUTHENTICATED


def test_maintenance_is_waited_for_without_any_cure() -> None:
    world = _well()
    done = world.run(Answer(http=503), HOUR)
    assert set(done) == {Action.LOOK, Action.TICKLE}
    assert len(done) < 260
    assert world.machine.judgement.state is PodState.MAINTENANCE
    assert world.machine.alarm is not None
    world.run(Answer(), 40)
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    assert not world.machine.cures


def test_a_program_that_hangs_is_restarted_a_few_times() -> None:
    world = _well()
    began = world.now
    world.run(Answer(http=None, takes=10), 2 * HOUR)
    restarts = world.times(Action.RESTART_PROGRAM)
    assert 60 <= restarts[0] - began < 110
    assert len(restarts) == 4
    assert world.machine.judgement.state is PodState.DOWN
    assert world.machine.alarm is not None


def test_a_program_that_never_answers_is_restarted_too() -> None:
    world = SessionWorld()
    world.run(NOBODY, 30)
    assert world.machine.judgement.state is PodState.STARTING
    world.run(NOBODY, 60)
    assert world.times(Action.RESTART_PROGRAM)


def test_competing_yields_and_comes_back_when_the_other_ends() -> None:
    world = _well()
    done = world.run(Answer(status=COMPETING), HOUR)
    assert set(done) == {Action.LOOK, Action.TICKLE}
    assert world.machine.judgement.state is PodState.COMPETING
    assert world.machine.alarm is not None
    assert "yields" in world.machine.alarm
    assert Action.INITIALISE in world.run(Answer(status=CONNECTED_ONLY), 10)
    world.run(Answer(), 10)
    assert world.machine.judgement.state is PodState.AUTHENTICATED


def test_takeovers_are_counted_and_a_ping_pong_is_ended() -> None:
    world = _well(SessionPolicy(competing="take_over", takeovers_per_hour=2))

    def rival(_: float) -> Answer:
        """Takes the session back 20 s after each takeover."""
        last = world.times(Action.TAKE_OVER)[-1:] or [float("-inf")]
        return Answer() if world.now - last[0] < 20 else Answer(status=COMPETING)

    list(world.play(rival, 3 * HOUR))
    assert len(world.times(Action.TAKE_OVER)) == 2
    assert world.machine.judgement.state is PodState.COMPETING
    assert world.machine.alarm is not None
    assert "again and again" in world.machine.alarm
    world.run(Answer(), HOUR)
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    list(world.play(rival, 25))
    assert len(world.times(Action.TAKE_OVER)) == 3, "another quarrel begins anew"


def test_an_expected_outage_is_waited_for() -> None:
    evening = datetime(2026, 11, 24, 4, 50, tzinfo=UTC)  # Monday 23:50 in New York
    world = _well(began=evening)
    done = world.run(Answer(status=CONNECTED_ONLY), 30 * 60)
    assert Action.RESTART_PROGRAM not in done
    assert Action.REAUTHENTICATE not in done
    assert done.count(Action.INITIALISE) <= 31
    away = (LoginOutcome.REFUSED, LoginOutcome.PAGE_HANGS)
    for outcome in away:
        world.run(Answer(http=401, login=outcome), 20 * 60)
    assert 1 < len(world.times(Action.LOG_IN)) <= 4
    assert world.machine.history.refused == 0, "a page says no while IBKR is away"
    assert world.machine.history.lock is None


def test_a_wrong_password_counts_in_an_outage_too() -> None:
    world = _well(began=datetime(2026, 11, 24, 4, 50, tzinfo=UTC))
    world.run(REJECTED, HOUR)
    assert world.machine.history.lock is not None


def test_an_answer_that_says_nothing_is_no_reason_to_initialise() -> None:
    world = SessionWorld()
    assert set(world.run(Answer(status=SILENT), 60)) == {Action.LOOK, Action.TICKLE}


def test_a_gateway_that_says_nothing_for_long_is_restarted() -> None:
    world = _well()
    world.run(Answer(status=SILENT), 2 * HOUR)
    assert 1 <= len(world.times(Action.RESTART_PROGRAM)) <= 4
    assert world.machine.alarm is not None
    assert "TOTP" not in world.machine.alarm, "nobody knows that"


def test_no_bridge_is_cured_by_an_init() -> None:
    """400 to auth/status: there is no brokerage session (reference, section 2.4)."""
    world = _well()
    began = world.now

    def bridge_after_init(_: float) -> Answer:
        return Answer() if world.times(Action.INITIALISE) else Answer(http=400)

    for _ in world.play(bridge_after_init, 30):
        if world.times(Action.INITIALISE):
            break
        # What is asked beside the look does answer.
    assert world.times(Action.INITIALISE)[0] - began < 20
    world.run(Answer(), 20)
    assert world.machine.judgement.state is PodState.AUTHENTICATED


def test_a_tickle_that_fails_hides_nothing() -> None:
    world = _well()
    for _ in range(400):
        world.step_answered_by(
            lambda action: Answer(http=500) if action is Action.TICKLE else Answer()
        )
    assert world.machine.judgement.state is PodState.AUTHENTICATED
    assert len(world.times(Action.LOOK)) > len(world.times(Action.TICKLE))
    for _ in range(20):
        world.step_answered_by(lambda action: Answer(http=500 if action is Action.TICKLE else 401))
    assert world.times(Action.LOG_IN), "a login that is gone is seen all the same"


def test_a_question_of_the_proof_that_fails_changes_no_state() -> None:
    world = SessionWorld()
    for _ in range(300):
        world.step_answered_by(
            lambda action: Answer(http=500) if action is Action.PROVE else Answer()
        )
    assert world.machine.judgement.state is PodState.SSO_ONLY
    assert world.machine.alarm is not None
    assert "whether the login is paper" in world.machine.alarm
    assert Action.RESTART_PROGRAM not in world.run(Answer(), 5)


def test_after_any_401_what_was_proven_must_not_be_used() -> None:
    """Somebody else may have logged in at the gateway's page meanwhile."""
    world = _well()
    seen = world.machine.logins_seen
    while world.step(NO_SSO).action is not Action.LOOK:
        pass
    assert world.machine.logins_seen > seen, "the first one too"
    world.run(Answer(paper=False), 5)
    assert world.machine.judgement.state is PodState.SSO_ONLY
    world.run(Answer(), 5)
    assert world.machine.judgement.state is PodState.AUTHENTICATED


def test_a_live_login_is_ended_during_a_penalty_too() -> None:
    world = _well()
    world.machine.saw_live_login("LOGIN_TYPE 1", world.wall)
    world.penalty_until = world.now + 900
    assert world.machine.logout_due
    assert world.step(Answer()).action is Action.LOG_OUT
    assert not world.machine.logout_due
    assert world.step(Answer()).action is Action.REST


def test_a_clock_that_is_set_forward_gives_no_more_logins() -> None:
    world = _well()
    began = world.now
    for _ in range(8):
        world.began += timedelta(hours=25)
        world.run(Answer(http=401), 300)
    logins = world.times(Action.LOG_IN)
    assert sum(at < began + HOUR for at in logins) <= 4


def test_who_cannot_take_over_does_not_say_that_it_yields() -> None:
    world = SessionWorld(SessionPolicy(competing="take_over"))
    world.run(Answer(status=COMPETING, paper=False), STUCK_AFTER + 60)
    assert world.machine.alarm is not None
    assert "yields" not in world.machine.alarm
    assert "not been able to take it back" in world.machine.alarm


ANSWERS = st.builds(
    Answer,
    status=st.sampled_from([WELL, CONNECTED_ONLY, NOT_CONNECTED, COMPETING, SILENT]),
    http=st.sampled_from(["none", "none", "none", None, 400, 401, 401, 429, 500, 503]),
    login=st.sampled_from(list(LoginOutcome)),
    submitted=st.booleans(),
    paper=st.booleans(),
    live=st.sampled_from([False] * 20 + [True]),
    takes=st.floats(0.01, 15),
)
POLICIES = st.builds(
    SessionPolicy,
    competing=st.sampled_from(["yield", "take_over"]),
    takeovers_per_hour=st.integers(1, 4),
    failed_logins=st.integers(1, 10),
    logins_per_hour=st.integers(1, 8),
    logins_per_day=st.integers(1, 12),
    restarts_per_hour=st.integers(0, 4),
    expected_outages=st.sampled_from(
        [(), SessionPolicy().expected_outages, (ExpectedOutage(begin="00:00", minutes=1440),)]
    ),
)
MOST_IN_A_DAY = 200


@given(
    policy=POLICIES,
    phases=st.lists(st.tuples(ANSWERS, st.floats(1, 5000)), min_size=1, max_size=12),
    hours=st.integers(0, 24 * 7),
)
@settings(max_examples=150, deadline=None)
def test_whatever_happens_the_limits_hold(
    policy: SessionPolicy, phases: list[tuple[Answer, float]], hours: int
) -> None:
    world = SessionWorld(policy, MONDAY + timedelta(hours=hours))
    bad_since = world.now
    for answer, seconds in phases:
        until = world.now + seconds
        while world.now < until:
            before, penalty = world.now, world.penalty_left
            step = world.step(answer)
            if penalty > 0:
                # Only a live login that has to be ended is more urgent.
                assert step.action in (Action.REST, Action.LOG_OUT)
            assert 0 <= step.seconds < 900.001
            if world.machine.judgement.state is PodState.AUTHENTICATED:
                bad_since = world.now
            elif step.action is Action.REST and before - bad_since > STUCK_AFTER + 60:
                assert world.machine.alarm is not None, world.machine.judgement
    _within(world.times(Action.LOG_IN), policy, world)
    for action, allowed in (
        (Action.TAKE_OVER, policy.takeovers_per_hour),
        (Action.RESTART_PROGRAM, policy.restarts_per_hour),
    ):
        times = world.times(action)
        assert all(sum(at <= other < at + HOUR for other in times) <= allowed for at in times)


def _within(logins: list[float], policy: SessionPolicy, world: SessionWorld) -> None:
    """Those that reached IBKR: a login that could not begin is taken out of the history again."""
    made = world.machine.history.attempts
    for span, allowed in ((HOUR, policy.logins_per_hour), (DAY, policy.logins_per_day)):
        assert all(sum(at <= other < at + span for other in made) <= allowed for at in made)
    assert len(logins) >= len([at for at in made])


@given(
    outcomes=st.lists(
        st.sampled_from([o for o in LoginOutcome if not o.value.startswith("no")]), max_size=40
    ),
    policy=POLICIES,
)
@settings(deadline=None)
def test_logins_that_reach_ibkr_stay_within_hour_and_day(
    outcomes: list[LoginOutcome], policy: SessionPolicy
) -> None:
    world = SessionWorld(policy)
    for outcome in outcomes:
        world.run(Answer(http=401, login=outcome), 2000)
    times = world.times(Action.LOG_IN)
    for span, allowed in ((HOUR, policy.logins_per_hour), (DAY, policy.logins_per_day)):
        assert all(sum(at <= other < at + span for other in times) <= allowed for at in times)


@given(phases=st.lists(st.tuples(ANSWERS, st.floats(1, 3000)), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_every_state_but_a_lock_has_an_exit(phases: list[tuple[Answer, float]]) -> None:
    """Once everything answers well, the session is back, without a restart of the pod."""
    world = SessionWorld(SessionPolicy(competing="take_over"))
    for answer, seconds in phases:
        world.run(answer, seconds)
    world.run(Answer(), HOUR)
    locked = world.machine.history.lock is not None
    expected = PodState.LOCKED, PodState.REFUSED_LIVE
    if locked:
        assert world.machine.judgement.state in expected
        assert world.machine.alarm is not None
    else:
        assert world.machine.judgement.state is PodState.AUTHENTICATED


def test_a_session_that_comes_and_goes_is_one_trouble() -> None:
    """Usable for one look after each ssodh/init, then not again: its cures are bounded together."""
    world = _well()
    usable = False
    while world.now < 6 * HOUR:
        step = world.machine.next_step(world.now, world.wall)
        if step.action is Action.REST:
            world.now += step.seconds
            continue
        world.steps.append((world.now, step.action))
        world.now += 0.1
        if step.action is Action.INITIALISE:
            usable = True
        status = WELL if usable else CONNECTED_ONLY
        world._answer(step.action, Answer(status=status))
        if step.action is Action.LOOK:
            usable = False
    assert len(world.times(Action.INITIALISE)) < 400, "once a minute at most, in the long run"
    assert world.times(Action.REAUTHENTICATE)
    assert world.times(Action.RESTART_PROGRAM)
    while world.machine.judgement.state is PodState.AUTHENTICATED:
        world.step(Answer(status=CONNECTED_ONLY))
    world.step(Answer(status=CONNECTED_ONLY))
    assert world.machine.alarm is not None


def test_a_page_that_says_success_for_nothing_is_not_believed_for_ever() -> None:
    world = _well()
    world.run(NO_SSO, 3 * DAY)
    assert len(world.times(Action.LOG_IN)) == SessionPolicy().failed_logins
    assert world.machine.judgement.state is PodState.LOCKED
    assert "has said success 3 times" in world.machine.judgement.reason


def test_logins_that_are_spent_are_said_at_once() -> None:
    """A person waits for a login that the limit of an hour forbids: the alarm says until when."""
    world = _well()
    for _ in range(SessionPolicy().logins_per_hour):
        while world.step(NO_SSO).action is not Action.LOG_IN:
            pass
        world.run(Answer(status=WELL), 60)
    world.run(NO_SSO, 10)
    assert world.machine.alarm is not None
    assert "the limits allow the next login at" in world.machine.alarm
    assert "logins_per_hour is 4" in world.machine.alarm


def test_a_long_way_back_raises_no_alarm_about_its_last_steps() -> None:
    """Nobody could log in for ten minutes; then it takes some seconds, as it always does."""
    world = _well()
    world.run(Answer(http=503), 600)
    told = []
    for _ in range(20):
        world.step(Answer(status=CONNECTED_ONLY))
        told.append(world.machine.alarm)
    assert world.machine.judgement.state is PodState.SSO_ONLY
    assert not any("TOTP" in alarm for alarm in told if alarm)
