"""Column schemas of assets, read from the migrations: one source for DDL and catalog."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

import dagster as dg

_MIGRATIONS = ("0001_record.sql", "0002_derived.sql")
_COLUMN = re.compile(
    r"^ {4}(?P<name>\w+)\s+(?P<type>.+?)"
    r"(?:\s+COMMENT '(?P<comment>[^']*)')?(?:\s+CODEC\([^\n]*\))?,?$",
    re.MULTILINE,
)


@cache
def table_schema(table: str) -> dg.TableSchema:
    """Columns of ``table`` as its migration creates it. Raises KeyError for an unknown table."""
    for file in _MIGRATIONS:
        text = files("ib_platform.warehouse").joinpath("migrations", file).read_text("utf-8")
        match = re.search(rf"CREATE TABLE {table}\n\((.*?)\n\)", text, re.DOTALL)
        if match is not None:
            return dg.TableSchema(
                [
                    dg.TableColumn(found["name"], found["type"], description=found["comment"])
                    for found in _COLUMN.finditer(match[1])
                ]
            )
    raise KeyError(f"no migration creates table {table!r}")


def describe_table(table: str, order: str) -> dict[str, dg.MetadataValue | dg.TableSchema | str]:
    """Metadata that the catalog understands: columns, storage, order of rows."""
    return {
        "dagster/column_schema": table_schema(table),
        "dagster/table_name": f"ib.{table}",
        "dagster/storage_kind": "clickhouse",
        "partition by": "trade_date",
        "order by": order,
    }
