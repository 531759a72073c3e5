"""The schedule of the chaos test: the same for the same seed, long enough, and of every kind."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest

from ib_platform_tests.faults.chaos.schedule import (
    NEEDS_A_SMALL_DISK,
    OF_CLICKHOUSE,
    SHORT,
    Kind,
    Plan,
    long_plan,
    make_schedule,
)

LONG = long_plan(14)


@pytest.mark.parametrize("plan", [SHORT, LONG], ids=["short", "long"])
def test_a_seed_names_one_schedule(plan: Plan) -> None:
    assert make_schedule(7, plan) == make_schedule(7, plan)
    assert make_schedule(7, plan) != make_schedule(8, plan)


@pytest.mark.parametrize("seed", range(20))
def test_a_long_one_has_200_faults_and_every_kind(seed: int) -> None:
    schedule = make_schedule(seed, LONG)
    counts = Counter(fault.kind for fault in schedule)
    assert len(schedule) >= 200
    assert set(counts) == set(Kind)
    assert counts[Kind.STREAMER_KILLED] >= 5
    assert sorted(fault.number for fault in schedule) == list(range(len(schedule)))


@pytest.mark.parametrize("seed", range(20))
def test_a_short_one_has_every_kind(seed: int) -> None:
    assert {fault.kind for fault in make_schedule(seed, SHORT)} == set(Kind)


def test_without_a_small_disk_it_is_never_full() -> None:
    kinds = tuple(kind for kind in Kind if kind not in NEEDS_A_SMALL_DISK)
    schedule = make_schedule(7, Plan(600, 200, 30, kinds))
    assert {fault.kind for fault in schedule} == set(kinds)


@pytest.mark.parametrize("seed", range(20))
def test_faults_lie_in_their_time_and_never_two_in_one_place(seed: int) -> None:
    schedule = make_schedule(seed, LONG)
    assert all(0 <= fault.at < LONG.seconds + 60 for fault in schedule)
    assert [fault.at for fault in schedule] == sorted(fault.at for fault in schedule)
    streamer = {Kind.STREAMER_KILLED, Kind.STREAMER_STOPPED, Kind.SPOOL_TRUNCATED}
    for place in (OF_CLICKHOUSE, streamer, NEEDS_A_SMALL_DISK):
        there = [fault for fault in schedule if fault.kind in place]
        assert all(a.at + a.seconds <= b.at for a, b in pairwise(there))


def test_a_long_stop_takes_half_a_minute_and_the_others_their_own_time() -> None:
    for fault in make_schedule(3, LONG):
        if fault.kind is Kind.STREAMER_STOPPED:
            assert fault.seconds == 30
        elif fault.kind is Kind.SPOOL_TRUNCATED:
            assert all(0 <= float(share) < 1 for share in fault.parameters.values())
        elif fault.kind is Kind.CLOCK_STEP:
            assert 1 <= abs(float(fault.parameters["offset"])) <= 100
        elif fault.kind is Kind.GIANT_FRAME:
            assert 0 < int(fault.parameters["bytes"]) <= 16 * 1024**2
