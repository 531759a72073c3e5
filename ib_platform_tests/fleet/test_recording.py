"""A pod is well only while it records: contracts and loading, told and never acted on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ib_platform.fleet.conditions import Condition
from ib_platform.fleet.decide import Action, PodVerdict, Policy, decide
from ib_platform.fleet.memory import FleetMemory
from ib_platform.fleet.pods import ContainerState, PodObservation
from ib_platform.fleet.recording import loading_troubles, not_streaming
from ib_platform.health import LoaderHealth, SpoolHealth
from ib_platform.states import ContractState, PodState, SpoolFill
from ib_platform_tests.fleet.observations import (
    GONE,
    LONG_AGO,
    NEVER,
    at,
    pod,
    running,
    streamer_health,
)

POLICY = Policy()
LIVE, SILENT = ContractState.LIVE, ContractState.SILENT
GONE_AWAY = LoaderHealth("retrying", "connection refused", 301.0, 10_000)
Steps = list[tuple[float, PodObservation]]


def over(steps: Steps) -> tuple[list[PodVerdict], list[tuple[float, Action]]]:
    """The verdict of each step, and all actions."""
    memory, verdicts, actions = FleetMemory(epoch=1), [], []
    for seconds, seen in steps:
        decision = decide(["alpha"], [seen], memory, at(seconds), POLICY)
        memory = decision.memory
        verdicts += decision.verdicts
        actions += [(seconds, action) for action in decision.actions]
    return verdicts, actions


@pytest.mark.parametrize(
    ("state", "contracts", "problem"),
    [
        (PodState.STREAMING, {}, None),
        (PodState.STREAMING, {"CL": LIVE}, None),
        (PodState.STREAMING, {"CL": LIVE, "ES": ContractState.WARMING_UP}, None),
        (PodState.STREAMING, {"CL": LIVE, "ES": ContractState.MARKET_CLOSED}, None),
        (PodState.STREAMING, {"CL": LIVE, "ES": ContractState.NOT_ASSIGNED}, None),
        (PodState.STREAMING, {"CL": LIVE, "ES": SILENT}, "STREAMING: ES SILENT"),
        (
            PodState.STREAMING,
            {"ZB": ContractState.NO_DATA, "CL": SILENT, "ES": LIVE},
            "STREAMING: CL SILENT, ZB NO_DATA",
        ),
        (PodState.AUTHENTICATED, {}, "AUTHENTICATED"),
        (PodState.AUTHENTICATED, {"CL": SILENT}, "AUTHENTICATED: CL SILENT"),
        (PodState.AUTHENTICATED, {"CL": LIVE}, "AUTHENTICATED"),
        (PodState.DOWN, {"CL": LIVE}, "DOWN"),
    ],
)
def test_every_assigned_contract_counts(
    state: PodState, contracts: dict[str, ContractState], problem: str | None
) -> None:
    assert not_streaming(streamer_health(state, contracts=contracts)) == problem


def test_a_pod_that_the_plan_gives_nothing_need_not_stream() -> None:
    idle = streamer_health(PodState.AUTHENTICATED, contracts={"CL": ContractState.NOT_ASSIGNED})
    assert not_streaming(idle) == "AUTHENTICATED"
    assert not_streaming(idle, spare=True) is None
    assert not_streaming(streamer_health(PodState.DOWN), spare=True) is not None
    silent = streamer_health(PodState.AUTHENTICATED, contracts={"CL": SILENT})
    assert not_streaming(silent, spare=True) is not None
    verdicts, _ = over([(0, replace(pod(streamer=PodState.AUTHENTICATED), spare=True))])
    assert verdicts[0].healthy


@pytest.mark.parametrize(
    ("loader", "told"),
    [
        (LoaderHealth(), None),
        (LoaderHealth("loading", None, 2.5), None),
        (LoaderHealth("retrying", "refused", 300.0), None),
        (GONE_AWAY, "(loader retrying, the oldest row waits for 301 s): connection refused"),
        (LoaderHealth("loading", None, 9999.0), "(loader loading, the oldest row waits for 9999"),
        (LoaderHealth("blocked", "no table"), "(loader blocked): no table; they are kept"),
    ],
)
def test_rows_that_wait_too_long_are_told(loader: LoaderHealth, told: str | None) -> None:
    troubles = loading_troubles(streamer_health(loader=loader), 300.0)
    assert [*troubles] == ([] if told is None else ["behind"])
    assert (told or "") in "; ".join(troubles.values())
    assert loading_troubles(None, 300.0) == {}


@pytest.mark.parametrize(
    ("loader", "spool", "told"),
    [
        # A full spool does not hide why it is full.
        (GONE_AWAY, SpoolHealth(85, 0, 100, SpoolFill.ALARM), ["connection refused", "85%"]),
        (GONE_AWAY, SpoolHealth(100, 0, 100, SpoolFill.SPENT), ["301 s", ": frames are lost"]),
        (LoaderHealth(), SpoolHealth(79, 9, 100), None),
        (LoaderHealth(quarantined_batches=1), SpoolHealth(), ["refused 1 batch for", "resend"]),
        (
            LoaderHealth("blocked", "no table", quarantined_batches=3),
            SpoolHealth(),
            ["no table", "refused 3 batches"],
        ),
    ],
)
def test_every_trouble_of_loading_is_told(
    loader: LoaderHealth, spool: SpoolHealth, told: list[str] | None
) -> None:
    health = streamer_health(loader=loader)
    health.spool = spool
    troubles = loading_troubles(health, 300.0)
    assert (troubles == {}) == (told is None)
    assert all(words in "; ".join(troubles.values()) for words in told or [])


def test_another_trouble_of_loading_is_news() -> None:
    """While ClickHouse refuses a batch the loader is blocked for some tries, then goes on."""
    refusing = LoaderHealth("blocked", "Constraint", 0.4)
    refused, more = LoaderHealth(quarantined_batches=1), LoaderHealth(quarantined_batches=2)
    loaders = [LoaderHealth(), refusing, refused, more, more, LoaderHealth()]
    verdicts, actions = over([(5.0 * i, pod(loader=one)) for i, one in enumerate(loaders)])
    assert actions == []
    assert [verdict.changed for verdict in verdicts] == [True, True, True, False, False, True]
    assert "`ib-platform spool resend --paper-user alpha`" in verdicts[2].text
    assert "does not take the rows" not in verdicts[2].text
    assert [verdicts[at].text.count("all others loaded") for at in (0, 2)] == [0, 1]
    assert [verdict.alarm for verdict in verdicts] == [False, True, True, True, True, False]


def test_a_long_refusal_is_cut_between_words() -> None:
    error = f"Constraint c is violated: {'price > 0 AND ' * 50}size > 0"
    since = datetime(2026, 11, 24, 12, tzinfo=UTC)
    refused = LoaderHealth(quarantined_batches=1, quarantined_since=since, quarantined_error=error)
    health = streamer_health(loader=refused)
    (told,) = loading_troubles(health, 300.0).values()
    assert "UTC: Constraint c is violated: price > 0 AND" in told
    assert " ...), set aside" in told
    assert told.split(" ...)")[0].split()[-1] in {"price", ">", "0", "AND"}


def test_a_pod_that_records_nothing_is_never_well() -> None:
    """The case of the review: authenticated, its contract silent, its loader blocked, for hours."""
    seen = pod(
        streamer=PodState.AUTHENTICATED,
        contracts={"CL": SILENT},
        loader=LoaderHealth("blocked", "no table", 9999.0),
    )
    verdicts, actions = over([(seconds, seen) for seconds in range(0, 6000, 60)])
    assert actions == []
    assert not any(verdict.healthy for verdict in verdicts)
    assert all(verdict.alarm for verdict in verdicts)
    assert verdicts[-1].condition is Condition.NOT_STREAMING
    assert "not streaming for more than 45 s: AUTHENTICATED: CL SILENT" in verdicts[-1].text
    assert "loader blocked" in verdicts[-1].text


def test_silence_of_one_contract_is_mild_for_the_start_budget_only() -> None:
    ill = pod(contracts={"CL": LIVE, "ES": SILENT})
    well = pod(contracts={"CL": LIVE, "ES": LIVE})
    times = [0, 45, 50, 3600]
    verdicts, actions = over([(s, ill) for s in times] + [(3605, well), (3610, ill)])
    assert actions == []
    assert [verdict.condition for verdict in verdicts] == [
        *[Condition.NOT_YET_STREAMING] * 2,
        *[Condition.NOT_STREAMING] * 2,
        Condition.HEALTHY,
        Condition.NOT_YET_STREAMING,
    ]
    assert [verdict.alarm for verdict in verdicts] == [False, False, True, True, False, False]


def test_what_the_streamer_says_of_its_state_survives_a_lost_memory() -> None:
    verdicts, _ = over([(0, pod(streamer=PodState.AUTHENTICATED, since=LONG_AGO))])
    assert verdicts[0].condition is Condition.NOT_STREAMING


def test_a_restarted_streamer_has_the_budget_again() -> None:
    silent = {"CL": SILENT, "ES": LIVE}
    anew = pod(contracts=silent, streamer_container=running(10, at(95)))
    verdicts, _ = over([(0, pod(contracts=silent)), (90, pod(contracts=silent)), (100, anew)])
    assert [v.alarm for v in verdicts] == [False, True, False]


def test_a_session_that_comes_and_goes_without_streaming_is_told() -> None:
    idle, down = pod(streamer=PodState.AUTHENTICATED, since=at(900)), pod(streamer=PodState.DOWN)
    steps = [(s, down if s % 20 else idle) for s in range(0, 200, 10)]
    verdicts, actions = over(steps)
    assert actions == []
    assert verdicts[-2].condition is Condition.NOT_STREAMING


def test_after_a_maintenance_the_budget_begins_anew() -> None:
    idle = pod(streamer=PodState.AUTHENTICATED, since=at(7200))
    pause = pod(PodState.MAINTENANCE, PodState.MAINTENANCE)
    verdicts, _ = over([(0, idle), (10, pause), (7100, pause), (7205, idle)])
    assert verdicts[-1].condition is Condition.NOT_YET_STREAMING


@pytest.mark.parametrize(
    ("seen", "condition"),
    [
        (pod(), Condition.NOT_LOADING),
        (pod(PodState.MAINTENANCE), Condition.NOT_LOADING),
        (pod(streamer=PodState.AUTHENTICATED), Condition.NOT_LOADING),
        (pod(streamer=PodState.LOCKED), Condition.NEEDS_A_PERSON),
        (pod(gateway_container=GONE), Condition.GATEWAY_DEAD),
        (pod(retired=True), Condition.RETIRED),
    ],
)
def test_a_database_that_is_away_is_told_with_everything_else(
    seen: PodObservation, condition: Condition
) -> None:
    assert seen.streamer_health is not None
    seen.streamer_health.loader = GONE_AWAY
    ((verdict,), _) = over([(0, seen)])
    assert verdict.condition is condition
    assert "ClickHouse does not take the rows" in verdict.text
    assert verdict.alarm == (condition is not Condition.RETIRED)


STATES = st.one_of(st.none(), st.sampled_from(PodState))
PHASES = st.sampled_from([None, None, GONE, NEVER, running(9, at(0))])
LOADERS = st.builds(
    LoaderHealth,
    st.sampled_from(["idle", "loading", "retrying", "blocked"]),
    st.one_of(st.none(), st.just("away")),
    st.one_of(st.none(), st.floats(0, 1e6)),
)
Look = tuple[
    PodState | None,
    PodState | None,
    ContainerState | None,
    ContainerState | None,
    dict[str, ContractState],
]
Pause = tuple[int, LoaderHealth]
CONTRACTS = st.dictionaries(st.sampled_from("ab"), st.sampled_from(ContractState))


def seen_as(look: Look, loader: LoaderHealth) -> PodObservation:
    gateway, streamer, first, second, contracts = look
    return pod(
        gateway,
        streamer,
        gateway_container=first,
        streamer_container=second,
        contracts=contracts,
        loader=loader,
    )


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.tuples(STATES, STATES, PHASES, PHASES, CONTRACTS),
            st.lists(st.tuples(st.sampled_from([5, 20, 130]), LOADERS), min_size=1, max_size=10),
        ),
        max_size=15,
    )
)
def test_a_database_outage_changes_no_action(history: list[tuple[Look, list[Pause]]]) -> None:
    """Two histories that differ only in what the loader says lead to the same actions."""
    with_outage: Steps = []
    without: Steps = []
    seconds = 0.0
    for look, pauses in history:
        for pause, loader in pauses:
            seconds += pause
            with_outage.append((seconds, seen_as(look, loader)))
            without.append((seconds, seen_as(look, LoaderHealth())))
    assert over(with_outage)[1] == over(without)[1]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CONTRACTS, LOADERS), max_size=60), st.floats(1, 4000))
def test_neither_silence_nor_a_database_outage_restarts_a_pod(
    looks: list[tuple[dict[str, ContractState], LoaderHealth]], pause: float
) -> None:
    session_up = [PodState.STREAMING, PodState.AUTHENTICATED]
    steps = [
        (i * pause, pod(streamer=session_up[i % 2], contracts=contracts, loader=loader))
        for i, (contracts, loader) in enumerate(looks)
    ]
    assert over(steps)[1] == []
