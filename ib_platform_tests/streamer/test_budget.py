"""The budget of a spool: counted between two looks at the disk, and never too low."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ib_platform.states import SpoolFill
from ib_platform.streamer.budget import Budget

SIZES = st.integers(0, 500)


@given(st.lists(st.tuples(SIZES, SIZES, SIZES), max_size=20))
def test_what_is_used_is_never_less_than_what_is_there(
    rounds: list[tuple[int, int, int]],
) -> None:
    """Each round: bytes before a measuring, bytes while it runs, bytes that loading has freed."""
    budget, there = Budget(10_000), 0
    for before, meanwhile, freed in rounds:
        budget.took(before)
        there += before
        assert budget.used >= there
        there -= min(there, freed)
        written = budget.written
        seen = there + meanwhile // 2
        budget.took(meanwhile)
        there += meanwhile
        budget.measured(seen, written)
        assert budget.used >= there
        assert budget.used - there <= meanwhile
    budget.measured(there, budget.written)
    assert budget.used == there


def test_an_alarm_comes_at_eighty_percent_and_the_end_at_the_limit() -> None:
    budget = Budget(1000)
    fills = []
    for _ in range(10):
        budget.took(100)
        fills.append(budget.fill)
    assert fills == [SpoolFill.WELL] * 7 + [SpoolFill.ALARM] * 2 + [SpoolFill.SPENT]
    assert not budget.may_take(1)
    budget.measured(0, budget.written)
    assert budget.may_take(1000)
    assert not budget.may_take(1001)
