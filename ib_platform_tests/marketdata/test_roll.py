"""The roll rules: front is never past its roll day, and never goes back."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.contracts import ContractKey, FutureMonth, choose_month
from ib_platform.marketdata.roll import latest_roll, roll_by_volume

FIRST, LAST = date(2026, 1, 1), date(2028, 1, 1)
FRONT, NEXT = ContractKey("X", "E", "front"), ContractKey("X", "E", "next")
MONTHS = (
    FutureMonth("X", 1, date(2026, 11, 20)),
    FutureMonth("X", 2, date(2026, 12, 18), date(2026, 12, 17)),
    FutureMonth("X", 3, date(2027, 1, 20)),
)
listings = st.lists(st.dates(FIRST, LAST), min_size=1, max_size=8, unique=True).map(
    lambda days: tuple(FutureMonth("X", n, day) for n, day in enumerate(sorted(days)))
)
todays = st.lists(st.dates(FIRST, LAST), min_size=1, max_size=20).map(sorted)
volumes = st.dictionaries(st.integers(0, 7), st.integers(0, 1000))


def front(months: tuple[FutureMonth, ...], today: date, front_from: date) -> FutureMonth | None:
    try:
        return choose_month(FRONT, {"X": months}, today, front_from)
    except ConfigurationError:
        return None


@pytest.mark.parametrize(
    ("today", "days", "conid"),
    [
        (date(2026, 11, 20), 0, 1),
        (date(2026, 11, 23), 0, 2),
        (date(2026, 11, 13), 7, 1),
        (date(2026, 11, 16), 7, 2),
        (date(2026, 12, 10), 7, 2),
        (date(2026, 12, 11), 7, 3),
    ],
)
def test_the_calendar_rolls_some_days_before_the_last_trade(
    today: date, days: int, conid: int
) -> None:
    chosen = front(MONTHS, today, latest_roll(today, days))
    assert chosen is not None
    assert chosen.conid == conid


@pytest.mark.parametrize(
    ("traded", "front_from"),
    [
        ({1: 100, 2: 99}, date(2026, 11, 2)),
        ({1: 100, 2: 100}, date(2026, 11, 2)),
        ({1: 100, 2: 101}, date(2026, 12, 17)),
        ({1: 100, 2: 101, 3: 102}, date(2027, 1, 20)),
        ({1: 0, 2: 1, 3: 0}, date(2026, 12, 17)),
        ({2: 101}, date(2026, 11, 2)),
        ({1: 100}, date(2026, 11, 2)),
        ({}, date(2026, 11, 2)),
    ],
)
def test_the_next_month_comes_when_it_traded_more_and_what_is_unknown_decides_nothing(
    traded: dict[int, int], front_from: date
) -> None:
    assert roll_by_volume(MONTHS, traded, date(2026, 11, 2)) == front_from


def test_next_is_the_one_after_whatever_front_means() -> None:
    rolled = roll_by_volume(MONTHS, {1: 1, 2: 2}, date(2026, 11, 2))
    assert choose_month(NEXT, {"X": MONTHS}, date(2026, 11, 2), rolled).conid == 3


@given(months=listings, days=todays, before=st.integers(0, 90))
def test_front_is_never_past_its_roll_day_and_never_goes_back(
    months: tuple[FutureMonth, ...], days: list[date], before: int
) -> None:
    last = FIRST
    for today in days:
        chosen = front(months, today, latest_roll(today, before))
        rest = [m for m in months if (m.last_day - today).days >= before]
        assert chosen == (rest[0] if rest else None)
        if chosen is not None:
            assert chosen.last_day >= last
            last = chosen.last_day


@given(
    months=listings,
    days=todays,
    before=st.integers(0, 90),
    traded=st.lists(volumes, min_size=20, max_size=20),
)
def test_whatever_the_volumes_front_never_goes_back_and_rolls_in_time(
    months: tuple[FutureMonth, ...],
    days: list[date],
    before: int,
    traded: list[dict[int, int]],
) -> None:
    decided = last = FIRST
    for today, known in zip(days, traded, strict=False):
        decided = roll_by_volume(months, known, max(latest_roll(today, before), decided))
        chosen = front(months, today, decided)
        if chosen is None:
            continue
        assert chosen.last_day >= today + timedelta(days=before)
        assert chosen.last_day >= last
        last = chosen.last_day
        following = next((m for m in months if m.last_day > chosen.last_day), None)
        if following and chosen.conid in known and following.conid in known:
            assert known[following.conid] <= known[chosen.conid]
