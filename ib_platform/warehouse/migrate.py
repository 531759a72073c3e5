"""Migrations: numbered `.sql` files, applied once, in order, statement by statement.

Table ``schema_migrations`` is a log: before a statement runs, a row says `started`, afterwards one
says `done`. A run that was killed continues behind the last `done`. The one statement that is
started but not done may have happened; then its repetition fails with "already exists" or the
like, and that counts as done. The same rule makes two runs at the same time harmless: whoever
comes second finds the statement started by the other. A statement that inserts rows needs to be
repeatable by itself, for instance by a replacing key.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from importlib.resources.abc import Traversable

from clickhouse_connect.driver.exceptions import ClickHouseError

from ib_platform.config import ClickHouse
from ib_platform.errors import MigrationError, WarehouseError
from ib_platform.warehouse.connect import (
    UNKNOWN_DATABASE,
    Client,
    connect,
    error_code,
    warehouse_errors,
)
from ib_platform.warehouse.sql_text import split_statements

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_COLUMNS = (
    "number",
    "name",
    "checksum",
    "statement",
    "statements",
    "statement_checksum",
    "state",
    "run",
    "applied_at",
)
_CREATE_LOG = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number             UInt32 COMMENT 'Of the file',
    name               String COMMENT 'Of the file',
    checksum           String COMMENT 'SHA-256 of the file',
    statement          UInt32 COMMENT 'Number of the statement in the file, from 1',
    statements         UInt32 COMMENT 'How many the file has',
    statement_checksum String COMMENT 'SHA-256 of the statement',
    state              Enum8('started' = 1, 'done' = 2),
    run                String COMMENT 'One call of migrate',
    applied_at         DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (number, statement, applied_at)
"""
_READ_DONE = """
SELECT number, statement, any(name), argMax(checksum, applied_at), argMax(statements, applied_at),
       argMax(statement_checksum, applied_at)
FROM schema_migrations
WHERE state = 'done'
GROUP BY number, statement
ORDER BY number, statement
"""
_STARTED_BY_ANOTHER = """
SELECT count() FROM schema_migrations
WHERE number = {number:UInt32} AND statement = {statement:UInt32} AND run != {run:String}
"""

# NOT_FOUND_COLUMN_IN_BLOCK, DUPLICATE_COLUMN, TABLE_ALREADY_EXISTS, UNKNOWN_TABLE,
# DATABASE_ALREADY_EXISTS: what a repeated ALTER, CREATE, DROP or RENAME answers.
_ALREADY_HAPPENED = frozenset({10, 44, 57, 60, 82})
_UNKNOWN_TABLE = 60


@dataclass(frozen=True)
class Migration:
    """One file."""

    number: int
    name: str
    checksum: str
    statements: tuple[str, ...]


@dataclass(frozen=True)
class Applied:
    """What the log says about one file: the statements that are done, by their checksums."""

    name: str
    checksum: str
    done: tuple[str, ...]
    statements: int

    @property
    def complete(self) -> bool:
        return len(self.done) == self.statements


def migrate(settings: ClickHouse, folder: Traversable | None = None) -> list[str]:
    """Apply every pending migration to ``settings.database``, which is created if missing.

    Returns the names of the files that this call completed, in order.

    Raises:
        MigrationError: files and database disagree, or a statement failed; nothing behind it ran.
        WarehouseError: ClickHouse did not answer.
    """
    migrations = read_migrations(folder)
    with warehouse_errors(settings, "create the database"):
        client = connect(settings, role="migrate", database="default")
        try:
            client.command(
                "CREATE DATABASE IF NOT EXISTS {name:Identifier}",
                parameters={"name": settings.database},
            )
        finally:
            client.close()
    client = connect(settings, role="migrate")
    try:
        with warehouse_errors(settings, "migrate"):
            client.command(_CREATE_LOG)
            todo = plan(migrations, _read_log(client))
            run = uuid.uuid4().hex
            for migration, first in todo:
                for index in range(first, len(migration.statements)):
                    _apply(client, migration, index, run)
    finally:
        client.close()
    return [migration.name for migration, _ in todo]


def pending(settings: ClickHouse, folder: Traversable | None = None) -> list[str]:
    """Names of the files that ``migrate`` would apply or finish. Changes nothing.

    Raises:
        MigrationError: files and database disagree.
        WarehouseError: ClickHouse did not answer.
    """
    migrations = read_migrations(folder)
    try:
        client = connect(settings, role="migrate")
    except WarehouseError as error:
        if error_code(error) == UNKNOWN_DATABASE:
            return [migration.name for migration in migrations]
        raise
    try:
        with warehouse_errors(settings, "read schema_migrations"):
            return [m.name for m, _ in plan(migrations, _read_log(client))]
    finally:
        client.close()


def read_migrations(folder: Traversable | None = None) -> list[Migration]:
    """The files of ``folder`` (default: the package's own), in order, without gaps from 0001.

    Raises:
        MigrationError: a wrong name, a gap, a number twice, or a file without statements.
    """
    folder = folder or files("ib_platform.warehouse") / "migrations"
    migrations: list[Migration] = []
    entries = [entry for entry in folder.iterdir() if entry.name.endswith(".sql")]
    for expected, entry in enumerate(sorted(entries, key=lambda entry: entry.name), start=1):
        match = _NAME.fullmatch(entry.name)
        if match is None:
            raise MigrationError(
                f"{entry.name}: a migration is called like 0007_what_it_does.sql. Rename it."
            )
        if int(match[1]) != expected:
            raise MigrationError(
                f"{entry.name}: expected number {expected:04} here; migrations are numbered "
                "without gaps and without repeats. Renumber it, or restore the missing file."
            )
        content = entry.read_bytes()
        statements = tuple(split_statements(content.decode("utf-8")))
        if not statements:
            raise MigrationError(f"{entry.name}: there is no statement in it.")
        migrations.append(Migration(expected, entry.name, _checksum(content), statements))
    return migrations


def plan(
    migrations: Sequence[Migration], log: Mapping[int, Applied]
) -> list[tuple[Migration, int]]:
    """What is left to do: files in order, each with the index of its first statement to run.

    Raises:
        MigrationError: an applied file was changed or is missing.
    """
    known = {migration.number for migration in migrations}
    for number, applied in sorted(log.items()):
        if number not in known:
            raise MigrationError(
                f"{applied.name}: applied to this database, but the file is missing. Install the "
                "version of ib_platform that has it, or restore it."
            )
    todo: list[tuple[Migration, int]] = []
    for migration in migrations:
        entry = log.get(migration.number)
        if entry is None:
            todo.append((migration, 0))
            continue
        _refuse_changes(migration, entry)
        if not entry.complete:
            todo.append((migration, len(entry.done)))
    return todo


def _refuse_changes(migration: Migration, applied: Applied) -> None:
    """A complete file must be as it was; of a half-applied one, the statements that are done."""
    advice = "Restore the file as it was, and put the change into a new migration."
    if applied.complete:
        if (migration.name, migration.checksum) != (applied.name, applied.checksum):
            was = "" if migration.name == applied.name else f" (applied as {applied.name})"
            raise MigrationError(
                f"{migration.name}{was}: changed after it was applied to this database. {advice}"
            )
        return
    done = tuple(_checksum(text.encode()) for text in migration.statements[: len(applied.done)])
    if done != applied.done:
        raise MigrationError(
            f"{migration.name}: half applied, and one of its first {len(applied.done)} statements, "
            f"which are done, was changed. {advice}"
        )


def _read_log(client: Client) -> dict[int, Applied]:
    try:
        rows: Iterable[Sequence[object]] = client.query(_READ_DONE).result_rows
    except ClickHouseError as error:
        if error_code(error) == _UNKNOWN_TABLE:
            return {}
        raise
    log: dict[int, Applied] = {}
    for number, _statement, name, checksum, statements, statement_checksum in rows:
        done = log[int(str(number))].done if int(str(number)) in log else ()
        log[int(str(number))] = Applied(
            str(name), str(checksum), (*done, str(statement_checksum)), int(str(statements))
        )
    return log


def _apply(client: Client, migration: Migration, index: int, run: str) -> None:
    statement = migration.statements[index]
    _record(client, migration, index, "started", run)
    try:
        client.command(statement)
    except ClickHouseError as error:
        if not _happened_before(client, migration, index, run, error):
            raise MigrationError(
                f"{migration.name}, statement {index + 1} of {len(migration.statements)} failed: "
                f"{error}. The statements before it are applied; correct this one and run "
                "`ib-platform migrate` again, it continues here."
            ) from error
    _record(client, migration, index, "done", run)


def _happened_before(
    client: Client, migration: Migration, index: int, run: str, error: ClickHouseError
) -> bool:
    """Whether the statement failed because another run, killed or at work, did it already."""
    if error_code(error) not in _ALREADY_HAPPENED:
        return False
    parameters = {"number": migration.number, "statement": index + 1, "run": run}
    return bool(client.query(_STARTED_BY_ANOTHER, parameters=parameters).result_rows[0][0])


def _record(client: Client, migration: Migration, index: int, state: str, run: str) -> None:
    row = [
        migration.number,
        migration.name,
        migration.checksum,
        index + 1,
        len(migration.statements),
        _checksum(migration.statements[index].encode()),
        state,
        run,
        datetime.now(UTC),
    ]
    client.insert("schema_migrations", [row], column_names=_COLUMNS)


def _checksum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
