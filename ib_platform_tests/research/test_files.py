"""Files are there as a whole or not at all, and hold what was read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
from pyarrow import csv

from ib_platform.errors import ConfigurationError
from ib_platform.research.api import Warehouse
from ib_platform.research.files import FileFormat, write, write_file
from ib_platform_tests.research.conftest import CL, ES, TUESDAY, WEDNESDAY


class InterruptedReadingError(Exception):
    """What a test raises in the middle."""


def interrupted(batches: Iterable[pa.RecordBatch], at_most: int) -> Iterator[pa.RecordBatch]:
    assert at_most == 4320
    yield next(iter(batches)).slice(0, 10)
    raise InterruptedReadingError


@pytest.mark.parametrize("form", list(FileFormat))
@pytest.mark.parametrize("older", [None, b"the old one"])
def test_what_breaks_off_leaves_things_as_they_were(
    warehouse_of_record: Warehouse, tmp_path: Path, form: FileFormat, older: bytes | None
) -> None:
    file = tmp_path / "depth"
    if older is not None:
        file.write_bytes(older)
    rows = warehouse_of_record.depth(CL, TUESDAY)
    with pytest.raises(InterruptedReadingError):
        write_file(rows, file, form, force=True, watch=interrupted)
    found = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert found == ({} if older is None else {"depth": older})
    assert write_file(rows, file, form, force=True) == 4320
    assert [path.name for path in tmp_path.iterdir()] == ["depth"]


@pytest.mark.parametrize("form", list(FileFormat))
def test_the_folder_must_exist(
    warehouse_of_record: Warehouse, tmp_path: Path, form: FileFormat
) -> None:
    rows = warehouse_of_record.bars(CL, "1d", TUESDAY)
    with pytest.raises(ConfigurationError, match="absent/x cannot be created: No such file"):
        write_file(rows, tmp_path / "absent" / "x", form)


@pytest.mark.parametrize("floats", [False, True])
def test_parquet_holds_the_same_table(warehouse_of_record: Warehouse, floats: bool) -> None:
    for rows in (
        warehouse_of_record.depth(CL, TUESDAY, WEDNESDAY),
        warehouse_of_record.quality(None, TUESDAY, WEDNESDAY),
        warehouse_of_record.gaps(None, TUESDAY, WEDNESDAY),
    ):
        sink = BytesIO()
        count = write(rows, sink, FileFormat.PARQUET, floats=floats)
        found = parquet.read_table(BytesIO(sink.getvalue()))
        expected = rows.arrow(floats=floats)
        assert count == expected.num_rows
        assert found.to_pylist() == expected.to_pylist()
        assert found.schema.types == expected.schema.types


def test_nothing_is_a_file_with_columns(warehouse_of_record: Warehouse) -> None:
    rows = warehouse_of_record.depth(ES, TUESDAY)
    for form in FileFormat:
        sink = BytesIO()
        assert write(rows, sink, form) == 0
        source = BytesIO(sink.getvalue())
        found = parquet.read_table(source) if form is FileFormat.PARQUET else csv.read_csv(source)
        assert (found.num_rows, found.schema.names) == (0, rows.schema.names)
