"""Replacing one trade date of derived tables: stage, check, swap, drop.

Readers see the old partition or the new one, never a mix and never a hole. A build that dies leaves
staging tables behind; the next build of its date drops them, and any build those older than a day.

Two builds of one date at once: a lock keeps those of one machine apart (``date_lock.py``). Of two
on different machines the later one drops the stages of the earlier, which then fails before it
swaps anything more in; so all tables of a date come from one build.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

from ib_platform.errors import WarehouseError
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

logger = logging.getLogger(__name__)
_MARK = "__stage_"
_LEFTOVERS = """
SELECT name FROM system.tables
WHERE database = currentDatabase() AND position(name, {mark:String}) > 0
  AND (metadata_modification_time < now() - INTERVAL 1 DAY OR position(name, {of_date:String}) > 0)
  AND NOT endsWith(name, {own:String})
"""
_KEYS = {
    "depth": "conid, run_id, seq",
    "spells": "conid, run_id, epoch",
    "bars": "conid, bar_size, bar_start",
    "gaps": "contract, begin",
    "phases": "contract, begin",
    "suspect_windows": "conid, run_id, begin, cause",
    "quality_report": "contract",
    "quality_checks": "contract, code",
    "builds": "run_id, input",
}
_WRONG_ROWS = {
    "depth": "length(sizes) != 21",
    "spells": "end < begin",
    "bars": (
        "mid_low > least(mid_open, mid_close) OR mid_high < greatest(mid_open, mid_close)"
        " OR first_received_at < bar_start OR last_received_at >= bar_end"
        " OR states + one_sided_states + empty_states != frames"
    ),
    "gaps": "end <= begin",
    "phases": "end <= begin",
    "suspect_windows": "end < begin",
    "quality_report": "covered_seconds > expected_seconds + 0.001",
    "quality_checks": "NOT match(code, '^Q[0-9]{2}$')",
    "builds": "0",
}


@dataclass(frozen=True)
class Build:
    """A build under way: staging tables by table name, and the values that queries bind."""

    client: Client
    trade_date: date
    stages: Mapping[str, str]
    parameters: Mapping[str, Any]
    mark: str
    """End of the names of all tables of this build."""
    work_tables: list[str] = field(default_factory=list)

    def insert_query(self, table: str, sql: str, **extra: Any) -> None:
        """Fill the stage of ``table`` from the query ``sql``, which answers every column of the
        table, matched by name. May be called several times for one table."""
        self._fill(self.stages[table], sql, extra)

    def copy_of(self, table: str, name: str, **extra: Any) -> str:
        """Keep the answer of ``queries/NAME.sql`` in a table like ``table``, dropped at the end of
        the build; returns its name."""
        copy = f"{name}_rows{_MARK}{self.mark}"
        self.work_tables.append(copy)
        self.client.command(f"CREATE TABLE {copy} AS {table}")
        self._fill(copy, query(name), extra)
        return copy

    def work_table(self, name: str, states: str = "states", **extra: Any) -> str:
        """Keep the answer of ``queries/NAME.sql`` in a table as ``queries/NAME_table.sql`` has it,
        dropped at the end of the build; returns the table's name. ``states`` as in ``rows``."""
        table = f"{name}{_MARK}{self.mark}"
        self.work_tables.append(table)
        self.client.command(query(f"{name}_table"), {"work_table": table})
        self._fill(table, query(name, states=states), extra)
        return table

    def add_to(self, work_table: str, name: str, **extra: Any) -> None:
        """Add the answer of ``queries/NAME.sql`` to a table that ``work_table`` returned."""
        self._fill(work_table, query(name), extra)

    def _fill(self, table: str, sql: str, extra: Mapping[str, Any]) -> None:
        # The table's columns: to ask for the query's own would analyse the query twice.
        described = self.client.query(f"DESCRIBE TABLE {table}").result_rows
        columns = ", ".join(f"`{row[0]}`" for row in described)
        self.client.command(
            f"INSERT INTO {table} ({columns}) SELECT {columns} FROM ({sql})",
            {**self.parameters, **extra},
        )

    def insert_rows(self, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """Fill the stage of ``table``; instants are ints in the column's own unit."""
        if not rows:
            return
        stamped = [
            {
                "trade_date": self.trade_date,
                **row,
                "inputs_version": self.parameters["inputs_version"],
                "built_at": self.parameters["built_at_ms"],
            }
            for row in rows
        ]
        names = list(stamped[0])
        self.client.insert(
            self.stages[table], [[row[name] for name in names] for row in stamped], names
        )

    def rows(self, name: str, states: str = "states", **extra: Any) -> list[dict[str, Any]]:
        """Answer of ``queries/NAME.sql``, one dict a row. ``states``: what it includes for
        ``states.sql``."""
        answer = self.client.query(query(name, states=states), {**self.parameters, **extra})
        return list(answer.named_results())

    def count(self, table: str) -> int:
        """Rows in the stage of ``table``."""
        answer = self.client.query(f"SELECT count() FROM {self.stages[table]}")
        return int(answer.result_rows[0][0])

    def check(self) -> None:
        """Raise WarehouseError if a stage holds a row that cannot be, or a key twice."""
        for table, stage in self.stages.items():
            # Exact like a count of whole keys, at a fifth of its time: few groups, plain numbers.
            *groups, counted = _KEYS[table].split(", ")
            wrong, foreign, repeated = self.client.query(
                "SELECT sum(wrong), sum(foreign), sum(repeated) FROM ("
                f"SELECT countIf({_WRONG_ROWS[table]}) AS wrong, "
                "countIf(trade_date != {day:Date}) AS foreign, "
                f"count() - uniqExact({counted}) AS repeated "
                f"FROM {stage} GROUP BY ({', '.join(groups)}))",
                {"day": self.trade_date},
            ).result_rows[0]
            if wrong or foreign or repeated:
                raise WarehouseError(
                    f"{table} of {self.trade_date}: the new rows are not sound ({wrong} wrong, "
                    f"{foreign} of another date, {repeated} keys repeated), so the old rows were "
                    "kept. This is a defect of queries/*.sql: please report it with the trade date."
                )

    def publish(self) -> dict[str, int]:
        """Swap every stage in, in the order of the stages; returns the row counts by table."""
        counts = {}
        for table, stage in self.stages.items():
            counts[table] = self.count(table)
            partition = f"PARTITION '{self.trade_date:%Y-%m-%d}'"
            # ClickHouse refuses to replace from a table without the partition.
            change = f"REPLACE {partition} FROM {stage}" if counts[table] else f"DROP {partition}"
            self.client.command(f"ALTER TABLE {table} {change}")
        return counts


@contextmanager
def staged(
    client: Client, trade_date: date, tables: Sequence[str], parameters: Mapping[str, Any]
) -> Iterator[Build]:
    """Empty staging tables for ``tables``, dropped at the end whatever happens."""
    mark = f"{_mark_of(trade_date)}{secrets.token_hex(6)}"
    stages = {table: f"{table}{_MARK}{mark}" for table in tables}
    build = Build(client, trade_date, stages, parameters, mark)
    try:
        for table, stage in stages.items():
            client.command(f"CREATE TABLE {stage} AS {table}")
        # Once the own ones are there: of two builds that begin together, one sees the other's.
        drop_leftovers(client, build)
        yield build
    finally:
        for stage in (*stages.values(), *build.work_tables):
            client.command(f"DROP TABLE IF EXISTS {stage} SYNC")


def drop_leftovers(client: Client, beside: Build | None = None) -> list[str]:
    """Drop staging tables that a killed build left more than a day ago, and all of the date of
    ``beside`` but its own; returns their names."""
    named = {
        "mark": _MARK,
        "of_date": f"{_MARK}{_mark_of(beside.trade_date)}" if beside else "\n",
        "own": beside.mark if beside else "\n",
    }
    names = [str(row[0]) for row in client.query(_LEFTOVERS, named).result_rows]
    for name in names:
        logger.warning("dropping the staging table %s of a build that died", name)
        client.command(f"DROP TABLE IF EXISTS `{name}` SYNC")
    return names


def _mark_of(trade_date: date) -> str:
    return f"{trade_date:%Y%m%d}_"
