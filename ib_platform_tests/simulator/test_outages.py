"""Planned outages as a function of the wall clock, over DST and weekends."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ib_platform.simulator.outages import Outage, OutageParameters, Outages

NEW_YORK = ZoneInfo("America/New_York")


def at(year: int, month: int, day: int, *clock: int) -> float:
    return datetime(year, month, day, *clock, tzinfo=NEW_YORK).timestamp()


def outages(**changes: Any) -> Outages:
    return Outages(OutageParameters(**({"nightly": True, "weekend": True} | changes)))


def test_none_unless_wanted() -> None:
    quiet = Outages(OutageParameters())
    assert quiet.at(at(2026, 11, 23, 0, 1)) is None
    assert quiet.at(at(2026, 11, 21, 19)) is None
    assert not quiet.began_between(at(2026, 11, 1), at(2026, 12, 1))


@pytest.mark.parametrize("day", [23, 24, 27])
def test_the_nightly_reset_lasts_its_time(day: int) -> None:
    midnight = at(2026, 11, day)
    assert outages().at(midnight - 1) is None
    assert outages().at(midnight) is Outage.NIGHTLY
    assert outages().at(midnight + 299) is Outage.NIGHTLY
    assert outages().at(midnight + 300) is None


def test_the_weekend_is_saturday_evening() -> None:
    evening = at(2026, 11, 21, 18)
    assert outages().at(evening - 1) is None
    assert outages().at(evening) is Outage.WEEKEND
    assert outages().at(evening + 3 * 3600 - 1) is Outage.WEEKEND
    assert outages().at(evening + 3 * 3600) is None
    assert outages().at(evening + 86_400) is None, "Sunday evening is a market evening"


def test_the_weekend_counts_more_than_the_night() -> None:
    long = outages(weekend_seconds=12 * 3600.0)
    assert long.at(at(2026, 11, 22, 0, 1)) is Outage.WEEKEND


@pytest.mark.parametrize(("year", "month", "day"), [(2026, 3, 8), (2026, 11, 1)])
def test_local_hours_over_a_change_of_clocks(year: int, month: int, day: int) -> None:
    for shift in (-1, 0, 1):
        local = datetime(year, month, day, 1, tzinfo=NEW_YORK) + timedelta(days=shift)
        found = outages(nightly_at=time(1, 0)).at(local.timestamp())
        assert found is Outage.NIGHTLY


def test_begun_between_excludes_the_past_and_includes_the_present() -> None:
    midnight = at(2026, 11, 23)
    assert outages().began_between(midnight - 1, midnight) == {Outage.NIGHTLY}
    assert not outages().began_between(midnight, midnight + 60)
    both = outages().began_between(at(2026, 11, 21, 12), at(2026, 11, 22, 12))
    assert both == {Outage.NIGHTLY, Outage.WEEKEND}


@given(st.integers(0, 14 * 24 * 60))
def test_an_outage_has_begun_before_it_is_there(minute: int) -> None:
    now = at(2026, 11, 1) + minute * 60
    found = outages().at(now)
    length = {Outage.NIGHTLY: 300.0, Outage.WEEKEND: 3 * 3600.0}
    if found is not None:
        assert found in outages().began_between(now - length[found], now)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "", "../etc/passwd", "/etc/passwd"])
def test_an_unknown_zone_is_refused_where_it_is_written(zone: str) -> None:
    with pytest.raises(ValidationError, match="is no IANA time zone"):
        OutageParameters(zone=zone)


@pytest.mark.parametrize("status", [200, 404, 600])
def test_an_outage_answers_an_error_of_the_server(status: int) -> None:
    with pytest.raises(ValidationError, match="status"):
        OutageParameters(status=status)


@pytest.mark.parametrize("day", [8, 9, 10])
def test_midnight_ends_the_logins_of_the_day_before(day: int) -> None:
    strict = outages(midnight_ends_login=True)
    midnight = at(2026, 3, day)
    assert not strict.ends_login(midnight - 60, midnight - 1)
    assert strict.ends_login(midnight - 60, midnight)
    assert not strict.ends_login(midnight, midnight + 3_600), "a login after it is a new one"
    assert not outages().ends_login(midnight - 60, midnight + 86_400)
