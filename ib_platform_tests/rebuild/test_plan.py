"""The plan, without a warehouse."""

from __future__ import annotations

from datetime import date

import pytest

from ib_platform.errors import SelectionError
from ib_platform.rebuild.plan import Step, plan_rebuild
from ib_platform.warehouse.due import Standing, Why, difference

A, B, C, OPEN = (date(2026, 11, day) for day in (16, 17, 18, 19))
STANDINGS = [
    Standing(A, Why.CURRENT),
    Standing(B, Why.RECORD_CHANGED, "frames +1"),
    Standing(C, Why.NEVER_BUILT),
]


def test_what_is_current_stays_unless_forced() -> None:
    assert plan_rebuild(STANDINGS, None, None, OPEN) == [
        Step(A, None, "current"),
        Step(B, "record changed: frames +1"),
        Step(C, "never built"),
    ]
    assert plan_rebuild(STANDINGS, A, A, OPEN, force=True) == [Step(A, "forced")]


def test_the_ends_belong_to_the_span() -> None:
    assert [one.trade_date for one in plan_rebuild(STANDINGS, B, C, OPEN)] == [B, C]
    assert [one.trade_date for one in plan_rebuild(STANDINGS, None, A, OPEN)] == [A]


@pytest.mark.parametrize("force", [False, True])
def test_what_has_lost_its_record_is_never_built(force: bool) -> None:
    lost = [Standing(A, Why.RULES_CHANGED, "x -> y", record_dropped=A)]
    (step,) = plan_rebuild(lost, None, None, OPEN, force=force)
    assert (step.because, step.kept) == (None, "retention has dropped the record of 2026-11-16")


def test_the_open_date_is_refused_with_the_reason() -> None:
    with pytest.raises(SelectionError, match="2026-11-19 is open, its bars are refreshed"):
        plan_rebuild(STANDINGS, A, OPEN, OPEN)


def test_nothing_recorded_is_said() -> None:
    with pytest.raises(SelectionError, match="nothing is recorded yet"):
        plan_rebuild([], None, None, OPEN)
    with pytest.raises(SelectionError, match="there are 3, 2026-11-16 to 2026-11-18"):
        plan_rebuild(STANDINGS, date(2026, 1, 5), date(2026, 1, 9), OPEN)


def test_a_difference_of_records_in_words() -> None:
    before = frozenset({("r", "frames", 10, 9), ("r", "ladder_frames", 5, 9)})
    after = frozenset({("r", "frames", 12, 11), ("r", "ladder_frames/v2", 5, 9)})
    assert difference(before, after) == "frames +2, ladder_frames -5, ladder_frames/v2 +5"
    moved = frozenset({("r", "frames", 10, 8), ("r", "ladder_frames", 5, 9)})
    assert difference(before, moved) == "frames differ"
