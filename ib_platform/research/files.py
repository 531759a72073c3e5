"""Rows into CSV and Parquet, batch by batch: what is in memory does not grow with the span."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from ib_platform.errors import ConfigurationError, PlatformError
from ib_platform.research.frames import float_schema
from ib_platform.research.rows import Rows
from ib_platform.research.words import flat

if TYPE_CHECKING:
    import pyarrow as pa

Watch = Callable[[Iterable["pa.RecordBatch"], int], Iterable["pa.RecordBatch"]]
"""Sees batches pass by, of at most so many rows: a progress bar."""


class FileFormat(StrEnum):
    """Formats of files."""

    CSV = "csv"
    PARQUET = "parquet"


def write_file(
    rows: Rows,
    file: Path,
    form: FileFormat,
    *,
    floats: bool = False,
    force: bool = False,
    watch: Watch = lambda batches, _: batches,
) -> int:
    """Write all rows to ``file`` and return how many. The file is there as a whole or not at all.

    Raises:
        ConfigurationError: it exists and ``force`` is not given, is no regular file, or cannot be
            created.
        PlatformError: it cannot be written to its end.
        WarehouseError: ClickHouse did not answer to the end.
    """
    if file.exists() and not file.is_file():
        raise ConfigurationError(f"{file} is there, and is no file that could be replaced")
    if file.exists() and not force:
        raise ConfigurationError(f"{file} exists already; --force replaces it")
    with _new_file(file) as sink:
        return write(rows, sink, form, floats=floats, watch=watch)


def write(
    rows: Rows,
    sink: IO[bytes],
    form: FileFormat,
    *,
    floats: bool = False,
    watch: Watch = lambda batches, _: batches,
) -> int:
    """Write all rows to ``sink`` and return how many."""
    schema = float_schema(rows.schema) if floats else rows.schema
    written = 0
    with _writer(sink, form, schema) as put:
        for batch in watch(rows.batches(floats=floats), rows.at_most):
            put(batch)
            written += batch.num_rows
    return written


@contextmanager
def _writer(
    sink: IO[bytes], form: FileFormat, schema: pa.Schema
) -> Iterator[Callable[[pa.RecordBatch], Any]]:
    if form is FileFormat.PARQUET:
        from pyarrow.parquet import ParquetWriter

        with ParquetWriter(sink, schema, compression="zstd") as parquet:
            yield parquet.write_batch
        return
    import pyarrow as pa
    from pyarrow.csv import CSVWriter

    with CSVWriter(sink, flat(pa.RecordBatch.from_pylist([], schema)).schema) as csv:
        yield lambda batch: csv.write_batch(flat(batch))


@contextmanager
def _new_file(file: Path) -> Iterator[IO[bytes]]:
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        sink = part.open("xb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be created: {error.strerror}") from error
    try:
        with sink:
            yield sink
        part.replace(file)
    except OSError as error:
        raise PlatformError(f"{file} cannot be written: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
