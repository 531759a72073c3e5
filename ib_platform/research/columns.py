"""Columns of a table as they are read: names, SQL expressions, Arrow schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ib_platform.errors import SelectionError

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

_COLUMNS = """
SELECT name, type FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} ORDER BY position
"""


class Table(StrEnum):
    """Tables and views that can be read; docs/data.md has their columns."""

    BARS = "bars"
    CONTINUOUS = "continuous_bars"
    DEPTH = "depth"
    QUOTES = "quote_frames"
    GAPS = "gaps"
    QUALITY = "quality_report"
    CHECKS = "quality_checks"

    @property
    def instant(self) -> str:
        """The column that a span is compared with; of reports and checks the trade date is."""
        return _INSTANTS[self]

    @property
    def order(self) -> str:
        """How the rows of one contract are ordered."""
        return _ORDERS[self]

    @property
    def of_bars(self) -> bool:
        """Whether its rows are bars."""
        return self in (Table.BARS, Table.CONTINUOUS)


_INSTANTS = {
    Table.BARS: "bar_start",
    Table.CONTINUOUS: "bar_start",
    Table.DEPTH: "received_at",
    Table.QUOTES: "received_at",
    Table.GAPS: "begin",
    Table.QUALITY: "trade_date",
    Table.CHECKS: "trade_date",
}
_ORDERS = {
    Table.BARS: "t.bar_start",
    Table.CONTINUOUS: "t.bar_start",
    Table.DEPTH: "t.received_at, t.run_id, t.seq",
    Table.QUOTES: "t.received_at, t.run_id, t.seq",
    Table.GAPS: "t.begin, t.contract",
    Table.QUALITY: "t.trade_date, t.contract",
    Table.CHECKS: "t.trade_date, t.contract, t.code",
}
_OF_A_BUILD = {
    "inputs_version": "CAST(NULL, 'Nullable(String)')",
    "built_at": "CAST(NULL, 'Nullable(DateTime64(3, \\'UTC\\'))')",
}


@dataclass(frozen=True)
class Columns:
    """Chosen columns of a table: ClickHouse type by name, in order."""

    table: Table
    types: dict[str, str]

    @classmethod
    def read(cls, client: Client, table: Table, chosen: Sequence[str] | None = None) -> Columns:
        """All columns of ``table``, or those that are named, in that order.

        Raises:
            SelectionError: no such column, or none at all.
        """
        rows = client.query(_COLUMNS, {"table": table.value}).result_rows
        types = {str(name): str(kind) for name, kind in rows}
        if chosen is None:
            return cls(table, types)
        wrong = [name for name in chosen if name not in types]
        if wrong or not chosen:
            what = f"no column {', '.join(map(repr, wrong))}" if wrong else "no column is named"
            raise SelectionError(f"{what}; {table.value} has {', '.join(types)}")
        return cls(table, {name: types[name] for name in chosen})

    def select(self, *, built: bool = True) -> str:
        """Expressions over the table under the name ``t``.

        ``built``: false where no build made the rows; they say NULL for its columns then.
        """
        return ", ".join(self._expression(name, built) for name in self.types)

    def _expression(self, name: str, built: bool) -> str:
        kind, column = self.types[name], f"t.`{name}`"
        if not built and name in _OF_A_BUILD:
            column = _OF_A_BUILD[name]
        # Arrow from ClickHouse: an enum is a number and a DateTime is one too.
        if kind.startswith("Enum"):
            column = f"toString({column})"
        elif kind.startswith("DateTime("):
            column = f"toDateTime64({column}, 0, 'UTC')"
        return f"{column} AS `{name}`"

    def schema(self, client: Client) -> pa.Schema:
        """The schema of every answer. Columns of a build may be null in ``depth``."""
        import pyarrow as pa

        answer = client.query_arrow(f"SELECT {self.select()} FROM {self.table.value} AS t LIMIT 0")
        if self.table is not Table.DEPTH:
            return answer.schema
        return pa.schema(
            field.with_nullable(True) if field.name in _OF_A_BUILD else field
            for field in answer.schema
        )
