"""Every command fails with one clear message and an exit code of its own, never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import ClickHouse, PlatformConfig, dump_config
from ib_platform_tests.support import make_config

NEEDS_CLICKHOUSE = ["migrate", "rebalance", "compact", "verify", "quality"]
NEEDS_PAPER_USER = ["gateway", "stream", "simulate"]
OTHERS = ["clickhouse", "demo", "stop", "bars", "depth", "export"]


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(main, list(arguments))
    if result.exception is not None:
        assert isinstance(result.exception, SystemExit), result.exception
    return result


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write(make_config(tmp_path / "state"), tmp_path)


def write(config: PlatformConfig, folder: Path) -> Path:
    file = folder / "ib_platform.yaml"
    file.write_text(dump_config(config), encoding="utf-8")
    return file


@pytest.mark.parametrize("command", [*NEEDS_CLICKHOUSE, "clickhouse", "stop"])
def test_a_missing_configuration(command: str, tmp_path: Path) -> None:
    result = run(command, "--config", str(tmp_path / "absent.yaml"))
    assert result.exit_code == 2
    assert "absent.yaml: cannot be read" in result.stderr


@pytest.mark.parametrize("command", NEEDS_PAPER_USER)
def test_an_unknown_paper_user(command: str, config_file: Path) -> None:
    result = run(command, "--config", str(config_file), "--paper-user", "gamma")
    assert result.exit_code == 2
    assert "no paper user 'gamma'" in result.stderr
    assert "known: alpha, beta" in result.stderr


@pytest.mark.parametrize("command", NEEDS_CLICKHOUSE)
def test_no_clickhouse(command: str, tmp_path: Path, config_file: Path) -> None:
    password = tmp_path / "state" / "clickhouse" / "password"
    password.parent.mkdir(parents=True)
    password.write_text("do-not-show", encoding="utf-8")
    password.chmod(0o600)
    result = run(command, "--config", str(config_file))
    assert result.exit_code == 8
    assert "Is `ib-platform clickhouse` running" in result.stderr
    assert "do-not-show" not in result.output


@pytest.mark.parametrize("day", ["2026-13-01", "yesterday"])
def test_a_trade_date_that_is_none(day: str, config_file: Path) -> None:
    result = run("compact", "--config", str(config_file), "--trade-date", day)
    assert result.exit_code == 2
    assert f"{day!r} is not a date like 2026-11-23" in result.stderr


def test_a_saturday_is_no_trade_date(config_file: Path) -> None:
    result = run("compact", "--config", str(config_file), "--trade-date", "2026-11-21")
    assert result.exit_code == 2
    assert "Saturday" in result.stderr


@pytest.mark.parametrize("option", ["--speed=-1", "--max-pause=0", "--port=70000"])
def test_options_of_the_simulator_out_of_range(option: str, config_file: Path) -> None:
    result = run("simulate", "--config", str(config_file), "--paper-user", "alpha", option)
    assert result.exit_code == 2
    assert option.split("=")[0] in result.stderr


def test_the_commands_that_prepare_a_database(warehouse: ClickHouse, tmp_path: Path) -> None:
    config = make_config(tmp_path / "state", clickhouse=warehouse.model_dump())
    file = str(write(config, tmp_path))
    assert run("migrate", "--config", file).stdout == "the schema is up to date\n"
    first = run("rebalance", "--config", file)
    assert first.exit_code == 0
    assert "CL.NYMEX.front -> alpha" in first.stdout
    assert "generation 1 written" in first.stdout
    assert "unchanged, nothing written" in run("rebalance", "--config", file).stdout
    compacted = run("compact", "--config", file)
    assert compacted.exit_code == 0, compacted.output
    assert "preliminary, the date is still open" in compacted.stdout
    assert "quality_report              2 rows" in compacted.stdout


def test_stop_with_nothing_running(config_file: Path) -> None:
    result = run("stop", "--config", str(config_file))
    assert (result.exit_code, result.stdout) == (0, "nothing was running\n")


def test_help_and_version_need_nothing() -> None:
    commands = run("--help").stdout
    for command in [*NEEDS_CLICKHOUSE, *NEEDS_PAPER_USER, *OTHERS]:
        assert command in commands
    assert run("--version").stdout.startswith("ib-platform, version ")
    assert run("nonsense").exit_code == 2


def test_the_command_line_is_light() -> None:
    """What every pod process pays at its start: no Dagster, no pyarrow, no ClickHouse driver."""
    code = (
        "import sys, ib_platform.cli; heavy = ('dagster', 'pyarrow', 'clickhouse_connect', 'rich');"
        "print([module for module in heavy if module in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_a_configuration_the_built_in_simulation_is_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run("record", "--paper-user", "gamma", "--out", "x.jsonl")
    assert "recording what `ib-platform simulate` serves" in done.stdout
    assert done.exit_code == 2
    assert "alpha, beta" in done.stderr
    assert not (tmp_path / "x.jsonl").exists()
