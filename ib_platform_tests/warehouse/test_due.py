"""Why closed dates have to be built: one look at the warehouse, date by date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.warehouse.compact import finalize, thresholds_of
from ib_platform.warehouse.due import (
    Standing,
    Why,
    closed_dates,
    dates_needing_revision,
    recorded_inputs,
    standings,
)
from ib_platform.warehouse.spans import to_ns
from ib_platform.warehouse.sql import inputs_version
from ib_platform_tests.warehouse.recording import SECOND, Recorder, full

MONDAY, TUESDAY, WEDNESDAY = (date(2026, 11, day) for day in (16, 17, 18))
THURSDAY_NOON = datetime(2026, 11, 19, 18, tzinfo=UTC)
HOUR = 3600 * SECOND


def noon(day: date) -> int:
    return to_ns(datetime(day.year, day.month, day.day, 18, tzinfo=UTC))


@pytest.fixture
def recorder(client: Any) -> Recorder:
    """Two frames on each of four dates, the last of them open, stored."""
    recorder = Recorder("run-a")
    for day in range(16, 20):
        for hours in (0, 1):
            recorder.ladder(noon(date(2026, 11, day)) + hours * HOUR - 2 * HOUR, 1, full())
    recorder.insert(client)
    return recorder


def reasons(client: Any, config: PlatformConfig, first: date | None = None) -> list[Standing]:
    return standings(client, THURSDAY_NOON, inputs_version(thresholds_of(config)), first)


def test_each_date_has_its_reason(client: Any, config: PlatformConfig, recorder: Recorder) -> None:
    assert closed_dates(client, THURSDAY_NOON) == {MONDAY, TUESDAY, WEDNESDAY}
    assert [one.why for one in reasons(client, config)] == [Why.NEVER_BUILT] * 3
    for day in (MONDAY, TUESDAY):
        finalize(client, config, day, now=THURSDAY_NOON)
    late = Recorder("run-late", "beta")
    late.ladder(noon(TUESDAY), 2, full())
    late.insert(client)
    assert reasons(client, config) == [
        Standing(MONDAY, Why.CURRENT),
        Standing(TUESDAY, Why.RECORD_CHANGED, "frames +1, ladder_frames +1"),
        Standing(WEDNESDAY, Why.NEVER_BUILT),
    ]
    # Before the first date that is asked for changes of the record are not looked for.
    assert [one.why for one in reasons(client, config, WEDNESDAY)][1] is Why.CURRENT
    assert dates_needing_revision(client, THURSDAY_NOON) == [TUESDAY, WEDNESDAY]
    assert dates_needing_revision(client, THURSDAY_NOON, look_back_days=1) == [WEDNESDAY]


def test_other_rules_are_told_with_both_versions_and_make_nothing_due(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        finalize(client, config, day, now=THURSDAY_NOON)
    silent = config.limits.model_copy(update={"silent_after": 7.0})
    other = config.model_copy(update={"limits": silent})
    before, after = (inputs_version(thresholds_of(one)) for one in (config, other))
    assert [(one.why, one.detail) for one in reasons(client, other)] == [
        (Why.RULES_CHANGED, f"{before} -> {after}")
    ] * 3
    assert dates_needing_revision(client, THURSDAY_NOON) == []
    # Both changed: the record is the stronger reason, and the one that makes it due.
    client.insert("frames", [(*row[:6], 99, *row[7:]) for row in recorder.frames[:1]])
    assert [one.why for one in reasons(client, other)][0] is Why.RECORD_CHANGED
    assert dates_needing_revision(client, THURSDAY_NOON) == [MONDAY]


def test_dates_that_lost_their_record_say_so(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    finalize(client, config, MONDAY, now=THURSDAY_NOON)
    client.command("ALTER TABLE frames DROP PARTITION '2026-11-16'")
    client.insert("dropped_partitions", [("frames", MONDAY, "f", 2, 1, 1, "0", THURSDAY_NOON)])
    found = reasons(client, config)
    # The build of a later date would read back to Monday.
    assert {one.record_dropped for one in found} == {MONDAY}
    assert [one.why for one in found] == [Why.NEVER_BUILT, Why.NEVER_BUILT]
    assert dates_needing_revision(client, THURSDAY_NOON) == []


def test_an_empty_warehouse_has_no_dates(client: Any, config: PlatformConfig) -> None:
    assert reasons(client, config) == []
    assert dates_needing_revision(client, THURSDAY_NOON) == []


def test_inputs_are_counted_by_run_and_kind(client: Any, recorder: Recorder) -> None:
    client.insert("ladder_frames", recorder.ladders)
    found = recorded_inputs(client, MONDAY, MONDAY + timedelta(days=1))
    assert found == {
        MONDAY: {("run-a", "frames", 2, 1), ("run-a", "ladder_frames", 2, 1)},
        TUESDAY: {("run-a", "frames", 2, 3), ("run-a", "ladder_frames", 2, 3)},
    }
