"""Simulated weeks around the change of the clocks, a holiday, an early close and three rolls."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.rolls import plan_of_record
from ib_platform_tests.warehouse.checks.scenes import broken, checks_of
from ib_platform_tests.warehouse.month import CALENDARS, open_seconds, store, stretches, weekdays
from ib_platform_tests.warehouse.recording import trade_date

AFTER = datetime(2027, 4, 12, tzinfo=UTC)
GOOD_FRIDAY = date(2027, 3, 26)
KEYS = {"ES": "ES.CME.front", "CL": "CL.NYMEX.front"}
EARLY_CLOSE = date(2027, 2, 15)
WEEK = [EARLY_CLOSE, date(2027, 3, 12), date(2027, 3, 15), date(2027, 3, 25), GOOD_FRIDAY]
"""Presidents' Day, both sides of the Sunday on which America's clocks change, and the holiday."""
MONTH = weekdays(date(2027, 2, 12), date(2027, 3, 31))
"""From before Presidents' Day until after Europe's clocks have changed too."""


@pytest.mark.parametrize(
    "days", [WEEK, pytest.param(MONTH, marks=pytest.mark.long)], ids=["week", "month"]
)
def test_no_false_alarm(client: Any, config: PlatformConfig, days: list[date]) -> None:
    recorded = []
    for number, stretch in enumerate(stretches(days), 1):
        store(client, number, stretch)
        recorded.append(stretch)
    states = [state for stretch in recorded for state in stretch.recorder.states]
    assert {trade_date(state.at) for state in states} == set(days) - {GOOD_FRIDAY}
    for day in days:
        finalize(client, config, day, now=AFTER)
    found = alarms(client, days)
    assert found == {}, str(found)
    report = {
        (row["trade_date"], row["contract"]): row
        for row in client.query("SELECT * FROM quality_report").named_results()
    }
    for day in days:
        for symbol, key in KEYS.items():
            row, expected = report[day, key], open_seconds(symbol, day)
            assert row["expected_seconds"] == pytest.approx(expected, abs=1), (day, key)
            if expected:
                assert row["coverage"] > 0.999, (day, key)
                assert row["verdict"] == "available", (day, key, row["reasons"])
            else:
                assert row["coverage"] is None
    assert open_seconds("CL", GOOD_FRIDAY) == open_seconds("ES", GOOD_FRIDAY) == 0
    assert open_seconds("CL", EARLY_CLOSE) == 20.5 * 3600, "17:00 to 13:30 in Chicago"
    assert open_seconds("ES", EARLY_CLOSE) == 19 * 3600, "17:00 to 12:00"
    begins = {trade_date_span(day)[0].hour for day in days}
    assert begins == {21, 22}, "in UTC, the border moves with Chicago's clocks"
    rolls = [row for row in plan_of_record(client, config, AFTER).rows if row.from_conid]
    assert {(row.product, row.roll_date) for row in rolls} == {
        ("ES.CME", date(2027, 3, 22)),
        ("CL.NYMEX", date(2027, 2, 23)),
        ("CL.NYMEX", date(2027, 3, 23)),
    }


def alarms(client: Any, days: list[date]) -> dict[tuple[date, str], dict[str, str]]:
    """What warns or fails, by date and symbol."""
    found = {}
    for day in days:
        checks = checks_of(client, day)
        for symbol in CALENDARS:
            if said := broken(checks[KEYS[symbol]]):
                found[day, symbol] = {
                    code: checks[KEYS[symbol]][code]["explanation"] for code in said
                }
    return found
