"""``ib-platform rebuild``: what it shows, what it builds, what it passes over, how it fails."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import PlatformConfig
from ib_platform.warehouse.compact import finalize
from ib_platform_tests.rebuild.recorded import DATES, TABLES, changed, contents, late_frame, stages

FIRST, SECOND_DATE = DATES


def run(config_file: Path, *options: str) -> Result:
    return CliRunner().invoke(main, ["rebuild", "--config", str(config_file), *options])


def test_in_any_order_twice_or_at_once_the_rows_are_the_same(
    recorded: Any, config: PlatformConfig, config_file: Path
) -> None:
    shown = run(config_file)
    assert shown.exit_code == 0
    assert shown.output.count("never built") == 2
    assert "2 trade dates would be built, 0 stay" in shown.output
    assert not any(contents(recorded, FIRST).values()), "the default changes nothing"
    first = run(config_file, "--apply", "--jobs", "1")
    assert (first.exit_code, first.output.count(": built (never built)")) == (0, 2)
    before = {day: contents(recorded, day) for day in DATES}
    assert all(before[FIRST][table] for table in ("depth", "bars", "quality_report", "builds"))
    again = run(config_file, "--apply")
    assert again.output == "0 of 0 trade dates built, 2 stay as they are\n"
    forced = run(config_file, "--apply", "--force", "--jobs", "2")
    assert forced.output.count(": built (forced)") == 2
    assert changed(before, {day: contents(recorded, day) for day in DATES}) == []
    for table in TABLES:
        recorded.command(f"TRUNCATE TABLE {table}")
    for day in reversed(DATES):
        finalize(recorded, config, day)
    assert changed(before, {day: contents(recorded, day) for day in DATES}) == []
    assert stages(recorded) == []


def test_only_what_changed_is_built_and_the_report_says_revised(
    recorded: Any, config: PlatformConfig, config_file: Path
) -> None:
    assert run(config_file, "--apply").exit_code == 0
    late_frame(recorded, SECOND_DATE)
    shown = run(config_file)
    assert "record changed: frames +1, ladder_frames +1" in " ".join(shown.output.split())
    assert "1 trade dates would be built, 1 stay" in shown.output
    assert run(config_file, "--apply", "--from", str(FIRST), "--to", str(FIRST)).output == (
        "0 of 0 trade dates built, 1 stay as they are\n"
    )
    applied = run(config_file, "--apply")
    assert f"{SECOND_DATE}: built (record changed: frames +1" in applied.output
    marks = "SELECT trade_date, countIf(revised_at IS NULL) = 0 FROM quality_report GROUP BY 1"
    assert dict(recorded.query(marks).result_rows) == {FIRST: 0, SECOND_DATE: 1}


def test_other_rules_make_dates_stale_but_not_due(
    recorded: Any, config: PlatformConfig, config_file: Path
) -> None:
    finalize(recorded, config, FIRST)
    recorded.command(
        "ALTER TABLE builds UPDATE inputs_version = 'older' WHERE 1 SETTINGS mutations_sync = 1"
    )
    shown = " ".join(run(config_file, "--to", str(FIRST)).output.split())
    assert "rules changed: older -> " in shown
    assert "1 trade dates would be built, 0 stay" in shown


def test_dates_that_do_not_exist_or_are_open_are_refused(recorded: Any, config_file: Path) -> None:
    unknown = run(config_file, "--from", "2024-01-01", "--to", "2024-02-01")
    assert unknown.exit_code == 2
    assert f"there are 2, {FIRST} to {SECOND_DATE}" in unknown.output
    tomorrow = run(config_file, "--to", str(date.today() + timedelta(days=4)))
    assert (tomorrow.exit_code, "is not closed" in tomorrow.output) == (2, True)
    backwards = run(config_file, "--from", str(SECOND_DATE), "--to", str(FIRST))
    assert (backwards.exit_code, "lies before" in backwards.output) == (2, True)
    assert run(config_file, "--apply", "--dry-run").exit_code == 2


def test_a_date_that_fails_keeps_its_rows_and_is_told(
    recorded: Any, config: PlatformConfig, config_file: Path
) -> None:
    finalize(recorded, config, FIRST)
    before = contents(recorded, FIRST)
    recorded.command("RENAME TABLE quality_checks TO elsewhere")
    failed = run(config_file, "--apply", "--force", "--jobs", "1")
    assert failed.exit_code == 11
    assert f"{FIRST}: failed (forced)" in failed.output
    assert "0 of 2 trade dates built" in failed.output
    recorded.command("RENAME TABLE elsewhere TO quality_checks")
    assert contents(recorded, FIRST) == before
    assert run(config_file, "--apply").output.endswith(
        "1 of 1 trade dates built, 1 stay as they are\n"
    )
