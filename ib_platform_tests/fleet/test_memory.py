"""The fleet's memory: round trip, and tolerance of everything else."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.fleet.memory import (
    ContainerMemory,
    FleetMemory,
    PastAction,
    PodMemory,
    Reported,
    dump_memory,
    load_memory,
)
from ib_platform.states import PodState
from ib_platform_tests.fleet.observations import T0, at

INSTANTS = st.floats(0, 4e9)
CONTAINERS = st.builds(
    ContainerMemory,
    st.integers(0, 99),
    st.one_of(st.none(), INSTANTS),
    st.one_of(st.none(), st.sampled_from(PodState)),
)
PODS = st.builds(
    PodMemory,
    incident=st.integers(0, 9999),
    open=st.booleans(),
    attempt=st.integers(0, 9),
    logins=st.integers(0, 9),
    next_at=INSTANTS,
    gateway=CONTAINERS,
    streamer=CONTAINERS,
    actions=st.lists(st.builds(PastAction, INSTANTS, st.booleans()), max_size=3).map(tuple),
    said=st.text(max_size=9),
    passing_since=st.one_of(st.none(), INSTANTS),
    quiet_since=st.one_of(st.none(), INSTANTS),
    reported=st.builds(Reported, INSTANTS, st.text(max_size=5), st.integers(0, 2**60)),
)
MEMORIES = st.builds(
    FleetMemory, st.integers(0, 2**40), st.dictionaries(st.text("abc-", max_size=5), PODS)
)


@given(MEMORIES)
def test_what_is_dumped_is_loaded_equal(memory: FleetMemory) -> None:
    text = dump_memory(memory)
    assert load_memory(text, T0) == memory
    assert list(json.loads(text)) == sorted(json.loads(text))


@given(st.one_of(st.text(), st.recursive(st.integers(), st.lists).map(json.dumps)))
def test_garbage_becomes_a_fresh_memory(text: str) -> None:
    assert load_memory(text, at(3)) == FleetMemory(epoch=int(at(3).timestamp()))


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "null",
        '{"version": 2, "epoch": 1, "pods": {}}',
        '{"version": 1, "pods": {}}',
        '{"version": 1, "epoch": "x"}',
        '{"version": 1, "epoch": 1, "pods": {"alpha": {"incident": "one"}}}',
        '{"version": 1, "epoch": 1, "pods": {"alpha": {"gateway": {"blocked": "MAYBE"}}}}',
        '{"version": 1, "epoch": 1e999}',
        "[" * 100_000,
    ],
)
def test_wrong_memories_become_fresh_ones(text: str | None) -> None:
    assert load_memory(text, T0).pods == {}
    assert load_memory(text, T0).epoch == int(T0.timestamp())


def test_a_new_pod_begins_without_history() -> None:
    assert FleetMemory(epoch=1).of("alpha") == PodMemory()


def test_a_quiet_memory_is_small() -> None:
    memory = FleetMemory(epoch=1, pods={"alpha": PodMemory(incident=3)})
    assert dump_memory(memory) == '{"epoch":1,"pods":{"alpha":{"incident":3}},"version":1}'


def test_a_memory_of_an_older_version_of_the_sensor_is_kept() -> None:
    text = '{"version": 1, "epoch": 1, "pods": {"alpha": {"incident": 7, "open": true}}}'
    memory = load_memory(text, T0).of("alpha")
    assert (memory.incident, memory.logins, memory.quiet_since) == (7, 0, None)
