"""What is done about a pod: a table per rule, then properties over any history."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.config import Limits
from ib_platform.fleet.conditions import Condition
from ib_platform.fleet.decide import Action, Decision, Policy, decide
from ib_platform.fleet.memory import (
    ContainerMemory,
    FleetMemory,
    PodMemory,
    dump_memory,
    load_memory,
)
from ib_platform.fleet.pods import PodObservation, Scope
from ib_platform.states import PodState
from ib_platform_tests.fleet.observations import GONE, NEVER, T0, at, pod, running

POLICY = Policy()
YOUNG = running(9, T0)
FRESH = FleetMemory(epoch=1)


def step(
    seen: PodObservation, seconds: float, memory: FleetMemory = FRESH, busy: Iterable[str] = ()
) -> Decision:
    # Through the cursor's text each time, as the sensor does it.
    memory = load_memory(dump_memory(memory), T0)
    return decide(["alpha"], [seen], memory, at(seconds), POLICY, list(busy))


def history(steps: Iterable[tuple[float, PodObservation]]) -> list[tuple[float, Action]]:
    memory, actions = FRESH, []
    for seconds, seen in steps:
        decision = step(seen, seconds, memory)
        memory = decision.memory
        actions += [(seconds, action) for action in decision.actions]
    return actions


def every_five_seconds(
    seen: PodObservation, until: float, begin: float = 0
) -> list[tuple[float, PodObservation]]:
    return [(seconds, seen) for seconds in range(int(begin), int(until), 5)]


ABSENT = pod(gateway_container=NEVER, streamer_container=NEVER)
DEAD_STREAMER = pod(streamer_container=GONE)
DEAD_GATEWAY = pod(gateway_container=GONE)


@pytest.mark.parametrize(
    ("seen", "condition", "scope", "acts"),
    [
        (ABSENT, Condition.ABSENT, None, True),
        (DEAD_STREAMER, Condition.STREAMER_DEAD, Scope.STREAMER, True),
        (DEAD_GATEWAY, Condition.GATEWAY_DEAD, Scope.POD, True),
        (
            pod(gateway_container=GONE, streamer_container=GONE),
            Condition.GATEWAY_DEAD,
            Scope.POD,
            True,
        ),
        (pod(streamer_container=NEVER), Condition.STREAMER_DEAD, Scope.STREAMER, True),
        (
            pod(gateway_container=running(7, T0), streamer_container=GONE),
            Condition.STREAMER_DEAD,
            Scope.STREAMER,
            True,
        ),
        (
            pod(gateway_container=running(7, T0), streamer_container=NEVER),
            Condition.STARTING,
            None,
            False,
        ),
        (pod(), Condition.HEALTHY, None, False),
        (pod(streamer=PodState.AUTHENTICATED), Condition.NOT_YET_STREAMING, None, False),
        (pod(None, None, streamer_container=YOUNG), Condition.STARTING, None, False),
        (pod(streamer=PodState.STARTING), Condition.UNSETTLED, None, False),
        (pod(gateway=PodState.DOWN), Condition.UNSETTLED, None, False),
        (pod(gateway=PodState.LOCKED), Condition.NEEDS_A_PERSON, None, False),
        (pod(streamer=PodState.REFUSED_LIVE), Condition.NEEDS_A_PERSON, None, False),
        (pod(streamer=PodState.COMPETING), Condition.NEEDS_A_PERSON, None, False),
        (
            pod(gateway=PodState.LOCKED, streamer_container=GONE),
            Condition.NEEDS_A_PERSON,
            None,
            False,
        ),
        (
            pod(PodState.COMPETING, PodState.COMPETING, streamer_container=GONE),
            Condition.STREAMER_DEAD,
            Scope.STREAMER,
            True,
        ),
        (
            pod(streamer=PodState.COMPETING, gateway_container=GONE),
            Condition.GATEWAY_DEAD,
            Scope.POD,
            True,
        ),
        (
            pod(gateway=PodState.MAINTENANCE, streamer_container=GONE),
            Condition.STREAMER_DEAD,
            Scope.STREAMER,
            True,
        ),
        (
            pod(gateway=PodState.PENALTY, streamer_container=GONE),
            Condition.STREAMER_DEAD,
            Scope.STREAMER,
            True,
        ),
        (pod(gateway=PodState.MAINTENANCE), Condition.PASSING, None, False),
        (pod(streamer=PodState.PENALTY), Condition.PASSING, None, False),
        (pod(retired=True, gateway_container=NEVER), Condition.RETIRED, None, False),
        (PodObservation("alpha", error="boom"), Condition.UNOBSERVED, None, False),
    ],
)
def test_first_look(
    seen: PodObservation, condition: Condition, scope: Scope | None, acts: bool
) -> None:
    decision = step(seen, 1)
    (verdict,) = decision.verdicts
    assert verdict.condition is condition
    assert verdict.changed
    assert verdict.healthy == (condition is Condition.HEALTHY)
    assert [action.scope for action in decision.actions] == ([scope] if acts else [])
    assert [(a.incident, a.attempt) for a in decision.actions] == ([(1, 1)] if acts else [])


def test_a_pod_without_an_observation_is_left_alone() -> None:
    decision = decide(["alpha"], [], FRESH, T0, POLICY)
    assert decision.actions == ()
    assert decision.verdicts[0].condition is Condition.UNOBSERVED
    assert decision.verdicts[0].alarm


def test_pods_are_decided_one_by_one() -> None:
    others = [pod(paper_user="beta"), DEAD_STREAMER, pod(paper_user="stranger")]
    decision = decide(["alpha", "beta"], others, FRESH, T0, POLICY)
    assert [action.paper_user for action in decision.actions] == ["alpha"]
    assert [str(v).split(":")[0] for v in decision.verdicts] == ["alpha", "beta"]


def test_backoff_between_attempts_that_start_a_gateway_and_an_end() -> None:
    actions = history(every_five_seconds(DEAD_GATEWAY, 9000))
    assert [seconds for seconds, _ in actions] == [0, 10, 40, 100, 400, 700, 1000, 1300]
    assert [action.attempt for _, action in actions] == list(range(1, 9))
    assert {action.incident for _, action in actions} == {1}


def test_a_streamer_is_restarted_for_ever_but_slowly() -> None:
    actions = history(every_five_seconds(DEAD_STREAMER, 4000))
    assert [seconds for seconds, _ in actions] == [
        *[0, 10, 40, 100, 400, 700, 1000, 1300],
        *[1900, 2500, 3100, 3700],
    ]
    assert {action.incident for _, action in actions} == {1}


def test_restarts_of_the_streamer_do_not_use_up_those_of_the_gateway() -> None:
    actions = history(
        [*every_five_seconds(DEAD_STREAMER, 4000), *every_five_seconds(DEAD_GATEWAY, 9000, 4000)]
    )
    logins = [action for _, action in actions if action.scope is Scope.POD]
    assert len(logins) == POLICY.max_attempts


def test_after_the_gateway_was_given_up_a_dead_streamer_is_restarted_all_the_same() -> None:
    steps = [
        *every_five_seconds(DEAD_GATEWAY, 3000),
        *every_five_seconds(DEAD_STREAMER, 3700, 3000),
    ]
    actions = [(s, a.scope) for s, a in history(steps) if s >= 3000]
    assert actions == [(3000, Scope.STREAMER), (3600, Scope.STREAMER)]


@pytest.mark.parametrize(
    ("seen", "text"),
    [(DEAD_GATEWAY, "needs a human"), (DEAD_STREAMER, "attempt 9 in")],
)
def test_what_does_not_help_is_said_once(seen: PodObservation, text: str) -> None:
    memory, changes = FRESH, []
    for seconds, observation in every_five_seconds(seen, 1800):
        decision = step(observation, seconds, memory)
        memory = decision.memory
        changes += [seconds] if decision.verdicts[0].changed else []
    assert text in decision.verdicts[0].text
    assert decision.verdicts[0].alarm
    assert changes == [0, 1300]


def test_a_start_that_follows_many_attempts_is_no_reason_to_calm_down() -> None:
    memory = _memory_after(every_five_seconds(DEAD_STREAMER, 1400))
    starting = pod(None, None, streamer_container=running(9, at(1399)))
    (verdict,) = step(starting, 1400, memory).verdicts
    assert verdict.condition is Condition.STARTING
    assert verdict.alarm
    (verdict,) = step(pod(), 1405, memory).verdicts
    assert verdict.healthy


def test_recovery_closes_the_incident() -> None:
    actions = history([(0, DEAD_STREAMER), (5, pod()), (10, DEAD_STREAMER), (15, DEAD_STREAMER)])
    assert [(s, a.incident, a.attempt) for s, a in actions] == [(0, 1, 1), (10, 2, 1)]


def test_a_starting_pod_keeps_the_incident_open() -> None:
    starting = pod(None, None, streamer_container=YOUNG)
    actions = history([(0, DEAD_STREAMER), (5, starting), (12, DEAD_STREAMER)])
    assert [(s, a.incident, a.attempt) for s, a in actions] == [(0, 1, 1), (12, 1, 2)]


def test_a_pod_that_somebody_acts_on_is_left_alone() -> None:
    assert step(DEAD_STREAMER, 0, busy=["alpha"]).actions == ()
    assert step(pod(streamer_container=GONE, acting="pid 5"), 0).actions == ()
    assert "pid 5 is acting on it" in (
        step(pod(streamer_container=GONE, acting="pid 5"), 0).verdicts[0].text
    )
    assert len(step(DEAD_STREAMER, 0, busy=["beta"]).actions) == 1


@pytest.mark.parametrize(
    ("seen", "scope"),
    [(pod(gateway=None), Scope.POD), (pod(streamer=None), Scope.STREAMER)],
)
def test_a_process_that_does_not_answer_is_restarted_after_three_looks(
    seen: PodObservation, scope: Scope
) -> None:
    actions = history(every_five_seconds(seen, 12))
    assert [(seconds, action.scope) for seconds, action in actions] == [(10, scope)]
    interrupted = history([(0, seen), (5, seen), (10, pod()), (15, seen), (20, seen)])
    assert interrupted == []


def test_silence_within_the_start_budget_does_not_count() -> None:
    starting = pod(None, None, gateway_container=YOUNG, streamer_container=YOUNG)
    actions = history(every_five_seconds(starting, 60))
    # Silence counts from 50 s on (the budget is 45 s), three times.
    assert actions == []
    actions = history(every_five_seconds(starting, 65))
    assert [(seconds, action.scope) for seconds, action in actions] == [(60, Scope.POD)]


@pytest.mark.parametrize("state", [PodState.DOWN, PodState.NO_SSO, PodState.SSO_ONLY])
def test_a_session_that_is_down_is_left_to_the_supervisor_that_owns_it(state: PodState) -> None:
    assert history(every_five_seconds(pod(state, PodState.DOWN), 1000)) == []


@pytest.mark.parametrize("state", [PodState.DOWN, PodState.NO_SSO, PodState.SSO_ONLY])
def test_a_supervisor_that_neither_cures_nor_complains_is_restarted(state: PodState) -> None:
    """It raises an alarm long before: one that does not is stuck."""
    actions = history(every_five_seconds(pod(state, PodState.DOWN), 2100))
    # Its whole budget, and again after the restart that changed nothing.
    assert [(s, a.scope) for s, a in actions] == [(1005, Scope.POD), (2015, Scope.POD)]


@pytest.mark.parametrize("state", [PodState.DOWN, PodState.NO_SSO, PodState.SSO_ONLY])
def test_what_the_supervisor_cannot_cure_is_told_and_not_acted_on(state: PodState) -> None:
    seen = pod(state, PodState.DOWN)
    assert seen.gateway_health is not None
    health = msgspec.structs.replace(seen.gateway_health, alarm="Chromium is not installed")
    seen = replace(seen, gateway_health=health)
    assert history(every_five_seconds(seen, 7200)) == []
    (verdict,) = step(seen, 0).verdicts
    assert verdict.condition is Condition.NEEDS_A_PERSON
    assert verdict.text.startswith(f"{state.value} since ")
    assert "UTC: Chromium is not installed" in verdict.text
    assert verdict.alarm


def test_a_lock_is_told_with_its_reason() -> None:
    seen = pod(PodState.LOCKED)
    assert seen.gateway_health is not None
    health = msgspec.structs.replace(seen.gateway_health, alarm="3 logins in a row were refused")
    (verdict,) = step(replace(seen, gateway_health=health), 0).verdicts
    assert "ib-platform unlock" in verdict.text
    assert "3 logins in a row were refused" in verdict.text


def test_a_streamer_that_stays_down_beside_a_good_session_is_restarted_alone() -> None:
    actions = history(every_five_seconds(pod(streamer=PodState.DOWN), 200))
    assert [(s, a.scope) for s, a in actions] == [(125, Scope.STREAMER)]


def test_after_the_gateway_came_back_the_streamer_has_its_whole_patience() -> None:
    """Its own next try may be 15 s away: seen in a drill, where it was restarted at that moment."""
    away = every_five_seconds(pod(PodState.DOWN, PodState.DOWN), until=115)
    back = pod(PodState.AUTHENTICATED, PodState.DOWN, since=at(115))
    assert history([*away, *every_five_seconds(back, begin=115, until=235)]) == []
    (told,) = history([*away, *every_five_seconds(back, begin=115, until=245)])
    assert (told[0], told[1].scope) == (240, Scope.STREAMER)


def test_a_restart_by_hand_renews_the_patience() -> None:
    steps = every_five_seconds(pod(PodState.DOWN), 100)
    anew = pod(PodState.DOWN, gateway_container=running(8, at(100)))
    assert history([*steps, *every_five_seconds(anew, 220, 100)]) == []


def test_a_locked_gateway_stays_untouched_when_it_dies() -> None:
    steps = [(0, pod(PodState.LOCKED)), (5, DEAD_GATEWAY), (10, ABSENT), (900, DEAD_GATEWAY)]
    assert history(steps) == []
    unlocked = [(905.0, pod()), (910.0, DEAD_GATEWAY)]
    assert [s for s, _ in history([*steps, *unlocked])] == [910]


@pytest.mark.parametrize("state", [PodState.LOCKED, PodState.REFUSED_LIVE])
@pytest.mark.parametrize("gone", [ABSENT, DEAD_GATEWAY, DEAD_STREAMER])
def test_a_lock_outlives_the_process_that_said_so(state: PodState, gone: PodObservation) -> None:
    if gone is DEAD_STREAMER:
        gone = pod(None, streamer_container=GONE)
    assert history([(0, pod(state)), *every_five_seconds(gone, 3600, 5)]) == []


@pytest.mark.parametrize(
    ("gone", "scope"),
    [
        (ABSENT, None),
        (DEAD_GATEWAY, Scope.POD),
        (pod(gateway_container=GONE, streamer_container=GONE), Scope.POD),
        (DEAD_STREAMER, Scope.STREAMER),
    ],
)
@pytest.mark.parametrize("state", [PodState.COMPETING, PodState.MAINTENANCE, PodState.PENALTY])
def test_other_states_end_with_the_process_that_said_so(
    state: PodState, gone: PodObservation, scope: Scope | None
) -> None:
    steps = every_five_seconds(pod(state, state), 100)
    assert history(steps) == []
    assert [(s, a.scope) for s, a in history([*steps, (100, gone)])] == [(100, scope)]


def test_a_cursor_that_still_calls_competition_sticky_protects_nothing() -> None:
    blocked = PodMemory(gateway=ContainerMemory(blocked=PodState.COMPETING))
    decision = step(ABSENT, 0, FleetMemory(epoch=1, pods={"alpha": blocked}))
    assert [action.scope for action in decision.actions] == [None]


@pytest.mark.parametrize("state", [PodState.COMPETING, PodState.MAINTENANCE, PodState.PENALTY])
def test_while_the_session_waits_only_a_streamer_is_restarted(state: PodState) -> None:
    mute_streamer = history(every_five_seconds(pod(state, None), 12))
    assert [(s, a.scope) for s, a in mute_streamer] == [(10, Scope.STREAMER)]
    # A mute gateway whose streamer says so: a login would disturb it.
    assert history(every_five_seconds(pod(None, state), 3600)) == []


@pytest.mark.parametrize(
    ("state", "budget"), [(PodState.MAINTENANCE, 6 * 3600), (PodState.PENALTY, 3600)]
)
def test_what_passes_by_itself_is_told_when_it_does_not(state: PodState, budget: int) -> None:
    seen = pod(state, PodState.DOWN)
    memory = FRESH
    for seconds in range(0, budget + 3600, 60):
        # Its own answer alternates with none at all: that is not the end of it.
        decision = step(seen if seconds % 120 else pod(PodState.DOWN), seconds, memory)
        memory = decision.memory
        assert decision.actions == ()
        (verdict,) = decision.verdicts
        if seconds % 120:
            overdue = seconds > budget
            assert verdict.condition is (Condition.OVERDUE if overdue else Condition.PASSING)
            assert verdict.alarm == overdue
    assert (
        f"lasts for more than {budget // 3600} h" in step(seen, budget * 2, memory).verdicts[0].text
    )
    memory = step(pod(), budget * 2, memory).memory
    later = step(pod(state, since=at(budget * 2)), budget * 2 + 5, memory)
    assert later.verdicts[0].condition is Condition.PASSING


def test_a_retired_pod_is_left_alone_and_ends_the_incident() -> None:
    retired = pod(retired=True, gateway_container=NEVER, streamer_container=NEVER)
    actions = history([(0, ABSENT), (5, retired), (600, retired), (605, ABSENT)])
    assert [(s, a.incident) for s, a in actions] == [(0, 1), (605, 2)]


def test_flapping_is_bounded_by_the_hour() -> None:
    steps = [(s, DEAD_STREAMER if s % 10 else pod()) for s in range(0, 7200, 5)]
    actions = [seconds for seconds, _ in history(steps)]
    assert len([s for s in actions if s < 3600]) == POLICY.actions_per_hour
    assert len([s for s in actions if s >= 3600]) >= POLICY.actions_per_hour - 1


def test_logins_are_bounded_tighter_than_streamer_restarts() -> None:
    steps = [(s, DEAD_GATEWAY if s % 10 else pod()) for s in range(0, 3600, 5)]
    assert len(history(steps)) == POLICY.logins_per_hour
    decision_text = step(DEAD_GATEWAY, 3600, _memory_after(steps)).verdicts[0].text
    assert "within the hour: the next in" in decision_text


def _memory_after(steps: Iterable[tuple[float, PodObservation]]) -> FleetMemory:
    memory = FRESH
    for seconds, seen in steps:
        memory = step(seen, seconds, memory).memory
    return memory


def test_a_clock_set_back_does_not_stop_the_healing() -> None:
    memory = _memory_after([(10_000, DEAD_STREAMER)])
    again = step(DEAD_STREAMER, 0, memory)
    assert "attempt 2 in" in again.verdicts[0].text
    steps = [(10_000, DEAD_STREAMER), *every_five_seconds(DEAD_STREAMER, 605)]
    assert [seconds for seconds, _ in history(steps)] == [10_000, 600]


def test_run_keys_are_unique_over_a_lost_cursor() -> None:
    first = step(DEAD_STREAMER, 0).actions[0]
    assert first.run_key(1) != first.run_key(2)
    assert first.run_key(7) == "alpha:1:1:7"


def test_the_policy_follows_the_limits() -> None:
    assert Policy.of(Limits(start_budget=7)).patience.start_budget == 7


PHASES = st.sampled_from([None, GONE, NEVER, YOUNG])
STATES = st.one_of(st.none(), st.sampled_from(PodState))
SEEN = st.one_of(
    st.just(PodObservation("alpha", error="boom")),
    st.builds(
        pod,
        STATES,
        STATES,
        gateway_container=PHASES,
        streamer_container=PHASES,
        retired=st.sampled_from([False, False, False, True]),
    ),
)
STEPS = st.lists(
    st.tuples(st.floats(0.1, 400), SEEN, st.booleans(), st.integers(1, 60)), max_size=40
)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_over_any_history_the_limits_hold(
    steps: list[tuple[float, PodObservation, bool, int]],
) -> None:
    memory, seconds = FRESH, 0.0
    done: list[tuple[float, Action]] = []
    keys: list[str] = []
    for pause, seen, busy, repeats in steps:
        for _ in range(repeats):
            seconds += pause
            decision = step(seen, seconds, memory, ["alpha"] if busy else [])
            memory = decision.memory
            states = {h.state for h in (seen.gateway_health, seen.streamer_health) if h}
            if decision.actions:
                assert not busy
                assert not seen.retired
                assert seen.error is None
                assert not states & {PodState.LOCKED, PodState.REFUSED_LIVE}
                waits = {PodState.COMPETING, PodState.MAINTENANCE, PodState.PENALTY}
                if seen.gateway.running and states & waits:
                    assert decision.actions[0].scope is Scope.STREAMER
            done += [(seconds, action) for action in decision.actions]
            keys += [action.run_key(memory.epoch) for action in decision.actions]
            (verdict,) = decision.verdicts
            # What is not healthy is acted on, waited for, or told to a person.
            assert verdict.healthy or verdict.text
    assert len(keys) == len(set(keys))
    for begin, _ in done:
        hour = [action for s, action in done if begin <= s < begin + 3600]
        assert len(hour) <= POLICY.actions_per_hour
        assert sum(a.scope is not Scope.STREAMER for a in hour) <= POLICY.logins_per_hour
    for incident in {action.incident for _, action in done}:
        logins = [a for _, a in done if a.incident == incident and a.scope is not Scope.STREAMER]
        assert len(logins) <= POLICY.max_attempts
