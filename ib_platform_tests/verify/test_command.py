"""``ib-platform verify`` as a person runs it: tables, JSON, exit codes, refusals."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import ClickHouse, dump_config
from ib_platform.paths import PodPaths
from ib_platform_tests.support import make_config
from ib_platform_tests.verify.recorded import again, begin_run, change, delete, load, recorded

DAY = "2025-11-13"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Spool of paper user alpha."""
    return PodPaths(tmp_path / "state", "alpha").spool


@pytest.fixture
def file(tmp_path: Path, warehouse: ClickHouse) -> Path:
    config = make_config(tmp_path / "state", clickhouse=warehouse.model_dump())
    path = tmp_path / "ib_platform.yaml"
    path.write_text(dump_config(config), encoding="utf-8")
    return path


def run(file: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(
        main, ["verify", "--config", str(file), *arguments], env={"COLUMNS": "250"}
    )
    if result.exception is not None:
        assert isinstance(result.exception, SystemExit), result.exception
    return result


def test_a_clean_day_in_words(file: Path, folder: Path, warehouse: ClickHouse) -> None:
    run_id = recorded(folder, warehouse)
    result = run(file, "--date", DAY, "--paper-user", "alpha")
    assert (result.exit_code, result.stderr) == (0, "")
    first, *_, spool, last = result.stdout.splitlines()
    assert first == ("frames from 2025-11-12T22:30:00.000000000Z to 2025-11-13T22:30:00.000000000Z")
    assert run_id in result.stdout
    assert spool == (
        "spool of alpha: 20 frames of 1 segments compared with their rows, 0 differ, "
        "0 not loaded yet"
    )
    assert last == "verified: 20 received, 20 stored"


def test_a_loss_has_an_exit_code_of_its_own(
    file: Path, folder: Path, warehouse: ClickHouse
) -> None:
    recorded(folder, warehouse)
    change(warehouse, delete("seq = 5"))
    result = run(file, "--date", DAY)
    assert result.exit_code == 10
    assert "not stored: seq 5" in result.stdout
    assert "NOT VERIFIED: 1 findings that nothing explains" in result.stdout
    assert "docs/verify.md" in result.stderr


def test_json(file: Path, folder: Path, warehouse: ClickHouse) -> None:
    run_id = recorded(folder, warehouse)
    change(warehouse, delete("seq = 5"), again("seq = 6"))
    result = run(file, "--from", DAY, "--to", DAY, "--json")
    assert result.exit_code == 10
    found = json.loads(result.stdout)
    assert found["verified"] is False
    assert found["begin"] == "2025-11-12T22:30:00.000000000Z"
    assert found["total"]["received"] == 20
    assert found["total"]["stored"] == 19
    assert found["total"]["unexplained"] == 1
    (one,) = found["runs"]
    assert (one["run_id"], one["end"], one["paper_user"]) == (run_id, "stopped", "alpha")
    kinds = {(f["kind"], f["standing"], f["frames"]) for f in one["findings"]}
    assert kinds == {("missing", "unexplained", 1), ("repeated", "harmless", 1)}
    spools = {spool["paper_user"]: spool for spool in found["spools"]}
    assert spools["alpha"]["compared"] == 19
    assert spools["beta"]["segments"] == 0
    assert "no spool on this machine" in spools["beta"]["findings"][0]["text"]


def test_frames_that_wait_in_the_spool_are_no_failure(
    file: Path, folder: Path, warehouse: ClickHouse
) -> None:
    begin_run(folder, 5).close()
    result = run(file, "--date", DAY)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1] == "verified: 5 received, 0 stored, 5 not loaded yet"


def test_an_instant_cuts_the_run(file: Path, folder: Path, warehouse: ClickHouse) -> None:
    load(begin_run(folder, 20), warehouse)
    span = ["--from", "2025-11-13T13:20:02Z", "--to", "2025-11-13T07:20:06-06:00"]
    result = run(file, *span, "--json")
    assert json.loads(result.stdout)["total"]["stored"] == 8


def test_nothing_today(file: Path) -> None:
    result = run(file)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-1].startswith("nothing was received in this span")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--from", "2025-11-13T13:20:02"], "has no time zone"),
        (["--date", "2025-11-15"], "is a Saturday"),
        (["--date", DAY, "--to", DAY], "leave out --from and --to"),
        (["--paper-user", "gamma"], "known: alpha, beta"),
    ],
)
def test_refusals(file: Path, arguments: list[str], words: str) -> None:
    result = run(file, *arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stdout == ""
