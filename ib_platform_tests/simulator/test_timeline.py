"""When the faults of a scenario begin: in order, as often as written, the same with one seed."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.scenario import ScheduledFault
from ib_platform.simulator.timeline import Timeline


def scheduled(**values: Any) -> ScheduledFault:
    return ScheduledFault.model_validate({"fault": "websocket_closed"} | values)


def instants(faults: list[ScheduledFault], until: float, seed: int = 1) -> list[float]:
    """Instants of everything that is due up to ``until``, whether it happens or not."""
    timeline, found = Timeline(faults, seed), []
    while (due := timeline.next_due) is not None and due <= until:
        found.append(due)
        timeline.take(due)
    return found


def test_once_and_again_and_again() -> None:
    assert instants([scheduled(at=60)], 1e6) == [60]
    assert instants([scheduled(every=30)], 100) == [30, 60, 90]
    assert instants([scheduled(at=10, every=30)], 100) == [10, 40, 70, 100]
    assert instants([scheduled(at=0)], 0) == [0]


def test_several_come_in_order() -> None:
    late, early = scheduled(at=50), scheduled(at=20, every=40)
    timeline = Timeline([late, early], 1)
    assert timeline.next_due == 20
    assert timeline.take(19.9) == []
    assert timeline.take(60) == [early, late, early]
    assert timeline.take(60) == []
    assert timeline.next_due == 100


def test_nothing_is_left_of_what_happens_once() -> None:
    timeline = Timeline([scheduled(at=1)], 1)
    assert timeline.take(5) == [scheduled(at=1)]
    assert timeline.next_due is None
    assert Timeline([], 1).next_due is None


def happens(probability: float, seed: int, occurrences: int = 200) -> list[int]:
    """Which of some occurrences happen."""
    timeline = Timeline([scheduled(every=1, probability=probability)], seed)
    return [n for n in range(1, occurrences + 1) if timeline.take(n)]


def test_the_seed_draws_the_evening() -> None:
    assert happens(0.5, seed=1) == happens(0.5, seed=1)
    assert happens(0.5, seed=1) != happens(0.5, seed=2)
    assert happens(0.0, seed=1) == []
    assert len(happens(1.0, seed=1)) == 200
    assert 60 < len(happens(0.5, seed=1)) < 140


def test_a_fault_does_not_change_the_luck_of_the_others() -> None:
    often = scheduled(every=1, probability=0.5)
    alone = Timeline([often], 1)
    together = Timeline([often, scheduled(every=0.7, probability=0.3)], 1)
    for now in range(1, 50):
        assert alone.take(now) == [fault for fault in together.take(now) if fault is often]


@given(
    st.lists(
        st.tuples(st.none() | st.floats(0, 50), st.floats(1, 20), st.floats(0, 1)),
        min_size=1,
        max_size=5,
    ),
    st.lists(st.floats(0, 100), min_size=1, max_size=10),
)
def test_how_often_somebody_looks_does_not_matter(
    lines: list[tuple[float | None, float, float]], looks: list[float]
) -> None:
    faults = [scheduled(at=at, every=every, probability=p) for at, every, p in lines]
    often, once = Timeline(faults, 3), Timeline(faults, 3)
    taken = [fault for look in sorted(looks) for fault in often.take(look)]
    assert taken == once.take(max(looks))
    assert often.next_due == once.next_due


def test_a_fault_needs_a_time() -> None:
    with pytest.raises(ValueError, match="needs 'at' or 'every'"):
        scheduled()
