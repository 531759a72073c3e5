"""Exports read back by pyarrow and polars, compared with ClickHouse; nothing is ever replaced."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars
import pyarrow as pa
import pytest
from pyarrow.parquet import read_schema, read_table

from ib_platform.errors import PlatformError
from ib_platform.retention import export as module
from ib_platform.retention.export import export, in_batches, stored_batches
from ib_platform.retention.plan import TABLES
from ib_platform_tests.retention.recorded import FIRST, LAST, MIDDLE, count


def add_quotes(client: Any) -> None:
    at = datetime(2026, 11, 16, 18, tzinfo=UTC)
    client.insert(
        "quote_frames",
        [[FIRST, at, 1, "alpha", "run", 7, None, "C"], [FIRST, at, 1, "alpha", "run", 8, at, None]],
        ["trade_date", "received_at", "conid", "paper_user", "run_id", "seq", "updated_at",
         "last_prefix"],
    )  # fmt: skip


def test_every_table_is_exported_as_it_is(finished: Any, tmp_path: Path) -> None:
    add_quotes(finished)
    for table in TABLES:
        done = export(finished, table, FIRST, tmp_path)
        assert done.file == tmp_path / table / "2026-11-16.parquet"
        assert done.rows == count(finished, table, FIRST) > 0
        assert done.sha256 == hashlib.sha256(done.file.read_bytes()).hexdigest()
        beside = done.file.with_name("2026-11-16.parquet.sha256").read_text()
        assert beside == f"{done.sha256}  2026-11-16.parquet\n"
        found = read_table(done.file)
        expected = pa.Table.from_batches(stored_batches(finished, table, FIRST))
        assert found.equals(expected)
        assert set(found["trade_date"].to_pylist()) == {FIRST}
        columns = finished.query(f"DESCRIBE TABLE {table}").result_rows
        assert found.schema.names == [row[0] for row in columns]


def test_what_polars_reads_is_what_clickhouse_says(finished: Any, tmp_path: Path) -> None:
    file = export(finished, "bars", MIDDLE, tmp_path).file
    frame = polars.read_parquet(file).filter(polars.col("bar_size") == "1h").sort("bar_start")
    rows = finished.query(
        "SELECT bar_start, mid_close, states, suspect, imbalance_close, last_received_at "
        "FROM bars WHERE trade_date = {day:Date} AND bar_size = '1h' ORDER BY bar_start",
        {"day": MIDDLE},
    ).result_rows
    assert len(rows) == frame.height == 24
    for row, start, close, states, suspect, imbalance in zip(
        rows, frame["bar_start"], frame["mid_close"], frame["states"], frame["suspect"],
        frame["imbalance_close"], strict=True,
    ):  # fmt: skip
        assert row[:5] == (start.replace(tzinfo=None), close, states, suspect, imbalance)
    depth = polars.read_parquet(export(finished, "depth", MIDDLE, tmp_path).file)
    assert depth["sizes"].list.len().unique().to_list() == [21]
    assert str(depth.schema["received_at"]) == "Datetime(time_unit='ns', time_zone='UTC')"


def test_payloads_are_the_bytes_that_came(finished: Any, tmp_path: Path) -> None:
    file = export(finished, "frames", FIRST, tmp_path).file
    schema = read_schema(file)
    assert schema.field("payload").type == pa.binary()
    assert schema.field("run_id").type == pa.string()
    payloads = set(read_table(file)["payload"].to_pylist())
    assert {b"\x00\xff not UTF-8", b"", "\u20ac".encode(), b"x" * 1000} == payloads


def test_a_row_that_is_stored_twice_is_exported_once(finished: Any, tmp_path: Path) -> None:
    rows = count(finished, "frames", FIRST)
    finished.command("SYSTEM STOP MERGES frames")
    finished.command("INSERT INTO frames SELECT * FROM frames WHERE trade_date = '2026-11-16'")
    assert count(finished, "frames", FIRST) == 2 * rows
    assert export(finished, "frames", FIRST, tmp_path).rows == rows


def test_an_export_that_is_there_already_is_taken_as_it_is(finished: Any, tmp_path: Path) -> None:
    first = export(finished, "bars", FIRST, tmp_path)
    written = first.file.stat().st_mtime_ns
    assert export(finished, "bars", FIRST, tmp_path) == first
    assert first.file.stat().st_mtime_ns == written


@pytest.mark.parametrize("other", ["other rows", "no Parquet"])
def test_a_file_that_holds_something_else_is_never_replaced(
    finished: Any, tmp_path: Path, other: str
) -> None:
    file = export(finished, "bars", FIRST, tmp_path).file
    if other == "no Parquet":
        file.write_bytes(b"mine")
    before = file.read_bytes()
    finished.command(
        "ALTER TABLE bars DELETE WHERE trade_date = '2026-11-16' AND bar_size = '1s'",
        settings={"mutations_sync": 1},
    )
    second = export(finished, "bars", FIRST, tmp_path)
    assert second.file.name == "2026-11-16.2.parquet"
    assert second.rows == count(finished, "bars", FIRST)
    assert file.read_bytes() == before
    assert export(finished, "bars", FIRST, tmp_path) == second
    assert export(finished, "bars", LAST, tmp_path).file.name == "2026-11-18.parquet"


def test_a_part_that_a_killed_process_left_is_written_anew(finished: Any, tmp_path: Path) -> None:
    part = tmp_path / "bars" / ".2026-11-16.parquet.part"
    part.parent.mkdir()
    part.write_bytes(b"half")
    export(finished, "bars", FIRST, tmp_path)
    assert sorted(file.name for file in part.parent.iterdir()) == [
        "2026-11-16.parquet",
        "2026-11-16.parquet.sha256",
    ]


def test_a_folder_that_cannot_be_written_is_an_error(finished: Any, tmp_path: Path) -> None:
    (tmp_path / "bars").write_text("a file")
    with pytest.raises(PlatformError, match="bars of 2026-11-16 cannot be exported to .*/bars"):
        export(finished, "bars", FIRST, tmp_path)


@pytest.mark.parametrize("sizes", [[], [5], [3, 3, 3], [7, 1], [1] * 9, [4, 0, 4]])
def test_batches_are_cut_alike_whatever_comes(
    sizes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "BATCH_ROWS", 4)
    numbers = iter(range(sum(sizes)))
    given = [pa.record_batch({"n": pa.array([next(numbers) for _ in range(s)], pa.int64())})
             for s in sizes]  # fmt: skip
    found = list(in_batches(iter(given)))
    assert [n for batch in found for n in batch["n"].to_pylist()] == list(range(sum(sizes)))
    assert all(batch.num_rows == 4 for batch in found[:-1])


def test_one_changed_value_is_seen(
    finished: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several row groups, in the last of them."""
    monkeypatch.setattr(module, "BATCH_ROWS", 10)
    file = export(finished, "depth", FIRST, tmp_path).file
    assert module._holds(finished, "depth", FIRST, file)
    finished.command(
        "ALTER TABLE depth UPDATE ask_size = 8 WHERE seq = 23", settings={"mutations_sync": 1}
    )
    assert count(finished, "depth", FIRST) == read_table(file).num_rows
    assert not module._holds(finished, "depth", FIRST, file)
