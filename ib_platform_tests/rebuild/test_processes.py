"""Real processes: builds that die in the middle, builds of one date at once, and readers."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from ib_platform.config import ClickHouse, PlatformConfig
from ib_platform.warehouse.compact import finalize
from ib_platform.warehouse.connect import connect
from ib_platform_tests.rebuild.recorded import (
    DATES,
    TABLES,
    changed,
    contents,
    late_frame,
    stages,
)

DAY, OTHER = DATES
HISTORY = ("revised_at",)


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finished(process: subprocess.Popen[str]) -> int:
    """Its exit code; what it said is shown when a test fails."""
    print(process.communicate(timeout=300)[0])
    return process.returncode


def rebuild(config_file: Path, *options: str) -> subprocess.Popen[str]:
    return start("ib_platform.cli", "rebuild", "--config", str(config_file), "--apply", *options)


@pytest.mark.parametrize(
    ("moment", "statement", "swapped"),
    [
        pytest.param("before", "INSERT INTO bars__stage", 0, marks=pytest.mark.long),
        ("after", "ALTER TABLE spells REPLACE", 2),
        pytest.param("before", "ALTER TABLE builds REPLACE", 8, marks=pytest.mark.long),
    ],
)
def test_a_build_that_is_killed_leaves_each_table_old_or_new_and_is_made_up_for(
    recorded: Any,
    config: PlatformConfig,
    config_file: Path,
    moment: str,
    statement: str,
    swapped: int,
) -> None:
    finalize(recorded, config, DAY)
    finalize(recorded, config, OTHER)
    old, other = contents(recorded, DAY, *HISTORY), contents(recorded, OTHER)
    late_frame(recorded, DAY)
    killed = start(
        "ib_platform_tests.rebuild.killed", str(config_file), str(DAY), moment, statement
    )
    assert finished(killed) == -signal.SIGKILL
    left = contents(recorded, DAY, *HISTORY)
    assert stages(recorded)
    # The lock died with its holder; the date is due, since `builds` is swapped last.
    assert finished(rebuild(config_file)) == 0
    new = contents(recorded, DAY, *HISTORY)
    assert left == {
        table: (new if number < swapped else old)[table] for number, table in enumerate(TABLES)
    }
    assert all(new[table] != old[table] for table in ("depth", "bars", "builds"))
    assert contents(recorded, OTHER) == other
    assert stages(recorded) == []


class Reader(threading.Thread):
    """Reads one date of one table until told to stop: (rows, builds that they come from)."""

    def __init__(self, settings: ClickHouse, table: str) -> None:
        super().__init__()
        self.table = table
        self.seen: list[tuple[int, int]] = []
        self.stop = threading.Event()
        self._settings = settings

    def run(self) -> None:
        with closing(connect(self._settings)) as client:
            while not self.stop.is_set():
                (row,) = client.query(
                    "SELECT count(), uniqExact(built_at) "
                    f"FROM {self.table} WHERE trade_date = {{day:Date}}",
                    {"day": DAY},
                ).result_rows
                self.seen.append(row)


def test_two_builders_of_the_same_dates_at_once_and_no_reader_sees_a_part(
    recorded: Any, config: PlatformConfig, config_file: Path
) -> None:
    finalize(recorded, config, DAY)
    finalize(recorded, config, OTHER)
    before = {day: contents(recorded, day) for day in DATES}
    readers = [Reader(config.clickhouse, table) for table in ("depth", "bars", "quality_checks")]
    for reader in readers:
        reader.start()
    try:
        builders = [rebuild(config_file, "--force", "--jobs", str(jobs)) for jobs in (1, 2)]
        assert [finished(builder) for builder in builders] == [0, 0]
    finally:
        for reader in readers:
            reader.stop.set()
            reader.join()
    assert changed(before, {day: contents(recorded, day) for day in DATES}) == []
    for reader in readers:
        assert set(reader.seen) == {(len(before[DAY][reader.table]), 1)}
        assert len(reader.seen) > 10
    assert stages(recorded) == []
    # All tables of a date are of one build.
    for day in DATES:
        stamps = {
            recorded.query(
                f"SELECT DISTINCT built_at FROM {table} WHERE trade_date = '{day}'"
            ).result_rows[0]
            for table in TABLES
            if before[day][table]
        }
        assert len(stamps) == 1
