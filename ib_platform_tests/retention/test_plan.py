"""The pure plan: what is due, what is kept and why."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.retention.plan import (
    TABLES,
    Partition,
    Step,
    due_partitions,
    plan_retention,
)

TODAY = date(2027, 1, 15)
FIRST, SECOND, THIRD = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)


def part(table: str, day: date, rows: int = 10) -> Partition:
    return Partition(table, day, rows, rows * 100)


def kept(steps: list[Step]) -> dict[tuple[str, date], str]:
    return {
        (step.partition.table, step.partition.trade_date): step.kept_because
        for step in steps
        if step.kept_because is not None
    }


@pytest.mark.parametrize(("days", "due"), [(59, True), (60, False), (61, False), (30, True)])
def test_a_partition_is_due_when_it_is_older_than_its_tables_age(days: int, due: bool) -> None:
    assert (TODAY - FIRST).days == 60
    assert bool(due_partitions([part("bars", FIRST)], {"bars": days}, TODAY)) is due


def test_a_table_without_an_age_and_an_empty_partition_are_never_due() -> None:
    stored = [part("bars", FIRST), part("depth", FIRST, rows=0)]
    assert due_partitions(stored, {"depth": 30}, TODAY) == []


def test_the_oldest_date_comes_first_and_the_truth_last() -> None:
    stored = [part(table, day) for day in (SECOND, FIRST) for table in reversed(TABLES)]
    due = due_partitions(stored, dict.fromkeys(TABLES, 30), TODAY)
    assert due == [part(table, day) for day in (FIRST, SECOND) for table in TABLES]


def test_a_refused_date_is_kept_in_every_table() -> None:
    due = [part("depth", FIRST), part("frames", FIRST), part("depth", SECOND)]
    found = kept(plan_retention(due, due, {FIRST: "it has no final build"}, []))
    assert found == {
        ("depth", FIRST): "it has no final build",
        ("frames", FIRST): "it has no final build",
    }


def test_what_a_build_reads_stays_while_a_later_date_is_unfinished() -> None:
    due = [part(table, FIRST) for table in TABLES]
    found = kept(plan_retention(due, due, {}, [THIRD]))
    words = "2026-11-18 reads back to it, and is not final"
    assert found == {("ladder_frames", FIRST): words, ("frames", FIRST): words}


@pytest.mark.parametrize(
    ("unfinished", "is_kept"),
    [(FIRST + timedelta(7), True), (FIRST + timedelta(8), False), (FIRST - timedelta(1), False)],
)
def test_a_build_reads_back_for_a_week(unfinished: date, is_kept: bool) -> None:
    due = [part("ladder_frames", FIRST)]
    assert bool(kept(plan_retention(due, due, {}, [unfinished]))) is is_kept


def test_frames_go_oldest_first() -> None:
    due = [part("frames", day) for day in (FIRST, SECOND, THIRD)]
    found = kept(plan_retention(due, due, {SECOND: "why"}, []))
    assert found == {
        ("frames", SECOND): "why",
        ("frames", THIRD): "frames go oldest first, and those of 2026-11-17 are kept",
    }


def test_frames_behind_older_ones_that_are_not_due_are_kept() -> None:
    due = [part("frames", SECOND)]
    found = kept(plan_retention(due, [part("frames", FIRST), *due], {}, []))
    assert list(found) == [("frames", SECOND)]


days = st.integers(0, 20).map(lambda n: FIRST + timedelta(days=n))
partitions = st.lists(
    st.builds(part, st.sampled_from(TABLES), days, st.integers(0, 3)),
    max_size=25,
    unique_by=lambda one: (one.table, one.trade_date),
)


@given(
    stored=partitions,
    ages=st.dictionaries(st.sampled_from(TABLES), st.integers(30, 70)),
    refused=st.dictionaries(days, st.just("why"), max_size=5),
    unfinished=st.lists(days, max_size=5),
)
def test_whatever_is_stored_only_what_may_go_goes(
    stored: list[Partition], ages: dict[str, int], refused: dict[date, str], unfinished: list[date]
) -> None:
    due = due_partitions(stored, ages, TODAY)
    steps = plan_retention(due, stored, refused, unfinished)
    assert [step.partition for step in steps] == due
    gone = [step.partition for step in steps if step.kept_because is None]
    for one in gone:
        assert (TODAY - one.trade_date).days > ages[one.table]
        assert one.trade_date not in refused
    left = [one for one in stored if one.rows and one not in gone and one.table == "frames"]
    oldest = min((one.trade_date for one in left), default=date.max)
    assert all(one.trade_date < oldest for one in gone if one.table == "frames")
    for one in gone:
        if one.table in ("frames", "ladder_frames"):
            assert not [d for d in unfinished if 0 < (d - one.trade_date).days <= 7]
