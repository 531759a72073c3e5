"""Phases of the simulated market, against dates of CME's published calendars."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.marketdata.sessions import CHICAGO, CalendarName
from ib_platform.simulator.hours import HoursParameters, MarketHours, Spell, easter, full_closures

GLOBEX = HoursParameters(calendar=CalendarName.CME_GLOBEX)
INSTANTS = st.datetimes(
    datetime(2024, 1, 1), datetime(2032, 12, 31), timezones=st.just(UTC), allow_imaginary=False
)
PATTERNS = st.sampled_from(
    [
        HoursParameters(),
        HoursParameters(holidays=(date(2026, 7, 3), date(2026, 7, 6))),
        GLOBEX,
        HoursParameters(
            calendar=CalendarName.CME_GLOBEX,
            early_closes={date(2026, 11, 26): time(12), date(2026, 11, 27): time(12, 15)},
            late_openings={date(2026, 11, 24): time(19)},
        ),
    ]
)


def chicago(day: int, hour: int, minute: int = 0, *, month: int = 11) -> datetime:
    """An instant of 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=CHICAGO)


@pytest.mark.parametrize(
    ("at", "phase"),
    [
        (chicago(22, 15, 59), "closed"),  # Sunday
        (chicago(22, 16), "pre_open"),
        (chicago(22, 17), "open"),
        (chicago(23, 15, 59), "open"),
        (chicago(23, 16), "maintenance"),
        (chicago(23, 16, 44), "maintenance"),
        (chicago(23, 16, 45), "pre_open"),
        (chicago(23, 17), "open"),
        (chicago(27, 15, 59), "open"),  # Friday
        (chicago(27, 16), "closed"),
        (chicago(28, 12), "closed"),
        (chicago(24, 15, 59, month=12), "open"),
        (chicago(24, 16, month=12), "closed"),
        (chicago(24, 17, month=12), "holiday"),
        (chicago(25, 12, month=12), "holiday"),
        (chicago(27, 17, month=12), "open"),
        (chicago(3, 12, month=4), "holiday"),  # Good Friday
        (chicago(2, 12, month=4), "open"),
    ],
)
def test_a_week_of_globex_and_its_holidays(at: datetime, phase: str) -> None:
    assert MarketHours(GLOBEX).phase(at) == phase


def test_always_open_rests_on_named_holidays_only() -> None:
    always = MarketHours()
    assert all(
        always.is_open(chicago(day, hour, month=12)) for day in range(20, 31) for hour in range(24)
    )
    named = MarketHours(HoursParameters(holidays=(date(2026, 12, 29),)))
    assert named.phase(chicago(29, 12, month=12)) is MarketPhase.HOLIDAY
    assert named.phase(chicago(29, 16, month=12)) is MarketPhase.PRE_OPEN
    assert named.is_open(chicago(29, 16, 30, month=12)), "the border of the trade date"


def test_early_closes_and_late_openings() -> None:
    hours = MarketHours(
        HoursParameters(
            calendar=CalendarName.CME_GLOBEX,
            early_closes={date(2026, 11, 26): time(12)},
            late_openings={date(2026, 11, 25): time(19)},
        )
    )
    assert hours.phase(chicago(24, 18, 30)) is MarketPhase.PRE_OPEN
    assert hours.phase(chicago(24, 17, 30)) is MarketPhase.CLOSED, "longer than the daily break"
    assert hours.is_open(chicago(24, 19))
    assert hours.is_open(chicago(26, 11, 59))
    assert hours.phase(chicago(26, 12)) is MarketPhase.CLOSED
    assert hours.is_open(chicago(26, 17)), "the next trade date begins as always"


@given(PATTERNS, INSTANTS)
def test_spells_follow_each_other_without_gap(parameters: HoursParameters, at: datetime) -> None:
    hours = MarketHours(parameters)
    spells = [hours.spell(at)]
    assert spells[0].begin <= at < spells[0].end
    while len(spells) < 12:
        spells.append(hours.spell(spells[-1].end))
    assert all(before.end == after.begin for before, after in pairwise(spells))
    assert all(spell.begin < spell.end for spell in spells)


@given(PATTERNS, INSTANTS, st.floats(0, 1))
def test_a_spell_has_one_phase_whoever_asks(
    parameters: HoursParameters, at: datetime, part: float
) -> None:
    spell = MarketHours(parameters).spell(at)
    inside = spell.begin + (spell.end - spell.begin) * part
    if spell.begin <= inside < spell.end:
        assert MarketHours(parameters).spell(inside) == spell


@given(PATTERNS, INSTANTS, st.integers(1, 12))
def test_trading_days_agree_with_the_phases(
    parameters: HoursParameters, around: datetime, count: int
) -> None:
    hours = MarketHours(parameters)
    days = hours.trading_days(around, count)
    assert len(days) == count
    assert all(before.date < after.date for before, after in pairwise(days))
    for day in days:
        assert day.date.weekday() <= 4
        assert (day.extended is None) == hours.is_holiday(day.date)
        if day.extended is None:
            assert day.liquid is None
            continue
        begin, end = day.extended
        assert hours.is_open(begin)
        assert hours.is_open(end - timedelta(microseconds=1))
        if day.liquid is not None:
            assert begin <= day.liquid[0] < day.liquid[1] == end


def test_a_trading_day_of_winter_and_of_summer_in_utc() -> None:
    winter, summer = (
        MarketHours(GLOBEX).trading_days(chicago(day, 12, month=month), 1)[0]
        for day, month in ((24, 11), (14, 7))
    )
    assert winter.extended == (
        datetime(2026, 11, 23, 23, tzinfo=UTC),
        datetime(2026, 11, 24, 22, tzinfo=UTC),
    )
    assert summer.extended == (
        datetime(2026, 7, 13, 22, tzinfo=UTC),
        datetime(2026, 7, 14, 21, tzinfo=UTC),
    )
    assert summer.liquid == (
        datetime(2026, 7, 14, 13, 30, tzinfo=UTC),
        datetime(2026, 7, 14, 21, tzinfo=UTC),
    )


def test_easter_of_known_years() -> None:
    known = {2000: (4, 23), 2008: (3, 23), 2011: (4, 24), 2019: (4, 21), 2024: (3, 31)}
    known |= {2025: (4, 20), 2026: (4, 5), 2027: (3, 28), 2038: (4, 25), 1954: (4, 18)}
    assert {year: (easter(year).month, easter(year).day) for year in known} == known


@pytest.mark.parametrize(
    ("year", "days"),
    [
        (2021, {(1, 1), (4, 2), (12, 24)}),  # Christmas on a Saturday: closed on Friday
        (2022, {(4, 15), (12, 26)}),  # New Year on a Saturday: not kept
        (2023, {(1, 2), (4, 7), (12, 25)}),
        (2026, {(1, 1), (4, 3), (12, 25)}),
    ],
)
def test_full_closures_as_the_exchange_had_them(year: int, days: set[tuple[int, int]]) -> None:
    assert {(day.month, day.day) for day in full_closures(year)} == days


@given(INSTANTS, st.floats(-1e9, 1e9))
def test_borders_on_a_monotonic_clock_never_stand_still(at: datetime, now: float) -> None:
    """Whoever asks again at the end of a phase gets the next one."""
    hours, offset = MarketHours(GLOBEX), at.timestamp() - now
    for _ in range(20):
        _, end = hours.phase_until(now, offset)
        assert end > now
        now = end


def test_naive_instants_and_nonsense_are_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        MarketHours(GLOBEX).phase(datetime(2026, 11, 22))
    with pytest.raises(ValidationError, match="calendar"):
        HoursParameters(calendar="lunar")  # type: ignore[arg-type]
    with pytest.raises(ValidationError, match="pre_open"):
        HoursParameters(pre_open=-1)


def test_a_spell_reads_as_what_it_is() -> None:
    spell = MarketHours(GLOBEX).spell(chicago(23, 16, 10))
    assert spell == Spell(MarketPhase.MAINTENANCE, chicago(23, 16), chicago(23, 16, 45))
