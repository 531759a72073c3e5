"""Until when an open date is judged: never further than what its spells were read from."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from ib_platform.warehouse.evidence import Evidence, Run, Spell
from ib_platform.warehouse.horizon import DateSpan, data_known_until
from ib_platform.warehouse.inputs import Surroundings
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.spans import SECOND

SPAN = DateSpan(date(2026, 11, 23), 0, 86_400 * SECOND, is_open=True)
MINE = Run("alpha", "alpha-1", 10 * SECOND, 100 * SECOND)
OTHER = Run("beta", "beta-1", 10 * SECOND, 105 * SECOND)
SPELL = Spell(7, "alpha", "alpha-1", 1, 11 * SECOND, 99 * SECOND, 99 * SECOND, "run_end", None)


def until(
    span: DateSpan, runs: list[Run], spells: list[Spell], mute: list[Run] | None = None
) -> int:
    around = Surroundings(runs, [*runs, *(mute or [])], {}, [], [], [], [], [], [], {}, {})
    evidence = Evidence("alpha", spells, [], runs, [], 30 * SECOND)
    return data_known_until(evidence, span, around, Thresholds()) // SECOND


def test_frames_that_came_between_two_queries_are_no_gap() -> None:
    assert until(SPAN, [MINE, OTHER], [SPELL]) == 99, "the spell was read before the run"


def test_a_live_run_whose_ladder_ended_is_known_until_its_last_frame() -> None:
    ended = replace(SPELL, ended_by="disconnected", cause="disconnected")
    assert until(SPAN, [MINE, OTHER], [ended]) == 100
    assert until(SPAN, [MINE, OTHER], []) == 100


def test_pods_that_are_stopped_together_miss_nothing() -> None:
    """A demo's summary once had a gap of 9 ms: the other pod was stopped that much later."""
    assert until(SPAN, [replace(MINE, stopped=True), OTHER], [SPELL]) == 99


@pytest.mark.parametrize(
    ("stopped", "last", "known"),
    [
        (True, 100, 99),
        (False, 100, 100),
        # It gave the contract away, and was stopped much later.
        (True, 110, 110),
    ],
)
def test_what_comes_behind_the_goodbye_is_not_missed(stopped: bool, last: int, known: int) -> None:
    ended = replace(SPELL, ended_by="unsubscribed")
    run = replace(MINE, stopped=stopped, last_at=last * SECOND)
    assert until(SPAN, [run], [ended]) == known


@pytest.mark.parametrize("stopped", [True, False])
def test_a_run_that_ended_or_fell_silent_is_missed_until_the_newest_frame(stopped: bool) -> None:
    run = replace(MINE, last_at=60 * SECOND, stopped=stopped)
    assert until(SPAN, [run, OTHER], [SPELL]) == 105


def test_a_closed_date_is_judged_to_its_end_and_an_empty_one_not_at_all() -> None:
    assert until(replace(SPAN, is_open=False), [MINE], [SPELL]) == 86_400
    assert until(SPAN, [], []) == 0


def test_a_run_without_a_frame_is_missed_until_its_last_word() -> None:
    mute = Run("alpha", "alpha-2", 110 * SECOND, 130 * SECOND)
    assert until(SPAN, [], [], [mute]) == 130
    assert until(SPAN, [MINE, OTHER], [SPELL], [mute]) == 130
    assert until(SPAN, [OTHER], [], [replace(mute, last_at=50 * SECOND)]) == 105
    assert until(SPAN, [OTHER], [], [replace(mute, paper_user="beta")]) == 105
