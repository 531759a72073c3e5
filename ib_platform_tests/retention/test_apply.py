"""Retention on a real warehouse: what goes, what stays and why, and runs that died in between."""

from __future__ import annotations

import fcntl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyarrow.parquet import read_table

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.errors import ConfigurationError, PlatformInUseError, WarehouseError
from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.retention import app
from ib_platform.retention.app import Done, apply, look
from ib_platform.retention.drop import (
    drop,
    drop_moved,
    fingerprint,
    move_out,
    note,
)
from ib_platform.retention.export import export
from ib_platform.retention.plan import TABLES
from ib_platform.states import StreamEventKind
from ib_platform.verify.app import verify_span
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.due import dates_needing_revision
from ib_platform.warehouse.spans import Span, to_ns
from ib_platform_tests.retention.recorded import (
    DATES,
    FINISHED,
    FIRST,
    LAST,
    MIDDLE,
    NOW,
    config_of,
    content,
    count,
    record,
)
from ib_platform_tests.warehouse.recording import SECOND

WITH_ROWS = [table for table in TABLES if table != "quote_frames"]


def reasons(config: PlatformConfig, now: datetime = NOW) -> dict[tuple[str, str], str | None]:
    """Why each due partition is kept; None: it would go."""
    return {
        (step.partition.table, str(step.partition.trade_date)): step.kept_because
        for step in look(config, now).steps
    }


def run(config: PlatformConfig, now: datetime = NOW) -> list[Done]:
    return [done for done in apply(config, now) if isinstance(done, Done)]


def test_all_that_is_old_is_exported_and_dropped(
    finished: Any, config: PlatformConfig, tmp_path: Path
) -> None:
    rows = {(table, day): count(finished, table, day) for table in WITH_ROWS for day in DATES}
    done = run(config)
    assert [(one.step.partition.table, one.step.partition.trade_date) for one in done] == [
        (table, day) for day in DATES for table in WITH_ROWS
    ]
    assert [one.kept_because for one in done] == [None] * 12
    for (table, day), number in rows.items():
        assert count(finished, table, day) == 0
        assert read_table(tmp_path / "export" / table / f"{day}.parquet").num_rows == number
    noted = finished.query(
        "SELECT table_name, trade_date, rows, file, file_sha256 FROM dropped_partitions"
    ).result_rows
    assert {(table, day): number for table, day, number, *_ in noted} == rows
    exports = [one.export for one in done if one.export is not None]
    assert {row[3:] for row in noted} == {(str(e.file), e.sha256) for e in exports}
    for table in ("quality_report", "gaps", "builds", "stream_events", "spells"):
        assert count(finished, table) > 0, "small tables stay"
    assert run(config) == []


def test_looking_changes_nothing(finished: Any, config: PlatformConfig, tmp_path: Path) -> None:
    before = {table: content(finished, table) for table in WITH_ROWS}
    assert set(reasons(config).values()) == {None}
    assert {table: content(finished, table) for table in WITH_ROWS} == before
    assert not (tmp_path / "export").exists()


def test_only_tables_with_an_age_and_dates_beyond_it(
    finished: Any, warehouse: ClickHouse, tmp_path: Path
) -> None:
    ages = {"frames": None, "ladder_frames": None, "depth": 61, "bars": None, "quote_frames": None}
    config = config_of(warehouse, tmp_path, **ages)
    assert list(reasons(config)) == [("depth", str(FIRST)), ("depth", str(MIDDLE))]
    run(config)
    assert [count(finished, "depth", day) > 0 for day in DATES] == [False, False, True]
    assert count(finished, "frames", FIRST) > 0


def test_a_date_that_was_never_finalized_is_kept(finished: Any, config: PlatformConfig) -> None:
    finished.command("ALTER TABLE builds DROP PARTITION '2026-11-17'")
    found = reasons(config)
    assert found["depth", str(FIRST)] is None
    assert found["frames", str(FIRST)] == "2026-11-17 reads back to it, and is not final"
    assert {found[table, str(MIDDLE)] for table in WITH_ROWS} == {"it has no final build"}
    assert found["ladder_frames", str(LAST)] is None
    assert found["frames", str(LAST)] == "frames go oldest first, and those of 2026-11-16 are kept"
    run(config)
    assert [count(finished, "bars", day) > 0 for day in DATES] == [False, True, False]
    assert [count(finished, "frames", day) > 0 for day in DATES] == [True, True, True]


def test_a_record_that_changed_since_its_build_is_kept(
    finished: Any, config: PlatformConfig
) -> None:
    record(finished, [LAST], run_id="run-late")
    found = reasons(config)
    assert {found[table, str(LAST)] for table in WITH_ROWS} == {
        "its record has changed since its last build"
    }
    assert found["frames", str(MIDDLE)] == "2026-11-18 reads back to it, and is not final"
    finalize(finished, config, LAST, now=FINISHED)
    assert set(reasons(config).values()) == {None}


def test_a_date_that_does_not_verify_is_kept(finished: Any, config: PlatformConfig) -> None:
    """A frame is missing; the build knows it, and nobody says why."""
    finished.command("ALTER TABLE frames DELETE WHERE seq = 80", settings={"mutations_sync": 1})
    finalize(finished, config, MIDDLE, now=FINISHED)
    found = reasons(config)
    assert found["bars", str(MIDDLE)] == "verify is not clean: run run: not stored: seq 80"
    assert found["frames", str(MIDDLE)] == found["bars", str(MIDDLE)]
    assert found["frames", str(FIRST)] is None
    run(config)
    assert count(finished, "depth", MIDDLE) > 0
    assert count(finished, "frames", FIRST) == 0


def test_what_comes_for_a_date_after_it_was_dropped_is_kept(
    finished: Any, config: PlatformConfig
) -> None:
    run(config)
    record(finished, [MIDDLE], run_id="run-late")
    found = reasons(config)
    words = "rows came to frames, ladder_frames after they were dropped"
    assert found == {
        ("ladder_frames", str(MIDDLE)): words,
        ("frames", str(MIDDLE)): words,
    }
    run(config)
    assert count(finished, "frames", MIDDLE) > 0


def test_bars_may_go_later_than_their_record(
    finished: Any, warehouse: ClickHouse, tmp_path: Path
) -> None:
    run(config_of(warehouse, tmp_path, bars=None, depth=None))
    assert count(finished, "bars", FIRST) > 0
    later = config_of(warehouse, tmp_path)
    assert set(reasons(later)) == {(t, str(d)) for t in ("bars", "depth") for d in DATES}
    assert {one.kept_because for one in run(later)} == {None}


def test_a_run_whose_end_was_told_later_does_not_hold_dates_back(
    finished: Any, config: PlatformConfig
) -> None:
    """Which dates it concerns is read from frames: they look otherwise once those are dropped."""
    finished.command(
        "ALTER TABLE stream_events DELETE WHERE kind = 'run_stopped'",
        settings={"mutations_sync": 1},
    )
    at = to_ns(trade_date_span(LAST)[1]) - SECOND
    finished.insert(
        "stream_events",
        [[LAST, at, "alpha", "run-next", 0, StreamEventKind.RUN_RECOVERED.value, 0,
          '{"run_id": "run", "next_seq": 72}']],
        ["trade_date", "at", "paper_user", "run_id", "event_no", "kind", "after_seq", "detail"],
    )  # fmt: skip
    for day in DATES:
        finalize(finished, config, day, now=FINISHED)
    for _ in DATES:
        for step in look(config, NOW).steps:
            assert step.kept_because is None, step
        next(apply(config, NOW))
    assert {one.kept_because for one in run(config)} == {None}
    assert count(finished, "frames") == 0


def test_no_build_replaces_rows_by_what_is_left_of_the_record(
    finished: Any, warehouse: ClickHouse, tmp_path: Path
) -> None:
    config = config_of(warehouse, tmp_path, depth=None, bars=None)
    run(config, NOW - timedelta(days=2))
    assert [count(finished, "frames", day) for day in DATES[:1]] == [0]
    bars = content(finished, "bars")
    for day in DATES:
        with pytest.raises(WarehouseError, match=f"{day} cannot be built: retention has dropped"):
            finalize(finished, config, day, now=FINISHED)
    assert content(finished, "bars") == bars
    finished.command("ALTER TABLE builds DROP PARTITION '2026-11-18'")
    due = dates_needing_revision(finished, FINISHED)
    assert not {*DATES} & {*due}


def test_what_is_left_still_verifies(finished: Any, warehouse: ClickHouse, tmp_path: Path) -> None:
    config = config_of(warehouse, tmp_path, frames=61)
    run(config)
    assert [count(finished, "frames", day) > 0 for day in DATES] == [False, False, True]
    for day in DATES:
        begin, end = trade_date_span(day)
        assert verify_span(config, Span(to_ns(begin), to_ns(end))).unexplained == []


@pytest.mark.parametrize("table", ["frames", "bars"])
def test_killed_after_the_partition_was_moved_out(
    finished: Any, config: PlatformConfig, table: str
) -> None:
    rows = count(finished, table, FIRST)
    move_out(finished, table, FIRST)
    assert look(config, NOW).unfinished == [table]
    first, *rest = apply(config, NOW)
    assert first == f"{table} of 2026-11-16 was moved out and not noted: put back"
    noted = finished.query(
        "SELECT rows FROM dropped_partitions "
        "WHERE table_name = {t:String} AND trade_date = {d:Date}",
        {"t": table, "d": FIRST},
    ).result_rows
    assert noted == [(rows,)]
    assert len(rest) == 12
    assert look(config, NOW).unfinished == []


def test_killed_after_it_was_noted(finished: Any, config: PlatformConfig, tmp_path: Path) -> None:
    found = fingerprint(finished, "frames", FIRST)
    exported = export(finished, "frames", FIRST, tmp_path / "export")
    move_out(finished, "frames", FIRST)
    note(finished, "frames", FIRST, exported, found, FINISHED)
    first, *rest = apply(config, NOW)
    assert first == "frames of 2026-11-16 was exported and noted before: dropped now"
    assert len(rest) == 11
    assert count(finished, "frames") == 0
    assert count(finished, "dropped_partitions") == 12


def test_killed_after_the_export(finished: Any, config: PlatformConfig, tmp_path: Path) -> None:
    exported = export(finished, "bars", FIRST, tmp_path / "export")
    done = run(config)
    assert done[0].export == exported


def test_rows_that_come_between_export_and_drop_are_not_lost(finished: Any, tmp_path: Path) -> None:
    found = fingerprint(finished, "frames", FIRST)
    exported = export(finished, "frames", FIRST, tmp_path)
    record(finished, [FIRST], run_id="run-late")
    before = content(finished, "frames")
    assert not drop(finished, "frames", FIRST, exported, found, FINISHED)
    assert content(finished, "frames") == before
    assert count(finished, "dropped_partitions") == 0


def test_rows_that_come_while_the_partition_is_out_stay(finished: Any) -> None:
    rows = count(finished, "frames", FIRST)
    move_out(finished, "frames", FIRST)
    record(finished, [FIRST], run_id="run-late")
    drop_moved(finished, "frames")
    assert 0 < count(finished, "frames", FIRST) < rows + 1


def test_a_changed_value_has_another_fingerprint(finished: Any) -> None:
    before = fingerprint(finished, "depth", FIRST)
    finished.command(
        "ALTER TABLE depth UPDATE ask_size = 8 WHERE seq = 3", settings={"mutations_sync": 1}
    )
    after = fingerprint(finished, "depth", FIRST)
    assert (after.rows, after.content != before.content) == (before.rows, True)


def test_two_at_once(config: PlatformConfig, warehouse: ClickHouse, tmp_path: Path) -> None:
    (tmp_path / "export").mkdir()
    with (tmp_path / "export" / ".retention.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(PlatformInUseError, match="another .* is at work"):
            run(config)
    assert run(config) == []


def test_without_a_folder_nothing_is_dropped(warehouse: ClickHouse, tmp_path: Path) -> None:
    off = config_of(warehouse, tmp_path).model_copy(update={"retention": app_off()})
    with pytest.raises(ConfigurationError, match="export_folder is not set"):
        run(off)


def app_off() -> Any:
    from ib_platform.config import Retention

    return Retention()


def test_the_clock_is_that_of_the_trade_date(finished: Any, config: PlatformConfig) -> None:
    """17:00 in Chicago belongs to the next trade date."""
    thirty_one = datetime(2026, 12, 17, 22, tzinfo=UTC)
    assert set(reasons(config, thirty_one)) == {(t, str(FIRST)) for t in WITH_ROWS}
    assert {day for _, day in reasons(config, thirty_one + timedelta(hours=1))} == {
        str(FIRST),
        str(MIDDLE),
    }
    assert app.TABLES == TABLES
