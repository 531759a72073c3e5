"""Column schemas of assets, read from the migrations: one source for DDL and catalog."""

from __future__ import annotations

import re
from functools import cache

import dagster as dg

from ib_platform.warehouse.migration_files import read_migrations

_DECLARATION = (
    r"(?P<name>\w+)\s+(?P<type>.+?)"
    r"(?:\s+COMMENT '(?P<comment>[^']*)')?(?:\s+CODEC\([^\n]*\))?,?$"
)
_COLUMN = re.compile(rf"^ {{4}}{_DECLARATION}", re.MULTILINE)
_CHANGE = re.compile(rf"^ {{4}}(?:ADD|MODIFY) COLUMN {_DECLARATION}", re.MULTILINE)
_REMARK = re.compile(r"^ {4}COMMENT COLUMN (?P<name>\w+) '(?P<comment>[^']*)',?$", re.MULTILINE)


@cache
def table_schema(table: str) -> dg.TableSchema:
    """Columns of ``table`` as the migrations create and alter it. Raises KeyError for an unknown
    table."""
    columns: dict[str, dg.TableColumn] = {}
    for migration in read_migrations():
        for statement in migration.statements:
            head, _, rest = statement.partition("\n")
            if head == f"CREATE TABLE {table}":
                found = _COLUMN.finditer(rest.partition("\n)")[0])
            elif head == f"ALTER TABLE {table}":
                found = _CHANGE.finditer(rest)
            else:
                continue
            columns |= {match["name"]: _column(match) for match in found}
            for match in _REMARK.finditer(rest):
                columns[match["name"]] = dg.TableColumn(
                    match["name"], columns[match["name"]].type, description=match["comment"]
                )
    if not columns:
        raise KeyError(f"no migration creates table {table!r}")
    return dg.TableSchema(list(columns.values()))


def _column(match: re.Match[str]) -> dg.TableColumn:
    return dg.TableColumn(match["name"], match["type"], description=match["comment"])


def describe_table(
    table: str, order: str, *, partitioned: bool = True
) -> dict[str, dg.MetadataValue | dg.TableSchema | str]:
    """Metadata that the catalog understands: columns, storage, order of rows."""
    partition: dict[str, str] = {"partition by": "trade_date"} if partitioned else {}
    return {
        "dagster/column_schema": table_schema(table),
        "dagster/table_name": f"ib.{table}",
        "dagster/storage_kind": "clickhouse",
        **partition,
        "order by": order,
    }
