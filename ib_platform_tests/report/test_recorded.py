"""What the page draws as recorded is what the report counts as covered, on open dates too."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.report.day import ContractPage, DatePage
from ib_platform.report.page import render
from ib_platform.report.read import read_date
from ib_platform.warehouse.compact import build_open_date
from ib_platform_tests.report.example import DAY

OPEN = datetime(2026, 11, 17, 23, tzinfo=UTC)
NOW = OPEN + timedelta(hours=3, seconds=30)
"""Just after the newest frame."""


@pytest.fixture(scope="module")
def closed_day(client: Any) -> DatePage:
    return read_date(client, DAY)


@pytest.fixture(scope="module")
def open_day(client: Any, config: PlatformConfig, closed_day: DatePage) -> DatePage:
    """As it was while it was open. After ``closed_day``, whose rows it replaces."""
    build_open_date(client, config, DAY, now=NOW)
    return read_date(client, DAY)


def recorded_seconds(contract: ContractPage) -> float:
    """In the open market: only there something is expected."""
    (phase,) = [phase for phase in contract.phases if phase.what == "open"]
    return sum(
        max(0.0, (min(s.end, phase.end) - max(s.begin, phase.begin)).total_seconds())
        for s in contract.recorded
    )


def test_as_much_is_recorded_as_the_report_covers(closed_day: DatePage) -> None:
    cl, es, nq = closed_day.contracts
    for contract in (cl, es, nq):
        covered = contract.report["covered_seconds"]
        assert recorded_seconds(contract) == pytest.approx(covered, abs=0.001)
    assert recorded_seconds(es) > recorded_seconds(cl) > 0 == recorded_seconds(nq)
    assert len(cl.recorded) > 1, "its hole is not recorded"
    assert all(gap.begin >= s.end or gap.end <= s.begin for gap in cl.gaps for s in cl.recorded)


def test_an_open_date_is_recorded_until_its_newest_frame(open_day: DatePage) -> None:
    assert open_day.preliminary
    assert "<strong>Preliminary.</strong>" in render(open_day)
    for contract in open_day.contracts:
        assert all(stretch.end <= NOW for stretch in contract.recorded)
        assert contract.phases[-1].end > NOW + timedelta(hours=12)
    es = open_day.contracts[1]
    assert recorded_seconds(es) == pytest.approx(es.report["covered_seconds"], abs=0.001)
