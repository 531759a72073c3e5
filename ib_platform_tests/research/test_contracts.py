"""Contract keys by trade date: the rule of the builds, and legs that cover every date once."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.errors import SelectionError
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.research.contracts import Contracts, Resolution
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.research.conftest import CL, TUESDAY, WEDNESDAY, Recorded
from ib_platform_tests.support import PATIENT

MONDAY = date(2026, 11, 2)
END = to_ns(trade_date_span(MONDAY)[1])
HOUR = 3_600_000_000_000
DAYS = [MONDAY + timedelta(days=n) for n in range(19) if (MONDAY + timedelta(days=n)).weekday() < 5]
RESOLUTIONS = st.lists(
    st.builds(Resolution, st.integers(1, 3), st.integers(-9, 500).map(lambda h: END + h * HOUR)),
    min_size=1,
    max_size=6,
).map(lambda found: sorted(found, key=lambda r: (r.resolved_at, r.conid)))


def contracts(resolutions: list[Resolution]) -> Contracts:
    return Contracts((CL, resolution) for resolution in resolutions)


@PATIENT
@given(RESOLUTIONS, st.sampled_from(DAYS))
def test_what_is_resolved_later_changes_no_date(resolutions: list[Resolution], day: date) -> None:
    end = to_ns(trade_date_span(day)[1])
    early = [r for r in resolutions if r.resolved_at < end] or resolutions[:1]
    found = contracts(resolutions).find(CL).conid_on(day)
    assert found == contracts(early).find(CL).conid_on(day) == early[-1].conid


def test_the_newest_before_the_end_of_the_date_counts() -> None:
    named = contracts([Resolution(1, END - 2), Resolution(2, END - 1), Resolution(3, END)]).find(CL)
    assert named.conid_on(MONDAY) == 2
    assert named.conid_on(MONDAY + timedelta(days=1)) == 3
    assert named.conids == [1, 2, 3]


def test_before_the_first_one_the_first_counts() -> None:
    assert contracts([Resolution(7, END + 900 * HOUR)]).find(CL).conid_on(MONDAY) == 7


def test_a_conid_is_itself_on_every_date() -> None:
    known = contracts([Resolution(7, END)])
    for name in (7, "7", "conid.7", "007"):
        named = known.find(name)
        assert (named.name, named.key, named.conid_on(MONDAY)) == ("conid.7", None, 7)


def test_many_contracts_are_not_all_told() -> None:
    known = Contracts((f"P{n:02}.CME.front", Resolution(n, 0)) for n in range(30))
    with pytest.raises(SelectionError, match=r"P19\.CME\.front \(conid 19\) and 10 more$"):
        known.find("X.CME.front")


def test_it_is_the_rule_of_the_builds(recorded: Recorded) -> None:
    with closing(connect(recorded.settings)) as client:
        named = Contracts.read(client).find(CL)
        built = dict(
            client.query(
                "SELECT trade_date, conid FROM quality_report WHERE contract = {key:String}",
                {"key": CL},
            ).result_rows
        )
    assert built[TUESDAY] != built[WEDNESDAY]
    assert {day: named.conid_on(day) for day in built} == built
