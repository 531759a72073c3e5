"""``ib-platform bars``, ``depth``, ``quality`` and ``export``: output, files, refusals."""

from __future__ import annotations

import csv
import json
import os
import pty
import subprocess
import sys
from datetime import timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pandas
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow.parquet import ParquetFile, read_table

from ib_platform.cli import main
from ib_platform.research import rows as rows_module
from ib_platform.research.api import Warehouse
from ib_platform_tests.research.conftest import CL, ES, NOON, TUESDAY, WEDNESDAY

WEDNESDAY_ALONE = ("--date", "2026-11-18")


def run(config_file: Path, *arguments: str) -> Result:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(
        main, [*arguments, "--config", str(config_file)]
    )
    if result.exception is not None:
        assert isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_table_of_bars(config_file: Path) -> None:
    result = run(config_file, "bars", CL, *WEDNESDAY_ALONE)
    assert result.exit_code == 0, result.output
    assert "spread_time_weighted" in result.stdout
    assert result.stdout.count("degraded") == 3, "the verdict of the date"
    assert "2026-11-18 18:00:00Z" in result.stdout
    assert "59.9 " in result.stdout
    assert "59.900" not in result.stdout
    assert result.stdout.count("2026-11-18 18:0") == 3
    assert result.stderr == ""


def test_a_table_shows_some_and_says_so(config_file: Path) -> None:
    result = run(config_file, "depth", CL, *WEDNESDAY_ALONE, "--limit", "4")
    assert result.exit_code == 0
    assert result.stdout.count("2026-11-18 18:00:0") == 4
    assert "4 rows of at most 62; --limit shows more" in result.stderr
    whole = run(config_file, "depth", CL, *WEDNESDAY_ALONE, "--limit", "62")
    assert whole.stdout.count("2026-11-18 18:0") == 62
    assert whole.stderr == ""


def test_a_table_of_reports(config_file: Path) -> None:
    everyone = run(config_file, "quality", *WEDNESDAY_ALONE)
    assert everyone.exit_code == 0
    assert [name for name in (CL, ES, "conid.77") if name in everyone.stdout] == [
        CL,
        ES,
        "conid.77",
    ]
    best = run(config_file, "quality", "--from", "2026-11-17", "--min-verdict", "available")
    assert (CL in best.stdout, ES in best.stdout) == (True, False)


def test_a_table_of_checks(config_file: Path) -> None:
    found = run(config_file, "quality", CL, *WEDNESDAY_ALONE, "--checks")
    assert found.exit_code == 0, found.output
    lines = [line for line in found.stdout.splitlines() if f"│ {CL}" in line]
    assert len(lines) == 33
    assert [cell.strip() for cell in lines[0].split("│")[3:6]] == ["Q01", "coverage", "fail"]
    assert found.stderr == ""
    refused = run(config_file, "quality", CL, "--checks", "--min-verdict", "available")
    assert refused.exit_code == 2
    assert "--min-verdict means nothing for checks" in refused.stderr


def test_csv_is_what_the_api_says(config_file: Path, warehouse_of_record: Warehouse) -> None:
    result = run(config_file, "depth", CL, *WEDNESDAY_ALONE, "--format", "csv")
    assert result.exit_code == 0
    found = list(csv.DictReader(StringIO(result.stdout)))
    expected = warehouse_of_record.depth(CL, WEDNESDAY).arrow().to_pylist()
    assert len(found) == len(expected)
    for line, row in zip(found, expected, strict=True):
        assert Decimal(line["best_bid"]) == row["best_bid"]
        assert json.loads(line["sizes"]) == row["sizes"]
        assert pandas.Timestamp(line["received_at"]) == row["received_at"]
        assert line["last_price"] == "", "NULL is empty"
    report = run(config_file, "quality", CL, *WEDNESDAY_ALONE, "--format", "csv")
    (line,) = csv.DictReader(StringIO(report.stdout))
    assert "competing_login" in json.loads(line["gap_seconds_by_cause"])
    assert isinstance(json.loads(line["reasons"]), list)


def test_a_file_by_its_name(
    config_file: Path, tmp_path: Path, warehouse_of_record: Warehouse
) -> None:
    for name in ("bars.parquet", "bars.csv"):
        file = tmp_path / name
        result = run(
            config_file, "bars", CL, "--size", "1s", *WEDNESDAY_ALONE, "--output", str(file)
        )
        assert result.exit_code == 0, result.output
        rows = warehouse_of_record.bars(CL, "1s", WEDNESDAY).at_most
        assert result.stdout == f"{file}: {rows:,} rows\n"
        assert result.stderr == "", "no progress bar where nobody looks"
    expected = warehouse_of_record.bars(CL, "1s", WEDNESDAY).arrow()
    found = read_table(tmp_path / "bars.parquet")
    assert found.to_pylist() == expected.to_pylist()
    assert str(found.schema.field("bar_start").type).endswith("tz=UTC]")
    assert found.schema.field("mid_open").type == pa.decimal128(18, 9)
    assert len(pandas.read_csv(tmp_path / "bars.csv")) == expected.num_rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bars.csv", "bars.parquet"]


def test_a_file_is_not_overwritten_unasked(config_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "bars.csv"
    file.write_text("mine")
    ask = ("bars", CL, *WEDNESDAY_ALONE, "--output", str(file))
    refused = run(config_file, *ask)
    assert refused.exit_code == 2
    assert f"{file} exists already; --force replaces it" in refused.stderr
    assert file.read_text() == "mine"
    assert run(config_file, *ask, "--force").exit_code == 0
    assert file.read_text().startswith('"trade_date"')


def test_columns_floats_and_filters(config_file: Path, tmp_path: Path) -> None:
    file = tmp_path / "depth.parquet"
    result = run(
        config_file, "depth", CL, *WEDNESDAY_ALONE, "--columns", "best_bid, received_at",
        "--floats", "--drop-suspect", "--output", str(file),
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = read_table(file)
    assert table.schema.names == ["best_bid", "received_at"]
    assert table.schema.field("best_bid").type == pa.float64()
    assert 0 < table.num_rows < 62


def test_a_big_file_is_written_in_bounded_pieces(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_module.Rows.batches, "__defaults__", (100,))
    file = tmp_path / "depth.parquet"
    assert (
        run(config_file, "depth", CL, "--date", "2026-11-17", "--output", str(file)).exit_code == 0
    )
    written = ParquetFile(file)
    groups = [written.metadata.row_group(n).num_rows for n in range(written.num_row_groups)]
    assert max(groups) <= 100
    assert sum(groups) == 4320


def test_export_of_every_contract(config_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    result = run(config_file, "export", "quotes", "--from", "2026-11-17", "--output", str(folder))
    assert result.exit_code == 0, result.output
    rows = {path.name: read_table(path).num_rows for path in folder.iterdir()}
    assert rows == {f"quotes_{CL}.parquet": 5, f"quotes_{ES}.parquet": 0}
    bars = run(
        config_file, "export", "bars", CL, "77", "--size", "1d", *WEDNESDAY_ALONE,
        "--format", "csv", "--output", str(folder),
    )  # fmt: skip
    assert bars.exit_code == 0, bars.output
    assert (folder / f"bars_1d_{CL}.csv").is_file()
    assert (folder / "bars_1d_77.csv").is_file()
    for table in ("gaps", "quality", "checks"):
        every = run(config_file, "export", table, *WEDNESDAY_ALONE, "--output", str(folder))
        assert every.stdout.startswith(f"{folder / table}.parquet: ")
        assert set(read_table(folder / f"{table}.parquet")["contract"].to_pylist()) >= {CL, ES}


def test_export_says_what_it_leaves_out(config_file: Path, tmp_path: Path) -> None:
    named = run(
        config_file, "export", "quotes", ES, "--date", "2026-11-03", "--output", str(tmp_path)
    )
    assert named.exit_code == 2
    assert f"{ES} has no rows in quote_frames" in named.stderr
    nothing = run(
        config_file, "export", "quotes", "--date", "2026-11-03", "--output", str(tmp_path)
    )
    assert nothing.exit_code == 2
    assert f"left out: {CL} has no rows in quote_frames" in nothing.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["bars", "CL.NYMEX.frnt"],
            "Did you mean CL.NYMEX.front? Known: CL.NYMEX.front (conid 1, 2)",
        ),
        (["bars", CL, "--size", "2m"], "no bar size '2m'; built are 1s"),
        (["bars", CL, "--columns", "close"], "no column 'close'; bars has trade_date"),
        (["bars", CL, "--date", "2026-11-21"], "2026-11-21 is a Saturday"),
        (["bars", CL, "--date", "2026-11-03"], "it has some on 3 trade dates, 2026-11-17 to"),
        (["bars", CL, "--from", "2026-11-18T18:00:00"], "has no time zone"),
        (["bars", CL, "--from", "2026-11-18", "--to", "2026-11-17"], "the span is empty"),
        (["quality", "--min-verdict", "good"], "no verdict 'good'; known, best first: available"),
        (["depth", CL, "--format", "parquet"], "name a file with --output"),
        (["depth", CL, "--output", "x.txt"], "x.txt ends neither in .csv nor in .parquet"),
        (["depth", CL, "--output", "x.csv", "--format", "table"], "a file is csv or parquet"),
        (["depth", CL, *WEDNESDAY_ALONE, "--output", "none/x.csv"], "none/x.csv cannot be created"),
        (["depth", CL, "--limit", "0"], "--limit"),
        (["export", "gaps", "--drop-suspect", "--output", "x"], "--drop-suspect means nothing"),
        (["export", "quotes", "--drop-suspect", "--output", "x"], "nothing for quotes"),
        (["export", "bars"], "Missing option '--output'"),
        (["export", "trades", "--output", "x"], "'trades' is not one of 'bars', 'depth'"),
    ],
)
def test_refusals(
    config_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(config_file, *arguments)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_finished_is_taken_away(config_file: Path, tmp_path: Path) -> None:
    """A process that may write files of 1000 bytes, no more."""
    file = tmp_path / "depth.csv"
    file.write_text("the old one")
    command = [
        sys.executable, "-m", "ib_platform.cli", "depth", CL, *WEDNESDAY_ALONE,
        "--config", str(config_file), "--output", str(file), "--force",
    ]  # fmt: skip
    done = subprocess.run(
        ["prlimit", "--fsize=1000", *command], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1, done.stderr
    assert f"{file} cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["depth.csv"]
    assert file.read_text() == "the old one"


@pytest.mark.parametrize("device", ["/dev/null", "."])
def test_what_is_no_file_is_not_replaced(config_file: Path, device: str) -> None:
    result = run(
        config_file, "depth", CL, *WEDNESDAY_ALONE, "--output", device, "--force", "--format", "csv"
    )
    assert result.exit_code == 2
    assert f"{device} is there, and is no file that could be replaced" in result.stderr


def test_a_progress_bar_on_a_terminal(config_file: Path, tmp_path: Path) -> None:
    """Standard error is a terminal, standard output is not."""
    ours, theirs = pty.openpty()
    command = [
        sys.executable, "-m", "ib_platform.cli", "depth", CL, "--date", TUESDAY.isoformat(),
        "--config", str(config_file), "--output", str(tmp_path / "depth.parquet"),
    ]  # fmt: skip
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"}
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 4096):
                shown += chunk
        except OSError:
            pass  # How Linux says that the other end of a terminal was closed.
        assert process.stdout is not None
        output = process.stdout.read().decode()
    os.close(ours)
    assert process.returncode == 0
    assert b"4320/4320" in shown
    assert output == f"{tmp_path / 'depth.parquet'}: 4,320 rows\n"


def test_an_open_span_ends_now(config_file: Path) -> None:
    hour = (NOON - timedelta(hours=1)).isoformat()
    result = run(config_file, "bars", CL, "--size", "1d", "--from", hour)
    assert result.exit_code == 0
    assert result.stdout.count("2026-11-1") == 1, "of bars that start in the span: Thursday's"
