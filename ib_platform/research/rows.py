"""Rows that were asked for: nothing is read before they are, and then as a whole or in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.research.frames import float_schema, to_pandas, to_polars, with_floats
from ib_platform.warehouse.connect import warehouse_errors

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

BATCH_ROWS = 65_536


@dataclass(frozen=True)
class Statement:
    """A query with its bound parameters, and how many rows it answers at most."""

    sql: str
    bound: dict[str, Any]
    at_most: int


@dataclass(frozen=True, repr=False)
class Rows:
    """Rows of one table, in the order of time. Each call of a method below reads them anew.

    ``at_most``: how many there are, before suspect ones are dropped.
    Every method raises WarehouseError where ClickHouse does not answer, or refuses.
    """

    client: Client
    settings: ClickHouse
    schema: pa.Schema
    statements: Sequence[Statement]

    def __repr__(self) -> str:
        return f"<at most {self.at_most:,} rows of {', '.join(self.schema.names)}>"

    @property
    def at_most(self) -> int:
        return sum(statement.at_most for statement in self.statements)

    def batches(self, rows: int = BATCH_ROWS, *, floats: bool = False) -> Iterator[pa.RecordBatch]:
        """Record batches of at most ``rows`` rows, while the server still reads: what is in memory
        does not grow with the span. ``floats``: float64 in the place of decimals.

        The iterator holds a connection until it ends or is closed.
        """
        if rows < 1:
            raise ValueError(f"a batch of {rows} rows: at least one is needed")
        for statement in self.statements:
            for batch in self._answer(statement, rows):
                for first in range(0, batch.num_rows, rows):
                    part = batch.slice(first, rows).cast(self.schema)
                    yield with_floats(part) if floats else part

    def reader(self, rows: int = BATCH_ROWS, *, floats: bool = False) -> pa.RecordBatchReader:
        """The batches as what DuckDB, polars and ``pyarrow.dataset`` scan."""
        import pyarrow as pa

        schema = float_schema(self.schema) if floats else self.schema
        return pa.RecordBatchReader.from_batches(schema, self.batches(rows, floats=floats))

    def arrow(self, *, floats: bool = False) -> pa.Table:
        """All rows as one table."""
        return self.reader(floats=floats).read_all()

    def pandas(self, *, floats: bool = False) -> pandas.DataFrame:
        """All rows. Instants are datetime64 with zone UTC, integers keep NULL.

        Raises:
            MissingDependencyError: pandas is not installed.
        """
        return to_pandas(self.arrow(floats=floats))

    def polars(self, *, floats: bool = False) -> polars.DataFrame:
        """All rows. Instants are Datetime with zone UTC.

        Raises:
            MissingDependencyError: polars is not installed.
        """
        return to_polars(self.arrow(floats=floats))

    def _answer(self, statement: Statement, rows: int) -> Iterator[pa.RecordBatch]:
        with (
            _errors(self.settings),
            self.client.query_arrow_stream(
                statement.sql, statement.bound, settings={"max_block_size": rows}
            ) as batches,
        ):
            yield from batches


@contextmanager
def _errors(settings: ClickHouse) -> Iterator[None]:
    import pyarrow as pa

    try:
        with warehouse_errors(settings, "read"):
            yield
    except pa.ArrowInvalid as error:
        raise WarehouseError(
            f"ClickHouse at {settings.host}:{settings.port}: the answer broke off ({error})"
        ) from error
