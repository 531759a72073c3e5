"""docs/research.md does not lie: its examples run, its words, types and options are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ib_platform.cli import main
from ib_platform.research import command
from ib_platform.research.api import Warehouse
from ib_platform_tests.research.conftest import CL, WEDNESDAY

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "research.md"
TEXT = DOCUMENT.read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


def table_after(heading: str) -> list[list[str]]:
    """Cells of the first table below a line that begins with ``heading``."""
    lines = iter(TEXT[TEXT.index(heading) :].splitlines()[1:])
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip() for cell in line.strip("|").split(" | ")])
        elif rows:
            break
    return [[cell.strip("| ") for cell in row] for row in rows]


def test_the_examples_run(
    config_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(config_file.parent)
    names: dict[str, Any] = {}
    python = blocks("python")
    assert len(python) == 4
    for block in python:
        exec(compile(block, str(DOCUMENT), "exec"), names)
    assert len(names["bars"]) == 3
    assert set(names["good"]["conid"]) == {1}
    assert names["depth"].num_rows == 30
    assert names["depth"].schema.names == ["received_at", "best_bid", "best_ask", "sizes"]
    assert "competing_login" in set(names["gaps"]["cause"])
    assert len(names["report"]) == 3
    assert names["crossed"] == 1
    printed = capsys.readouterr().out
    tuesday, wednesday, book = printed.splitlines()
    assert tuesday == "CL.NYMEX.2026-11 59.900000000 60.150000000"
    assert wednesday == "CL.NYMEX.2026-12 0E-9"
    assert book.startswith("1.0 59.890000000 {Decimal('59.920000000'): -3")
    warehouse = names["warehouse"]
    assert f"# {warehouse.contracts()}" in python[0]
    warehouse.close()


@pytest.mark.parametrize("line", blocks("console")[0].splitlines())
def test_the_commands_run(
    config_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    prompt, program, *arguments = shlex.split(line)
    assert (prompt, program) == ("$", "ib-platform")
    result = CliRunner().invoke(main, [*arguments, "--config", str(config_file)])
    assert result.exit_code == 0, result.output


def test_the_options_are_those_of_the_commands() -> None:
    told = set(re.findall(r"--[a-z][a-z-]+", TEXT)) - {"--config"}
    commands = (
        command.bars, command.continuous, command.depth, command.quality, command.export,
    )  # fmt: skip
    known = {name for c in commands for p in c.params for name in p.opts if name.startswith("--")}
    assert told == known - {"--config"}


def test_every_method_is_told() -> None:
    methods = {name for name in vars(Warehouse) if not name.startswith("_")}
    for name in methods - {"close"}:
        assert re.search(rf"`{name}`|\.{name}\(", TEXT), name


def test_the_types_are_what_comes_back(warehouse_of_record: Warehouse) -> None:
    bars, depth = (
        warehouse_of_record.bars(CL, "1m", WEDNESDAY),
        warehouse_of_record.depth(CL, WEDNESDAY),
    )
    arrow, pandas, polars = depth.arrow(), depth.pandas(), depth.polars()
    told = {row[0]: row[1:] for row in table_after("## What comes back")[2:]}
    polars_words = str(polars.schema["received_at"]).replace("time_unit=", "").replace("'", "")
    assert told["`received_at`"] == [
        str(arrow.schema.field("received_at").type).replace("tz=", ""),
        str(pandas["received_at"].dtype),
        polars_words.replace("time_zone=", ""),
    ]
    assert told["`bar_start`"][:2] == [
        str(bars.schema.field("bar_start").type).replace("tz=", ""),
        str(bars.pandas()["bar_start"].dtype),
    ]
    assert told["prices"][0] == str(arrow.schema.field("best_bid").type)
    floats = depth.pandas(floats=True)["best_bid"].dtype
    assert told["prices with `floats=True`"][:2] == [
        str(depth.arrow(floats=True).schema.field("best_bid").type),
        str(floats),
    ]
    assert told["whole numbers"][0].startswith(str(arrow.schema.field("bid_size").type))
    assert told["whole numbers"][1].startswith(str(pandas["bid_size"].dtype))
    assert told["`sizes`"][2] == str(polars.schema["sizes"])
