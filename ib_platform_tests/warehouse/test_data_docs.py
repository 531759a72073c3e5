"""docs/data.md is made from the comments of the schema, so that it cannot lie.

To write it anew after a migration: ``UPDATE_DOCS=1 .venv/bin/pytest
ib_platform_tests/warehouse/test_data_docs.py``.
"""

from __future__ import annotations

import os
import re
from contextlib import closing
from importlib.resources import files
from pathlib import Path

from ib_platform.config import ClickHouse
from ib_platform.warehouse.connect import connect

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "data.md"
_HEAD = """\
# Tables

Made from the schema by
`UPDATE_DOCS=1 .venv/bin/pytest ib_platform_tests/warehouse/test_data_docs.py`.
All instants are UTC. Prices are exact decimals. NULL means unknown, 0 means zero. Every table but
`heartbeats`, `contracts`, `assignments` and `rolls` is partitioned by trade date.
`current_rolls` and `continuous_bars` are views: only columns that no table explains are listed.
"""
_ABOVE = re.compile(r"((?:--.*\n)+)(?:CREATE|ALTER) (?:TABLE|VIEW) (\w+)")
_VIEWS = ("current_rolls", "continuous_bars")


def grains() -> dict[str, str]:
    """The comment above each CREATE TABLE or VIEW, or above a later ALTER TABLE: what a row is."""
    found = {}
    for file in sorted(files("ib_platform.warehouse.migrations").iterdir(), key=str):
        if file.name.endswith(".sql"):
            text = file.read_text(encoding="utf-8")
            for comment, table in re.findall(_ABOVE, text):
                lines = [line.removeprefix("--").strip() for line in comment.splitlines()]
                found[table] = " ".join(lines)
    return found


def render(settings: ClickHouse) -> str:
    parts = [_HEAD]
    with closing(connect(settings)) as client:
        for table, grain in grains().items():
            columns = client.query(
                "SELECT name, type, comment FROM system.columns "
                "WHERE database = {database:String} AND table = {table:String} ORDER BY position",
                parameters={"database": settings.database, "table": table},
            ).result_rows
            rows = [f"| {n} | `{t}` | {c} |" for n, t, c in columns if c or table not in _VIEWS]
            if not rows:
                parts.append(f"\n## {table}\n\n{grain}\n")
                continue
            header = "| column | type | meaning |\n|---|---|---|\n"
            parts.append(f"\n## {table}\n\n{grain}\n\n{header}" + "\n".join(rows) + "\n")
    return "".join(parts)


def test_the_table_reference_is_what_the_schema_says(warehouse: ClickHouse) -> None:
    expected = render(warehouse)
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(expected, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == expected


def test_every_table_says_what_a_row_is() -> None:
    assert {"frames", "depth", "bars", "gaps", "quality_report"} <= set(grains())
    for table, grain in grains().items():
        assert grain.startswith("One row per"), table
