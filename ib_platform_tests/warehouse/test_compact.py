"""Builds: repeatable, atomic for readers, and due again when the record has changed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import PlatformConfig, dump_config, load_config
from ib_platform.errors import WarehouseError
from ib_platform.warehouse import build as build_module
from ib_platform.warehouse.build import Build, drop_leftovers
from ib_platform.warehouse.compact import (
    build_open_date,
    finalize,
    thresholds_of,
)
from ib_platform.warehouse.due import dates_needing_revision
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.spans import to_ns
from ib_platform.warehouse.sql import BUILD_QUERIES, inputs_version, query
from ib_platform_tests.warehouse.recording import SECOND, Recorder, assign, full

DAY = date(2026, 11, 18)
NOON = to_ns(datetime(2026, 11, 18, 18, tzinfo=UTC))
DURING = datetime(2026, 11, 18, 18, 5, tzinfo=UTC)
EVENING = datetime(2026, 11, 18, 22, 40, tzinfo=UTC)
TABLES = (
    "depth",
    "spells",
    "phases",
    "bars",
    "gaps",
    "suspect_windows",
    "quality_report",
    "quality_checks",
    "builds",
)


@pytest.fixture
def recorder(client: Any) -> Recorder:
    """Two minutes of one contract with a crossed state and an undecodable frame, stored."""
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON - 60 * SECOND)
    recorder = Recorder("run-a")
    for second in range(0, 120, 2):
        recorder.ladder(NOON + second * SECOND, 1, full(r8=-3, r9=-7, r11=5, r12=second))
    recorder.ladder(NOON + 120 * SECOND, 1, full(r9=4, r11=-4))
    recorder.broken(NOON + 121 * SECOND, 1)
    recorder.ladder(NOON + 122 * SECOND, 1, full())
    recorder.insert(client)
    return recorder


def contents(client: Any, *without: str) -> dict[str, list[Any]]:
    """All rows of all derived tables, without ``built_at``."""
    aside = ", ".join(("built_at", *without))
    return {
        table: client.query(f"SELECT * EXCEPT ({aside}) FROM {table} ORDER BY ALL").result_rows
        for table in TABLES
    }


def stages(client: Any) -> list[str]:
    return [row[0] for row in client.query("SHOW TABLES LIKE '%stage%'").result_rows]


def test_the_same_record_gives_the_same_rows(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    first = finalize(client, config, DAY, now=EVENING)
    before = contents(client)
    assert all(before[table] for table in TABLES)
    second = finalize(client, config, DAY, now=EVENING + timedelta(days=2))
    assert contents(client) == before
    assert (first.rows, first.inputs_version) == (second.rows, second.inputs_version)
    assert {table: len(rows) for table, rows in before.items()} == first.rows
    assert not stages(client)


def test_frames_that_come_twice_change_nothing(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    finalize(client, config, DAY, now=EVENING)
    before = contents(client)
    client.insert("ladder_frames", recorder.ladders[:10])
    finalize(client, config, DAY, now=EVENING)
    assert contents(client) == before


def test_an_open_date_is_built_without_depth(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    result = build_open_date(client, config, DAY, now=DURING)
    assert result.preliminary
    assert set(result.rows) == set(TABLES) - {"depth", "builds"}
    rows = contents(client)
    assert (rows["depth"], rows["builds"]) == ([], [])
    assert len(rows["bars"]) == result.rows["bars"] > 60


def test_open_and_final_bars_are_the_same_but_for_what_has_closed(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    flags = "SELECT * EXCEPT (built_at, closed, complete, gap, verdict) FROM bars ORDER BY ALL"
    build_open_date(client, config, DAY, now=DURING)
    early = client.query(flags).result_rows
    finalize(client, config, DAY, now=EVENING)
    assert client.query(flags).result_rows == early


def test_other_dates_are_left_alone(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    finalize(client, config, DAY, now=EVENING)
    before = contents(client)
    result = finalize(client, config, date(2026, 11, 16), now=EVENING)
    assert result.rows["bars"] == result.rows["depth"] == 0
    after = contents(client)
    assert after["bars"] == before["bars"]
    assert after["depth"] == before["depth"]


def test_rows_that_a_rebuild_no_longer_makes_disappear(
    client: Any, config: PlatformConfig, recorder: Recorder
) -> None:
    finalize(client, config, DAY, now=EVENING)
    for table in ("frames", "ladder_frames"):
        client.command(f"TRUNCATE TABLE {table}")
    finalize(client, config, DAY, now=EVENING)
    rows = contents(client)
    assert (rows["depth"], rows["bars"], rows["suspect_windows"]) == ([], [], [])
    assert [row[0] for row in client.query("SELECT verdict FROM quality_report").result_rows] == [
        "missing"
    ]


def test_a_failed_check_keeps_the_old_rows(
    client: Any, config: PlatformConfig, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    finalize(client, config, DAY, now=EVENING)
    before = contents(client)
    wrong = {**build_module._WRONG_ROWS, "bars": "frames > 1"}
    monkeypatch.setattr(build_module, "_WRONG_ROWS", wrong)
    with pytest.raises(WarehouseError, match="bars of 2026-11-18: the new rows are not sound"):
        finalize(client, config, DAY, now=EVENING + timedelta(hours=1))
    assert contents(client) == before
    assert not stages(client)


def test_a_repeated_key_is_refused(
    client: Any, config: PlatformConfig, recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "_KEYS", {**build_module._KEYS, "depth": "conid"})
    with pytest.raises(WarehouseError, match="keys repeated"):
        finalize(client, config, DAY, now=EVENING)
    assert not any(contents(client).values())


@pytest.mark.parametrize("table", ["depth", "bars"])
def test_a_row_that_comes_twice_is_refused(
    client: Any,
    config: PlatformConfig,
    recorder: Recorder,
    monkeypatch: pytest.MonkeyPatch,
    table: str,
) -> None:
    insert_query = Build.insert_query

    def inserted_twice(build: Build, target: str, sql: str, **extra: Any) -> None:
        insert_query(build, target, sql, **extra)
        if target == table:
            stage = build.stages[target]
            client.command(f"INSERT INTO {stage} SELECT * FROM {stage} LIMIT 1")

    monkeypatch.setattr(Build, "insert_query", inserted_twice)
    with pytest.raises(WarehouseError, match=f"{table} of 2026-11-18.* [1-3] keys repeated"):
        finalize(client, config, DAY, now=EVENING)
    assert not any(contents(client).values())


def test_leftovers_of_today_may_belong_to_a_build_that_runs(client: Any) -> None:
    client.command("CREATE TABLE bars__stage_0123456789ab AS bars")
    assert drop_leftovers(client) == []
    assert stages(client) == ["bars__stage_0123456789ab"]


def test_a_database_that_refuses_says_what_was_being_done(
    client: Any, config: PlatformConfig
) -> None:
    client.command("DROP TABLE bars")
    with pytest.raises(WarehouseError, match="build of trade date 2026-11-18"):
        finalize(client, config, DAY, now=EVENING)
    assert not stages(client)


def test_dates_that_need_a_build(client: Any, config: PlatformConfig, recorder: Recorder) -> None:
    assert dates_needing_revision(client, DURING) == []
    assert dates_needing_revision(client, EVENING) == [DAY]
    finalize(client, config, DAY, now=DURING)
    assert dates_needing_revision(client, EVENING) == [DAY], "it was open when it was built"
    finalize(client, config, DAY, now=EVENING)
    assert dates_needing_revision(client, EVENING) == []
    client.insert("ladder_frames", recorder.ladders[:3])
    assert dates_needing_revision(client, EVENING) == [], "duplicates are no news"
    recorder.ladder(NOON + 130 * SECOND, 1, full())
    client.insert("frames", recorder.frames[-1:])
    client.insert("ladder_frames", recorder.ladders[-1:])
    assert dates_needing_revision(client, EVENING) == [DAY], "late data"
    finalize(client, config, DAY, now=EVENING)
    assert dates_needing_revision(client, EVENING) == []


def test_a_date_without_frames_is_due_when_something_was_assigned(
    client: Any, config: PlatformConfig
) -> None:
    assert dates_needing_revision(client, EVENING) == []
    assign(client, [("CL.NYMEX.front", "alpha", 1)], NOON)
    later = EVENING + timedelta(days=40)
    due = dates_needing_revision(client, later)
    assert due[:2] == [DAY, date(2026, 11, 19)]
    assert all(day.weekday() < 5 for day in due)
    finalize(client, config, DAY, now=EVENING)
    assert DAY not in dates_needing_revision(client, later)


def test_the_version_names_the_rules(config: PlatformConfig) -> None:
    version = inputs_version(thresholds_of(config))
    assert version == inputs_version(thresholds_of(config))
    assert version != inputs_version(Thresholds(silent_after=31))


def test_a_threshold_has_one_version_however_it_is_written(
    config: PlatformConfig, tmp_path: Path
) -> None:
    file = tmp_path / "ib_platform.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    assert inputs_version(thresholds_of(load_config(file))) == inputs_version(thresholds_of(config))


def test_every_query_loads_and_explains_itself() -> None:
    folder = Path(build_module.__file__).parent / "queries"
    for name in (*BUILD_QUERIES, "inputs"):
        header = (folder / f"{name}.sql").read_text()
        assert "-- Grain:" in header, name
        assert "-- Inputs:" in header, name
        assert "-- Params:" in header, name
        assert "include" not in query(name)
        assert "anyLastForEach" not in header or name == "states", "one definition of depth"


def test_a_query_may_take_the_place_of_an_included_one() -> None:
    read = query("crossed", states="states_of_depth")
    assert "{depth:Identifier}" in read
    assert "{depth:Identifier}" not in query("crossed")
    assert query("states") in query("crossed")
    assert query("states") not in read


def test_a_build_leaves_no_table_behind(client: Any, config: PlatformConfig) -> None:
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() ORDER BY name"
    before = client.query(tables).result_rows
    finalize(client, config, DAY, now=EVENING)
    assert client.query(tables).result_rows == before
