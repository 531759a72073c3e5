"""Migrations: numbered `.sql` files, applied once, in order, statement by statement.

Table ``schema_migrations`` is a log: before a statement runs, a row says `started`, afterwards one
says `done` or `failed`. A run that was killed continues behind the last `done`. The one statement
that is only started may have happened; then its repetition fails with "already exists" or the
like, and that counts as done. The same rule makes two runs at the same time harmless: whoever
comes second finds the statement started by the other. A statement that inserts rows needs to be
repeatable by itself, for instance by a replacing key.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
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
from ib_platform.warehouse.migration_files import (
    Applied,
    Migration,
    checksum,
    plan,
    read_migrations,
)
from ib_platform.warehouse.sql_text import first_word

_COLUMNS = {
    "number": "UInt32",
    "name": "String",
    "checksum": "String",
    "statement": "UInt32",
    "statements": "UInt32",
    "statement_checksum": "String",
    "state": "LowCardinality(String)",
    "run": "String",
    "applied_at": "DateTime64(3, 'UTC')",
}
_CREATE_LOG = """
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number             UInt32 COMMENT 'Of the file',
    name               String COMMENT 'Of the file',
    checksum           String COMMENT 'SHA-256 of the file',
    statement          UInt32 COMMENT 'Number of the statement in the file, from 1',
    statements         UInt32 COMMENT 'How many the file has',
    statement_checksum String COMMENT 'SHA-256 of the statement',
    state              LowCardinality(String) COMMENT 'started, done or failed',
    run                String COMMENT 'One call of migrate',
    applied_at         DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (number, statement, applied_at)
"""
_READ_DONE = """
SELECT number, argMax(name, statement), argMax(checksum, statement), argMax(statements, statement),
       groupArray(statement_checksum)
FROM (
    SELECT number, statement, argMax(name, applied_at) AS name,
           argMax(checksum, applied_at) AS checksum, argMax(statements, applied_at) AS statements,
           argMax(statement_checksum, applied_at) AS statement_checksum
    FROM schema_migrations
    WHERE state = 'done'
    GROUP BY number, statement
    ORDER BY number, statement
)
GROUP BY number
"""
_STARTED_BY_ANOTHER = """
SELECT run FROM schema_migrations
WHERE number = {number:UInt32} AND statement = {statement:UInt32} AND run != {run:String}
GROUP BY run
HAVING countIf(state = 'failed') = 0
"""

# What the engine answers to a statement that has happened already, by its first word.
_ALREADY_HAPPENED = {
    "CREATE": {57, 82},  # TABLE_ALREADY_EXISTS, DATABASE_ALREADY_EXISTS
    "DROP": {60},  # UNKNOWN_TABLE
    "RENAME": {60},
    # Of columns, indices and projections: NOT_FOUND_COLUMN_IN_BLOCK, DUPLICATE_COLUMN,
    # BAD_ARGUMENTS, ILLEGAL_COLUMN, ILLEGAL_PROJECTION.
    "ALTER": {10, 15, 36, 44, 583},
}
_UNKNOWN_TABLE = 60


def migrate(settings: ClickHouse, folder: Traversable | None = None) -> list[str]:
    """Apply every pending migration to ``settings.database``, which is created if missing.

    Returns the names of the files that this call completed, in order.

    Raises:
        MigrationError: files and database disagree, or a statement failed; nothing behind it ran.
        WarehouseError: ClickHouse did not answer.
    """
    migrations = read_migrations(folder)
    client = connect(settings, role="migrate", database="default")
    try:
        with warehouse_errors(settings, "migrate"):
            client.command(
                "CREATE DATABASE IF NOT EXISTS {name:Identifier}",
                parameters={"name": settings.database},
            )
            client.database = settings.database
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


def _read_log(client: Client) -> dict[int, Applied]:
    try:
        rows = client.query(_READ_DONE).result_rows
    except ClickHouseError as error:
        if error_code(error) == _UNKNOWN_TABLE:
            return {}
        raise
    return {
        int(number): Applied(str(name), str(digest), tuple(done), int(statements))
        for number, name, digest, statements, done in rows
    }


def _apply(client: Client, migration: Migration, index: int, run: str) -> None:
    statement = migration.statements[index]
    _record(client, migration, index, "started", run)
    try:
        client.command(statement)
    except ClickHouseError as error:
        if not _happened_before(client, migration, index, run, error):
            _record(client, migration, index, "failed", run)
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
    verb = first_word(migration.statements[index])
    if error_code(error) not in _ALREADY_HAPPENED.get(verb, ()):
        return False
    parameters = {"number": migration.number, "statement": index + 1, "run": run}
    return bool(client.query(_STARTED_BY_ANOTHER, parameters=parameters).result_rows)


def _record(client: Client, migration: Migration, index: int, state: str, run: str) -> None:
    row = [
        migration.number,
        migration.name,
        migration.checksum,
        index + 1,
        len(migration.statements),
        checksum(migration.statements[index].encode()),
        state,
        run,
        datetime.now(UTC),
    ]
    client.insert(
        "schema_migrations",
        [row],
        column_names=list(_COLUMNS),
        column_type_names=list(_COLUMNS.values()),
    )
