"""Rolls of continuous series: by hand, and as ``front`` is resolved on each trade date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import ConfigurationError
from ib_platform.marketdata.continuous import (
    PlannedRoll,
    Resolution,
    Rule,
    next_trade_date,
    plan_rolls,
)
from ib_platform.marketdata.contracts import ContractKey, FutureMonth, choose_month
from ib_platform.marketdata.roll import latest_roll

FRONT = ContractKey("ES", "CME", "front")
SEPTEMBER = FutureMonth("ES", 1, date(2026, 9, 18))
DECEMBER = FutureMonth("ES", 2, date(2026, 12, 18), date(2026, 12, 17))
MARCH = FutureMonth("ES", 3, date(2027, 3, 19))
LATER = date(2027, 6, 1)


def told(word: str, contract: FutureMonth, day: date, hour: int = 0) -> Resolution:
    at = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
    return Resolution(word, contract, day, at)


def in_brief(rolls: list[PlannedRoll]) -> list[tuple[date, int | None, int]]:
    return [
        (roll.roll_date, roll.previous and roll.previous.conid, roll.contract.conid)
        for roll in rolls
    ]


RECORDED = [
    told("front", SEPTEMBER, date(2026, 8, 3)),
    told("next", DECEMBER, date(2026, 8, 3)),
    told("front", DECEMBER, date(2026, 9, 21)),
    told("next", MARCH, date(2026, 9, 21)),
]


@pytest.mark.parametrize(
    ("days", "first", "second"),
    [
        # A Friday and a Thursday are the last trading days.
        (0, date(2026, 9, 21), date(2026, 12, 18)),
        (1, date(2026, 9, 18), date(2026, 12, 17)),
        (4, date(2026, 9, 15), date(2026, 12, 14)),
        # 12 September is a Saturday: Monday is the first trade date behind it.
        (6, date(2026, 9, 14), date(2026, 12, 14)),
    ],
)
def test_two_rolls_by_the_calendar(days: int, first: date, second: date) -> None:
    rolls = plan_rolls(RECORDED, "last_trade", days, LATER)
    assert in_brief(rolls) == [(date(2026, 8, 3), None, 1), (first, 1, 2), (second, 2, 3)]
    assert {roll.rule for roll in rolls} == {"last_trade"}


def test_the_reasons_are_words() -> None:
    begins, first, _ = plan_rolls(RECORDED, "last_trade", 0, LATER)
    assert begins.reason.startswith("the series begins")
    assert first.reason == "ES 2026-09 has traded for the last time on 2026-09-18"
    _, earlier, _ = plan_rolls(RECORDED, "last_trade", 6, LATER)
    assert earlier.reason == "ES 2026-09 trades until 2026-09-18, and fewer than 6 days are left"


def test_what_lies_ahead_is_not_planned_yet() -> None:
    on_the_day = plan_rolls(RECORDED, "last_trade", 0, date(2026, 9, 21))
    before = plan_rolls(RECORDED, "last_trade", 0, date(2026, 9, 18))
    assert (len(on_the_day), len(before)) == (2, 1)


def test_no_resolution_no_rolls() -> None:
    assert plan_rolls([], "last_trade", 0, LATER) == []
    assert plan_rolls([], "volume", 0, LATER) == []


def test_a_contract_that_the_rule_has_left_already_is_never_in_the_series() -> None:
    late = [
        told("front", SEPTEMBER, date(2026, 9, 16)),
        told("next", DECEMBER, date(2026, 9, 16)),
    ]
    assert in_brief(plan_rolls(late, "last_trade", 5, LATER)) == [(date(2026, 9, 16), None, 2)]


def test_named_months_make_a_series_only_where_nothing_else_does() -> None:
    far = told("2027-06", FutureMonth("ES", 9, date(2027, 6, 18)), date(2026, 8, 3))
    with_front = plan_rolls([*RECORDED[:1], far], "last_trade", 0, LATER)
    assert in_brief(with_front) == [(date(2026, 8, 3), None, 1)], "9 is not the month after 1"
    named = [told("2026-09", SEPTEMBER, date(2026, 8, 3)), far]
    assert in_brief(plan_rolls(named, "last_trade", 0, LATER)) == [
        (date(2026, 8, 3), None, 1),
        (date(2026, 9, 21), 1, 9),
    ]


def test_by_volume_the_series_follows_what_front_meant() -> None:
    record = [
        told("front", SEPTEMBER, date(2026, 9, 8)),
        told("next", DECEMBER, date(2026, 9, 8)),
        told("front", SEPTEMBER, date(2026, 9, 9), hour=1),
        told("front", DECEMBER, date(2026, 9, 9), hour=2),
        told("front", MARCH, date(2026, 12, 10)),
    ]
    rolls = plan_rolls(record, "volume", 0, LATER)
    assert in_brief(rolls) == [
        (date(2026, 9, 8), None, 1),
        (date(2026, 9, 9), 1, 2),
        (date(2026, 12, 10), 2, 3),
    ]
    assert {roll.rule for roll in rolls} == {"volume"}
    assert "it had traded more than ES 2026-09" in rolls[1].reason


def test_by_volume_a_series_never_goes_back() -> None:
    record = [
        told("front", SEPTEMBER, date(2026, 9, 8)),
        told("front", DECEMBER, date(2026, 9, 9)),
        told("front", SEPTEMBER, date(2026, 9, 10)),
        told("front", DECEMBER, date(2026, 9, 11)),
    ]
    assert in_brief(plan_rolls(record, "volume", 0, LATER)) == [
        (date(2026, 9, 8), None, 1),
        (date(2026, 9, 9), 1, 2),
    ]


def test_by_volume_without_front_the_calendar_decides_and_says_so() -> None:
    record = [told("next", DECEMBER, date(2026, 8, 3)), told("next", MARCH, date(2026, 9, 21))]
    rolls = plan_rolls(record, "volume", 0, LATER)
    assert in_brief(rolls) == [(date(2026, 8, 3), None, 2), (date(2026, 12, 18), 2, 3)]
    assert [(r.rule, "front was not recorded" in r.reason) for r in rolls] == [
        ("last_trade", True),
        ("last_trade", True),
    ]


def test_the_last_word_on_a_contract_counts() -> None:
    postponed = FutureMonth("ES", 1, date(2026, 9, 18), date(2026, 9, 24))
    record = [*RECORDED, told("front", postponed, date(2026, 9, 2))]
    _, second, _ = plan_rolls(record, "last_trade", 0, LATER)
    assert second.roll_date == date(2026, 9, 25)


@pytest.mark.parametrize(("day", "following"), [(13, 16), (14, 16), (15, 16), (16, 17)])
def test_the_next_trade_date(day: int, following: int) -> None:
    assert next_trade_date(date(2026, 11, day)) == date(2026, 11, following)


BEGIN = date(2026, 1, 5)
listings = st.lists(st.dates(BEGIN, date(2027, 12, 31)), min_size=1, max_size=8, unique=True).map(
    lambda days: [FutureMonth("ES", n, day) for n, day in enumerate(sorted(days), start=1)]
)


@given(months=listings, before=st.integers(0, 30), day=st.integers(0, 700))
def test_on_every_trade_date_the_series_is_what_front_means(
    months: list[FutureMonth], before: int, day: int
) -> None:
    """The twin: the streamer's own way to a month, asked on that date alone."""
    today = BEGIN + timedelta(days=day)
    if today.weekday() > 4:
        today = next_trade_date(today)
    record = [told("front", month, BEGIN) for month in months]
    rolls = plan_rolls(record, "last_trade", before, today)
    try:
        front = choose_month(FRONT, {"ES": months}, today, latest_roll(today, before))
    except ConfigurationError:
        # Nothing trades any more: a series does not end, it has no bars there.
        assert not rolls or (rolls[-1].contract.last_day - today).days < before
        return
    assert rolls[-1].contract == front


@given(
    months=listings,
    before=st.integers(0, 30),
    fronts=st.lists(st.tuples(st.integers(0, 7), st.integers(0, 600)), max_size=20),
    rule=st.sampled_from(["last_trade", "volume"]),
)
def test_a_series_goes_forward_on_trade_dates_through_each_contract_once(
    months: list[FutureMonth], before: int, fronts: list[tuple[int, int]], rule: Rule
) -> None:
    record = [
        told("front", months[number % len(months)], next_trade_date(BEGIN + timedelta(days=day)))
        for number, day in fronts
    ]
    rolls = plan_rolls(record, rule, before, LATER)
    dates = [roll.roll_date for roll in rolls]
    ends = [roll.contract.last_day for roll in rolls]
    assert dates == sorted(set(dates))
    assert ends == sorted(set(ends))
    assert all(day.weekday() <= 4 for day in dates)
    chained = [None, *(roll.contract for roll in rolls)]
    assert [roll.previous for roll in rolls] == chained[:-1]
