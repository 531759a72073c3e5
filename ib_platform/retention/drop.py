"""Dropping a partition that is exported, so that nothing is lost that came in between.

The partition is moved out of its table first: what arrives from then on finds an empty partition
and stays. Only if what was moved is what was exported is it noted and dropped, else it goes back.
A process that dies in between leaves the moved partition; the next one ends what it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from ib_platform.retention.export import FINAL_TABLES, Export
from ib_platform.retention.plan import TABLES
from ib_platform.warehouse.inputs import date_of

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_SUFFIX = "__dropping"
_SETTINGS = {"do_not_merge_across_partitions_select_final": 1}
_MOVED = """
SELECT name FROM system.tables
WHERE database = currentDatabase() AND name IN {names:Array(String)} ORDER BY name
"""
_NOTED = """
SELECT rows, fingerprint FROM dropped_partitions
WHERE table_name = {table:String} AND trade_date = {day:Date}
"""
_NOTE = (
    "table_name", "trade_date", "file", "rows", "fingerprint", "file_bytes", "file_sha256",
    "dropped_at",
)  # fmt: skip


@dataclass(frozen=True)
class Fingerprint:
    """Rows of a partition, and a sum over their content that does not depend on their order."""

    rows: int
    content: int


def fingerprint(client: Client, table: str, day: date, source: str | None = None) -> Fingerprint:
    """Of a partition of ``table``, or of ``source``, which is shaped like it."""
    final = " FINAL" if table in FINAL_TABLES else ""
    sql = (
        "SELECT count(), sum(cityHash64(formatRow('RowBinary', *))) "
        f"FROM {source or table}{final} WHERE trade_date = {{day:Date}}"
    )
    rows, content = client.query(sql, {"day": day}, settings=_SETTINGS).result_rows[0]
    return Fingerprint(int(rows), int(content))


def move_out(client: Client, table: str, day: date) -> None:
    """Take the partition out of ``table``: readers do not see it any more."""
    client.command(f"CREATE TABLE IF NOT EXISTS {table}{_SUFFIX} AS {table}")
    client.command(f"ALTER TABLE {table} MOVE PARTITION '{day}' TO TABLE {table}{_SUFFIX}")


def move_back(client: Client, table: str, day: date) -> None:
    """Undo ``move_out``. Rows that came meanwhile stay beside those that come back."""
    client.command(f"ALTER TABLE {table}{_SUFFIX} MOVE PARTITION '{day}' TO TABLE {table}")
    drop_moved(client, table)


def drop_moved(client: Client, table: str) -> None:
    """Drop what was moved out of ``table``."""
    client.command(f"DROP TABLE IF EXISTS {table}{_SUFFIX} SYNC")


def note(
    client: Client, table: str, day: date, exported: Export, found: Fingerprint, now: datetime
) -> None:
    """Say in ``dropped_partitions`` where the rows have gone."""
    row = [
        table, day, str(exported.file), found.rows, found.content, exported.bytes, exported.sha256,
        now.replace(microsecond=now.microsecond // 1000 * 1000),
    ]  # fmt: skip
    client.insert("dropped_partitions", [row], list(_NOTE))


def drop(
    client: Client, table: str, day: date, exported: Export, found: Fingerprint, now: datetime
) -> bool:
    """Drop a partition of which ``exported`` has the rows ``found``. False: it has changed since,
    and is back where it was."""
    move_out(client, table, day)
    if fingerprint(client, table, day, f"{table}{_SUFFIX}") != found:
        move_back(client, table, day)
        return False
    note(client, table, day, exported, found, now)
    drop_moved(client, table)
    return True


def unfinished_drops(client: Client) -> list[str]:
    """Tables with a partition that a killed process has moved out."""
    names = [f"{table}{_SUFFIX}" for table in TABLES]
    found = client.query(_MOVED, {"names": names}).result_rows
    return [str(name).removesuffix(_SUFFIX) for (name,) in found]


def finish_drops(client: Client) -> list[str]:
    """End what killed processes began; returns what was done, for people."""
    said = []
    for table in unfinished_drops(client):
        days = client.query(f"SELECT DISTINCT trade_date FROM {table}{_SUFFIX}").result_rows
        for day in sorted(date_of(row[0]) for row in days):
            moved = fingerprint(client, table, day, f"{table}{_SUFFIX}")
            noted = client.query(_NOTED, {"table": table, "day": day}).result_rows
            if moved in [Fingerprint(int(rows), int(content)) for rows, content in noted]:
                client.command(f"ALTER TABLE {table}{_SUFFIX} DROP PARTITION '{day}'")
                said.append(f"{table} of {day} was exported and noted before: dropped now")
            else:
                client.command(
                    f"ALTER TABLE {table}{_SUFFIX} MOVE PARTITION '{day}' TO TABLE {table}"
                )
                said.append(f"{table} of {day} was moved out and not noted: put back")
        drop_moved(client, table)
    return said
