"""docs/verify.md has a row for every word that the command can say."""

from __future__ import annotations

import re
from pathlib import Path

import ib_platform
from ib_platform.errors import VerificationError
from ib_platform.verify.spools import LOADED, RECORDS_AT_ONCE
from ib_platform.warehouse.verify.findings import Balance, Kind, Standing
from ib_platform.warehouse.verify.read import BLOCK

DOCS = Path(ib_platform.__file__).parents[1] / "docs"
TEXT = (DOCS / "verify.md").read_text(encoding="utf-8")


def test_every_finding_and_every_standing_has_a_row() -> None:
    first_cells = {cell for row in TEXT.splitlines() for cell in re.findall(r"^\| `(\w+)`", row)}
    assert {kind.value for kind in Kind} | {standing.value for standing in Standing} <= first_cells


def test_every_column_is_explained() -> None:
    for name in Balance.__struct_fields__:
        assert name in TEXT or name.replace("_", " ") in TEXT, name


def test_the_numbers_are_those_of_the_code() -> None:
    assert BLOCK == 1_000_000
    assert "blocks of a million" in TEXT
    assert f"{RECORDS_AT_ONCE:,} records" in TEXT
    assert f"`{LOADED}/`" in TEXT


def test_the_exit_code_is_told_in_both_places() -> None:
    row = f"| {VerificationError.exit_code} |"
    assert row in TEXT
    assert row in (DOCS / "commands.md").read_text(encoding="utf-8")
