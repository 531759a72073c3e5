"""Expected outages, across midnight, weekdays and the change to summer time."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ib_platform.config_gateway import ExpectedOutage, SessionPolicy
from ib_platform.ibkr.outages import outage_until

NEW_YORK = ZoneInfo("America/New_York")
NIGHTLY, SATURDAY = SessionPolicy().expected_outages


def _new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK)


@pytest.mark.parametrize(
    ("instant", "end"),
    [
        ("2026-11-25T23:44:59", None),
        ("2026-11-25T23:45:00", "2026-11-26T01:45:00"),
        ("2026-11-26T01:44:59", "2026-11-26T01:45:00"),
        ("2026-11-26T01:45:00", None),
        ("2026-11-28T17:59:00", None),
        ("2026-11-28T18:00:00", "2026-11-29T02:00:00"),
        # Both hold: the one that ends last counts.
        ("2026-11-28T23:50:00", "2026-11-29T02:00:00"),
        ("2026-11-29T18:00:00", None),
    ],
)
def test_the_default_outages(instant: str, end: str | None) -> None:
    found = outage_until((NIGHTLY, SATURDAY), _new_york(instant))
    assert found == (None if end is None else _new_york(end).astimezone(UTC))


def test_minutes_are_elapsed_minutes_when_the_clocks_change() -> None:
    """2026-11-01, 02:00: New York's clocks go back by an hour."""
    begin = _new_york("2026-10-31T23:45:00")
    end = outage_until((NIGHTLY,), begin)
    assert end is not None
    assert (end - begin.astimezone(UTC)).total_seconds() == 120 * 60


def test_without_outages_none_is_expected() -> None:
    assert outage_until((), datetime(2026, 11, 25, tzinfo=UTC)) is None


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)), st.integers(1, 1440))
def test_the_end_lies_ahead_and_within_the_length(instant: datetime, minutes: int) -> None:
    outage = ExpectedOutage(begin=time(22, 30), minutes=minutes, timezone="Europe/Zurich")
    at = instant.replace(tzinfo=UTC)
    end = outage_until((outage,), at)
    if end is not None:
        assert 0 < (end - at).total_seconds() <= minutes * 60


@pytest.mark.parametrize("begin", ["23:45", 1425, "23:45:00"])
def test_yaml_s_ways_to_write_a_time_are_understood(begin: object) -> None:
    assert ExpectedOutage(begin=begin, minutes=5).begin == time(23, 45)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"begin": "noon", "minutes": 5}, "looks like 23:45"),
        ({"begin": 1440, "minutes": 5}, "looks like 23:45"),
        ({"begin": "23:45", "minutes": 0}, "minutes"),
        ({"begin": "23:45", "minutes": 5, "timezone": "Newyork"}, "IANA"),
        ({"begin": "23:45", "minutes": 5, "days": ["someday"]}, "days"),
    ],
)
def test_other_settings_are_refused(fields: dict[str, object], word: str) -> None:
    with pytest.raises(ValidationError, match=word):
        ExpectedOutage.model_validate(fields)
