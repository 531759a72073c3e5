"""The verdict of the trade date that a bar carries is that of the report of the same build."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.warehouse.compact import build_open_date, finalize
from ib_platform.warehouse.report import verdicts_by_conid
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

DAY = date(2026, 11, 18)
BEGIN = to_ns(datetime(2026, 11, 17, 22, 30, tzinfo=UTC))
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
AFTER = datetime(2026, 11, 30, tzinfo=UTC)
CL, ES = "CL.NYMEX.front", "ES.CME.front"


def verdicts(client: Any, table: str) -> dict[int, set[str]]:
    rows = client.query(f"SELECT conid, verdict FROM {table} WHERE conid IS NOT NULL").result_rows
    found: dict[int, set[str]] = {}
    for conid, verdict in rows:
        found.setdefault(conid, set()).add(verdict)
    return found


def test_bars_say_what_the_report_says(client: Any, config: PlatformConfig) -> None:
    steady, late = Recorder("steady"), Recorder("late", paper_user="beta")
    for at in range(BEGIN, BEGIN + 86_400 * SECOND, 25 * SECOND):
        steady.ladder(at, 1, full())
    late.ladder(NOON, 2, full())
    for recorder in (steady, late):
        recorder.insert(client)
    assign(client, [(CL, "alpha", 1), (ES, "beta", 2)], BEGIN - 3600 * SECOND)
    build_open_date(client, config, DAY, now=datetime(2026, 11, 18, 22, 29, tzinfo=UTC))
    assert verdicts(client, "bars") == {1: {"pending"}, 2: {"pending"}}
    assert verdicts(client, "quality_report") == {1: {"available"}, 2: {"degraded"}}
    finalize(client, config, DAY, now=AFTER)
    assert verdicts(client, "bars") == verdicts(client, "quality_report")
    assert verdicts(client, "continuous_bars") == {}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["available"], "available"),
        (["degraded", "available"], "degraded"),
        (["available", "missing"], "missing"),
    ],
)
def test_of_several_keys_of_one_contract_the_worst_counts(words: list[str], expected: str) -> None:
    rows = [{"conid": 7, "verdict": word, "preliminary": False} for word in words]
    unresolved = {"conid": None, "verdict": "missing", "preliminary": False}
    assert verdicts_by_conid([*rows, unresolved]) == {7: expected}
    assert verdicts_by_conid([{**row, "preliminary": True} for row in rows]) == {7: "pending"}
