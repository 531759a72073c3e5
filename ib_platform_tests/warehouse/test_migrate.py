"""Migrations: applied once, in order; changed, missing or half-applied files are said clearly."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ib_platform.config import ClickHouse
from ib_platform.errors import MigrationError, WarehouseError
from ib_platform.warehouse.connect import connect
from ib_platform.warehouse.migrate import migrate, pending
from ib_platform.warehouse.migration_files import Applied, Migration, plan, read_migrations
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import wait_until

FIRST = "CREATE TABLE one (a UInt8) ENGINE = MergeTree ORDER BY a; -- with a ; in it\n"
SECOND = """
-- Two statements; the second needs the first.
CREATE TABLE two (a UInt8, note String DEFAULT ';') ENGINE = MergeTree ORDER BY a;
ALTER TABLE two ADD COLUMN b UInt8;
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "migrations"
    folder.mkdir()
    (folder / "0001_first.sql").write_text(FIRST)
    (folder / "0002_second.sql").write_text(SECOND)
    return folder


@pytest.fixture
def empty(warehouse: ClickHouse) -> Iterator[ClickHouse]:
    """A server without the database; ``warehouse`` drops it again."""
    client = connect(warehouse, database="default")
    client.command("DROP DATABASE {name:Identifier} SYNC", parameters={"name": warehouse.database})
    client.close()
    yield warehouse
    client = connect(warehouse, database="default")
    client.command(
        "CREATE DATABASE IF NOT EXISTS {name:Identifier}",
        parameters={"name": warehouse.database},
    )
    client.close()


def _log(settings: ClickHouse) -> list[tuple[int, int, str]]:
    client = connect(settings)
    rows = client.query(
        "SELECT number, statement, state FROM schema_migrations ORDER BY number, statement, state"
    ).result_rows
    client.close()
    return [(int(n), int(s), str(state)) for n, s, state in rows]


def _tables(settings: ClickHouse) -> set[str]:
    client = connect(settings)
    names = {str(row[0]) for row in client.query("SHOW TABLES").result_rows}
    client.close()
    return names


def _run(settings: ClickHouse, sql: str) -> None:
    client = connect(settings)
    client.command(sql)
    client.close()


def test_the_files_of_the_package_apply_once(empty: ClickHouse) -> None:
    names = [migration.name for migration in read_migrations()]
    assert names[0] == "0001_record.sql"
    assert pending(empty) == names
    assert migrate(empty) == names
    assert pending(empty) == []
    assert migrate(empty) == []
    assert {"frames", "ladder_frames", "quote_frames", "stream_events"} <= _tables(empty)


def test_files_apply_in_order_statement_by_statement(empty: ClickHouse, folder: Path) -> None:
    assert migrate(empty, folder) == ["0001_first.sql", "0002_second.sql"]
    done = [(number, statement) for number, statement, state in _log(empty) if state == "done"]
    assert done == [(1, 1), (2, 1), (2, 2)]

    (folder / "0003_third.sql").write_text("DROP TABLE one;")
    assert pending(empty, folder) == ["0003_third.sql"]
    assert migrate(empty, folder) == ["0003_third.sql"]
    assert _tables(empty) == {"two", "schema_migrations"}


def test_a_changed_file_is_refused(empty: ClickHouse, folder: Path) -> None:
    migrate(empty, folder)
    (folder / "0001_first.sql").write_text(FIRST + "-- only a comment\n")
    (folder / "0003_third.sql").write_text("CREATE TABLE three (a UInt8) ENGINE = Memory")
    for call in (migrate, pending):
        with pytest.raises(MigrationError, match="0001_first.sql: changed after") as caught:
            call(empty, folder)
        assert "new migration" in str(caught.value)
    assert "three" not in _tables(empty)


def test_a_renamed_file_is_refused(empty: ClickHouse, folder: Path) -> None:
    migrate(empty, folder)
    (folder / "0001_first.sql").rename(folder / "0001_erste.sql")
    with pytest.raises(MigrationError, match="applied as 0001_first.sql"):
        migrate(empty, folder)


def test_a_missing_file_is_refused(empty: ClickHouse, folder: Path) -> None:
    migrate(empty, folder)
    (folder / "0002_second.sql").unlink()
    with pytest.raises(MigrationError, match="0002_second.sql: applied to this database"):
        migrate(empty, folder)


def test_a_failing_statement_is_named_and_can_be_corrected(empty: ClickHouse, folder: Path) -> None:
    (folder / "0002_second.sql").write_text(SECOND.replace("ALTER TABLE two", "ALTER TABLE tow"))
    for _ in range(2):
        with pytest.raises(MigrationError, match="0002_second.sql, statement 2 of 2 failed"):
            migrate(empty, folder)
    assert pending(empty, folder) == ["0002_second.sql"]

    (folder / "0002_second.sql").write_text(SECOND)
    assert migrate(empty, folder) == ["0002_second.sql"]
    assert migrate(empty, folder) == []


def test_a_done_statement_of_a_half_applied_file_must_stay(empty: ClickHouse, folder: Path) -> None:
    (folder / "0002_second.sql").write_text(SECOND.replace("ALTER TABLE two", "ALTER TABLE tow"))
    with pytest.raises(MigrationError):
        migrate(empty, folder)
    (folder / "0002_second.sql").write_text(SECOND.replace("note String", "note UInt8"))
    with pytest.raises(MigrationError, match="half applied"):
        migrate(empty, folder)


@pytest.mark.parametrize("state", ["started", "done"])
def test_a_run_that_was_killed_is_continued(empty: ClickHouse, folder: Path, state: str) -> None:
    """Killed right after statement 1 of file 2 happened: before or after it was logged."""
    migrate(empty, folder)
    _run(empty, "DROP TABLE two SYNC")
    _run(empty, "CREATE TABLE two (a UInt8, note String) ENGINE = MergeTree ORDER BY a")
    keep = "(number = 1 OR (number = 2 AND statement = 1 AND state <= '" + state + "'))"
    _run(empty, f"DELETE FROM schema_migrations WHERE NOT {keep}")

    assert migrate(empty, folder) == ["0002_second.sql"]

    client = connect(empty)
    columns = [row[0] for row in client.query("DESCRIBE two").result_rows]
    client.close()
    assert columns == ["a", "note", "b"]


def test_a_table_that_somebody_else_made_is_no_success(empty: ClickHouse, folder: Path) -> None:
    migrate(empty, folder)
    _run(empty, "CREATE TABLE three (x String) ENGINE = Memory")
    (folder / "0003_third.sql").write_text("CREATE TABLE three (a UInt8) ENGINE = Memory")
    with pytest.raises(MigrationError, match="TABLE_ALREADY_EXISTS"):
        migrate(empty, folder)


def test_a_table_that_is_there_stays_a_failure_when_run_again(
    empty: ClickHouse, folder: Path
) -> None:
    migrate(empty, folder)
    (folder / "0003_third.sql").write_text("CREATE TABLE one (b UInt8) ENGINE = Memory")
    for _ in range(3):
        with pytest.raises(MigrationError, match="TABLE_ALREADY_EXISTS"):
            migrate(empty, folder)


def test_runs_at_the_same_time_agree(empty: ClickHouse, folder: Path) -> None:
    for number in range(3, 9):
        (folder / f"{number:04}_more.sql").write_text(
            f"CREATE TABLE more_{number} (a UInt8) ENGINE = MergeTree ORDER BY a;\n"
            f"ALTER TABLE more_{number} ADD COLUMN b UInt8;\n"
        )
    with ThreadPoolExecutor(3) as pool:
        for result in [pool.submit(migrate, empty, folder) for _ in range(3)]:
            assert result.result() is not None
    assert pending(empty, folder) == []
    assert {f"more_{number}" for number in range(3, 9)} <= _tables(empty)


def test_kill_in_the_middle_then_again(empty: ClickHouse, folder: Path, tmp_path: Path) -> None:
    for number in range(3, 60):
        (folder / f"{number:04}_more.sql").write_text(
            f"CREATE TABLE more_{number} (a UInt8) ENGINE = MergeTree ORDER BY a"
        )
    settings = tmp_path / "settings.json"
    settings.write_text(empty.model_dump_json())
    code = textwrap.dedent(f"""
        from pathlib import Path
        from ib_platform.config import ClickHouse
        from ib_platform.warehouse.migrate import migrate
        settings = ClickHouse.model_validate_json(Path({str(settings)!r}).read_text())
        migrate(settings, Path({str(folder)!r}))
    """)
    process = subprocess.Popen([sys.executable, "-c", code])
    wait_until(lambda: _exists(empty) and "more_5" in _tables(empty), "some of the tables")
    process.kill()
    process.wait(60)

    left = pending(empty, folder)
    assert migrate(empty, folder) == left
    assert pending(empty, folder) == []
    assert {f"more_{number}" for number in range(3, 60)} <= _tables(empty)


def _exists(settings: ClickHouse) -> bool:
    try:
        connect(settings).close()
    except WarehouseError:
        return False
    return True


def test_without_a_server(folder: Path) -> None:
    settings = ClickHouse(port=free_port())
    for call in (migrate, pending):
        with pytest.raises(WarehouseError, match=str(settings.port)):
            call(settings, folder)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("0004_gap.sql", "SELECT 1", "expected number 0003"),
        ("0002_twice.sql", "SELECT 1", "expected number 0003"),
        ("third.sql", "SELECT 1", "is called like"),
        ("0003_empty.sql", "-- nothing;\n", "no statement"),
    ],
)
def test_files_that_cannot_be_migrations(
    folder: Path, name: str, content: str, message: str
) -> None:
    (folder / name).write_text(content)
    with pytest.raises(MigrationError, match=message) as caught:
        read_migrations(folder)
    assert name.split("_")[0] in str(caught.value) or name in str(caught.value)


def test_other_files_are_left_alone(folder: Path) -> None:
    (folder / "README.md").write_text("hello")
    assert [migration.number for migration in read_migrations(folder)] == [1, 2]


def test_the_plan_is_a_function_of_files_and_log(folder: Path) -> None:
    first, second = read_migrations(folder)
    assert plan([first, second], {}) == [(first, 0), (second, 0)]
    assert isinstance(first, Migration)
    applied = Applied(first.name, first.checksum, ("x",), 1)
    assert applied.complete
    assert plan([first, second], {1: applied}) == [(second, 0)]
    with pytest.raises(MigrationError, match="file is missing"):
        plan([first], {1: applied, 2: Applied("0002_newer.sql", "y", ("z",), 1)})
