"""Closed dates that are built anew from another record are marked; and one build at a time."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from ib_platform.config import PlatformConfig
from ib_platform.errors import PlatformInUseError
from ib_platform.warehouse.build import staged
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.date_lock import date_lock
from ib_platform.warehouse.revision import read_revision
from ib_platform.warehouse.spans import to_ns
from ib_platform_tests.warehouse.recording import SECOND, Recorder, full

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
EVENING = datetime(2026, 11, 18, 22, 40, tzinfo=UTC)
LATER = EVENING + timedelta(days=1)


def marks(client: Any) -> tuple[Any, Any]:
    """``revised_at`` of the report and of the build, in ms."""
    (report,), (build,) = (
        client.query(f"SELECT toUnixTimestamp64Milli(revised_at) FROM {table}").result_rows
        for table in ("quality_report", "(SELECT * FROM builds WHERE run_id = '')")
    )
    return report[0], build[0]


def test_a_date_is_revised_when_its_record_changed_and_stays_so(
    client: Any, config: PlatformConfig
) -> None:
    recorder = Recorder("run-a")
    recorder.ladder(NOON, 1, full())
    recorder.insert(client)
    assert finalize(client, config, DAY, now=EVENING).revised_at is None
    assert marks(client) == (None, None)
    recorder.ladder(NOON + 5 * SECOND, 1, full(r9=-3, r11=3))
    client.insert("frames", recorder.frames[-1:])
    client.insert("ladder_frames", recorder.ladders[-1:])
    assert finalize(client, config, DAY, now=LATER).revised_at == LATER
    revised = to_ns(LATER) // 1_000_000
    assert marks(client) == (revised, revised)
    finalize(client, config, DAY, now=LATER + timedelta(days=1))
    assert marks(client) == (revised, revised), "the same record: the mark is kept"


def test_rows_of_a_later_decoder_are_another_record(client: Any, config: PlatformConfig) -> None:
    recorder = Recorder("run-a")
    recorder.ladder(NOON, 1, full())
    recorder.insert(client)
    before = read_revision(client, DAY, 1).inputs
    client.insert("ladder_frames", [(*row[:-1], 2) for row in recorder.ladders])
    after = read_revision(client, DAY, 1).inputs
    assert before - after == {("run-a", "ladder_frames", 1, 0)}
    assert after - before == {("run-a", "ladder_frames/v2", 1, 0)}


def test_a_date_is_built_by_one_process_at_a_time(config: PlatformConfig) -> None:
    with date_lock(config, DAY):
        with (
            pytest.raises(PlatformInUseError, match="2026-11-18 is being built"),
            date_lock(config, DAY, timeout=0),
        ):
            pass
        with date_lock(config, DAY + timedelta(days=1), timeout=0):
            pass
    with date_lock(config, DAY, timeout=0):
        pass


def test_of_two_builds_without_a_common_lock_only_the_later_one_publishes(client: Any) -> None:
    with staged(client, DAY, ["bars"], {}) as earlier:
        with staged(client, DAY + timedelta(days=1), ["bars"], {}) as other:
            assert other.count("bars") == earlier.count("bars") == 0
        with staged(client, DAY, ["bars"], {}) as later:
            with pytest.raises(Exception, match="UNKNOWN_TABLE"):
                earlier.publish()
            assert later.publish() == {"bars": 0}
