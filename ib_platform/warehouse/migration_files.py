"""The files of the migrations, and what is left to do given a log of what was done. Pure but for
reading the files."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from ib_platform.errors import MigrationError
from ib_platform.warehouse.sql_text import split_statements

_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


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
        migrations.append(Migration(expected, entry.name, checksum(content), statements))
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
    done = tuple(checksum(text.encode()) for text in migration.statements[: len(applied.done)])
    if done != applied.done:
        raise MigrationError(
            f"{migration.name}: half applied, and one of its first {len(applied.done)} statements, "
            f"which are done, was changed. {advice}"
        )


def checksum(content: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()
