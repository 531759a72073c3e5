"""The command ``report`` where there is nothing to show, and nobody to ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from ib_platform.cli import main
from ib_platform.config import ClickHouse, dump_config
from ib_platform_tests.ports import free_port
from ib_platform_tests.support import make_config


def report(settings: dict[str, Any], folder: Path, *arguments: str) -> Result:
    file = folder / "ib_platform.yaml"
    file.write_text(dump_config(make_config(folder, clickhouse=settings)))
    output = str(folder / "page.html")
    return CliRunner().invoke(
        main, ["report", "--config", str(file), "--output", output, *arguments]
    )


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        ([], "no trade date has a report yet: `ib-platform compact` builds one"),
        (["--date", "2026-11-21"], "no report of 2026-11-21; the newest dates that have one: none"),
    ],
)
def test_where_nothing_was_built_it_says_so(
    warehouse: ClickHouse, tmp_path: Path, arguments: list[str], answer: str
) -> None:
    result = report(warehouse.model_dump(), tmp_path, *arguments)
    assert result.exit_code == 2
    assert answer in " ".join(result.output.split())
    assert not (tmp_path / "page.html").exists()


def test_a_warehouse_that_does_not_answer_has_its_own_exit_code(tmp_path: Path) -> None:
    result = report({"host": "127.0.0.1", "port": free_port()}, tmp_path)
    assert result.exit_code == 8
    assert "Traceback" not in result.output
    assert not (tmp_path / "page.html").exists()
