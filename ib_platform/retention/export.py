"""A partition as a Parquet file: written, read back, and compared with what is stored, row by row.

What is in memory is two batches, whatever the size of the partition.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from ib_platform.errors import PlatformError

if TYPE_CHECKING:
    import pyarrow as pa
    from clickhouse_connect.driver.client import Client

BATCH_ROWS = 65_536
FINAL_TABLES = ("frames", "ladder_frames", "quote_frames")
"""Tables that may hold a row twice until parts are merged."""
_BYTES = {("frames", "payload")}
"""Columns whose text need not be UTF-8."""
_SETTINGS = {"max_block_size": BATCH_ROWS, "do_not_merge_across_partitions_select_final": 1}
_COLUMNS = """
SELECT name, type FROM system.columns
WHERE database = currentDatabase() AND table = {table:String} ORDER BY position
"""
_KEY = """
SELECT sorting_key FROM system.tables
WHERE database = currentDatabase() AND name = {table:String}
"""


@dataclass(frozen=True)
class Export:
    """A file that holds a partition. ``sha256``: of the file as it is on disk, hexadecimal."""

    file: Path
    rows: int
    bytes: int
    sha256: str


def export(client: Client, table: str, day: date, folder: Path) -> Export:
    """The partition in ``folder``/TABLE/DATE.parquet, or DATE.2.parquet where that file holds other
    rows: no file is ever replaced. A file that holds exactly these rows already is taken as it is.

    Raises:
        PlatformError: it cannot be written, or what was read back differs from what is stored.
    """
    home = folder / table
    try:
        home.mkdir(parents=True, exist_ok=True)
        existing = _existing(home, day)
        newest = max(existing, default=0)
        if newest and _holds(client, table, day, existing[newest]):
            return _sealed(existing[newest])
        number = newest + 1
        file = home / (f"{day}.parquet" if number == 1 else f"{day}.{number}.parquet")
        part = file.with_name(f".{file.name}.part")
        _write(client, table, day, part)
        if not _holds(client, table, day, part):
            raise PlatformError(
                f"{part}: what was read back differs from {table} of {day} in ClickHouse. The disk "
                "may be failing, or rows have just come. Nothing was dropped; run it again."
            )
        part.rename(file)
        _sync(home)
        return _sealed(file)
    except OSError as error:
        raise PlatformError(
            f"{table} of {day} cannot be exported to {home}: {error.strerror or error}. Nothing of "
            "it was dropped."
        ) from error


def stored_batches(client: Client, table: str, day: date) -> Generator[pa.RecordBatch]:
    """All rows of a partition in the order of the table's key, each once."""
    import pyarrow as pa

    columns = client.query(_COLUMNS, {"table": table}).result_rows
    ((key,),) = client.query(_KEY, {"table": table}).result_rows
    final = " FINAL" if table in FINAL_TABLES else ""
    selected = ", ".join(_expression(name, kind) for name, kind in columns)
    sql = (
        f"SELECT {selected} FROM {table} AS t{final} "
        f"WHERE t.trade_date = {{day:Date}} ORDER BY {key}"
    )
    # Strings as bytes: a payload is what came, whatever it is. All others are UTF-8.
    with client.query_arrow_stream(
        sql, {"day": day}, settings=_SETTINGS, use_strings=False
    ) as batches:
        for batch in batches:
            yield pa.RecordBatch.from_arrays(
                [
                    column.cast(pa.string())
                    if pa.types.is_binary(column.type) and (table, name) not in _BYTES
                    else column
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                ],
                batch.schema.names,
            )


def _expression(name: str, kind: str) -> str:
    """Arrow from ClickHouse: an enum is a number and a DateTime is one too. Parquet has no instants
    of whole seconds."""
    if kind.startswith("Enum"):
        return f"toString(t.`{name}`) AS `{name}`"
    if kind.startswith("DateTime("):
        return f"toDateTime64(t.`{name}`, 3, 'UTC') AS `{name}`"
    return f"t.`{name}` AS `{name}`"


def _write(client: Client, table: str, day: date, file: Path) -> None:
    from pyarrow.parquet import ParquetWriter

    batches = in_batches(stored_batches(client, table, day))
    first = next(batches)
    with file.open("wb") as sink:
        with ParquetWriter(sink, first.schema, compression="zstd") as parquet:
            parquet.write_batch(first)
            for batch in batches:
                parquet.write_batch(batch)
        sink.flush()
        os.fsync(sink.fileno())


def _holds(client: Client, table: str, day: date, file: Path) -> bool:
    """Whether the file has exactly the rows that are stored, in their order."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(file) as parquet, closing(stored_batches(client, table, day)) as stored:
            written = in_batches(parquet.iter_batches(BATCH_ROWS))
            pairs = zip_longest(in_batches(stored), written)
            return all(ours is not None and ours.equals(theirs) for ours, theirs in pairs)
    except pa.ArrowInvalid:
        # Not Parquet at all: a file that somebody else put there, or that the disk has broken.
        return False


def in_batches(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same rows in batches of exactly ``BATCH_ROWS``, the last one smaller."""
    import pyarrow as pa

    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= BATCH_ROWS:
            table = pa.Table.from_batches(waiting)
            yield _one(table.slice(0, BATCH_ROWS))
            waiting = table.slice(BATCH_ROWS).to_batches()
            count -= BATCH_ROWS
    if count:
        yield _one(pa.Table.from_batches(waiting))


def _one(table: pa.Table) -> pa.RecordBatch:
    (batch,) = table.combine_chunks().to_batches()
    return batch


def _existing(home: Path, day: date) -> dict[int, Path]:
    """Files of the date by their number; older ones may have been taken elsewhere."""
    files = {1: home / f"{day}.parquet"}
    for file in home.glob(f"{day}.*.parquet"):
        number = file.name.split(".")[1]
        if number.isdecimal():
            files[int(number)] = file
    return {number: file for number, file in files.items() if file.exists()}


def _sealed(file: Path) -> Export:
    """The file with its SHA-256, which also stands beside it for ``sha256sum --check``."""
    from pyarrow.parquet import ParquetFile

    with file.open("rb") as source:
        digest = hashlib.file_digest(source, "sha256").hexdigest()
    beside = file.with_name(f"{file.name}.sha256")
    with beside.open("w", encoding="utf-8") as sink:
        sink.write(f"{digest}  {file.name}\n")
        sink.flush()
        os.fsync(sink.fileno())
    _sync(file.parent)
    with ParquetFile(file) as parquet:
        rows = parquet.metadata.num_rows
    return Export(file, rows, file.stat().st_size, digest)


def _sync(folder: Path) -> None:
    """A new name survives the loss of the machine."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
