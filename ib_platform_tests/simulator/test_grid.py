"""Points at equal distances: none drifts, late ones are skipped."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.grid import Grid


def test_the_points_come_one_after_the_other() -> None:
    grid, passed = Grid(10.0, 0.5), []
    for step in range(1000, 1300):
        if grid.is_due(step / 100):
            passed.append(grid.move_on(step / 100))
    assert passed == [10.0, 10.5, 11.0, 11.5, 12.0, 12.5]


def test_who_comes_late_skips_points_and_does_not_shift_them() -> None:
    grid = Grid(10.0, 10.0)
    assert grid.move_on(47.0) == 40.0
    assert grid.due == 50.0


def test_a_point_that_is_still_to_come_stays() -> None:
    grid = Grid(10.0, 1.0)
    assert not grid.is_due(9.9)
    assert grid.move_on(9.9) == 10.0
    assert grid.due == 10.0


def test_without_a_distance_every_instant_is_a_point() -> None:
    grid = Grid(10.0, 0.0)
    assert [grid.move_on(now) for now in (10.0, 10.1, 12.0)] == [10.0, 10.1, 12.0]


@given(
    st.floats(0, 1e6),
    st.floats(1e-3, 100),
    st.lists(st.floats(0, 1000), min_size=1, max_size=50),
)
def test_no_drift_over_any_sequence_of_visits(
    first: float, every: float, pauses: list[float]
) -> None:
    grid, now = Grid(first, every), first
    for pause in pauses:
        now += pause
        if not grid.is_due(now):
            continue
        passed = grid.move_on(now)
        assert passed <= now < grid.due
        assert grid.due - now <= every * 1.001 + 1e-6
        steps = (grid.due - first) / every
        assert steps == pytest.approx(round(steps), abs=1e-3)
