"""docs/quality.md has its tables from the code.

To write them anew: ``UPDATE_DOCS=1 .venv/bin/pytest
ib_platform_tests/warehouse/checks/test_quality_docs.py``.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import get_type_hints

import yaml

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict
from ib_platform.warehouse.checks.catalogue import CHECKS
from ib_platform.warehouse.checks.judge import JUDGES

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "quality.md"


def table_of_checks() -> str:
    lines = [
        "| check | value | judges | warns | fails | limits |",
        "|---|---|---|---|---|---|",
    ]
    defaults = CheckThresholds()
    for check in CHECKS:
        cells = (
            f"{check.code} `{check.name}`",
            check.unit,
            check.judges,
            check.warns(defaults) or "",
            check.fails(defaults) or "",
            check.limits,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def table_of_thresholds() -> str:
    lines = ["| key | default | of what |", "|---|---|---|"]
    for name, field in CheckThresholds.model_fields.items():
        default = "" if field.default is None else f"{field.default:g}"
        lines.append(f"| `{name}` | {default} | {field.description} |")
    return "\n".join(lines)


def with_tables(text: str) -> str:
    for name, table in (("checks", table_of_checks()), ("thresholds", table_of_thresholds())):
        begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
        assert begin in text
        head, _, rest = text.partition(begin)
        _, _, tail = rest.partition(end)
        text = f"{head}{begin}\n{table}\n{end}{tail}"
    return text


def test_the_tables_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(with_tables(text), encoding="utf-8")
    assert with_tables(DOCUMENT.read_text(encoding="utf-8")) == DOCUMENT.read_text(encoding="utf-8")


def test_the_example_of_thresholds_is_valid() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    example = yaml.safe_load(block)
    assert CheckThresholds(**example["quality"]).coverage_warn == 0.99
    assert CheckThresholds(**example["contracts"][0]["quality"]).one_sided_warn == 0.01


def test_every_verdict_is_explained() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    for verdict in CheckVerdict:
        assert f"`{verdict}`" in text


def test_codes_names_and_judges_belong_together() -> None:
    assert [check.code for check in CHECKS] == [f"Q{number:02}" for number in range(1, 34)]
    assert len({check.name for check in CHECKS}) == 33
    for check in CHECKS:
        judge = JUDGES[check.code]
        assert judge.__name__ == check.name
        assert judge.__doc__ == check.code
        assert re.fullmatch(r"q\d\d_[a-z_]+", check.asset_check)
        assert check.judges.endswith(".")


def test_every_threshold_is_described() -> None:
    assert set(get_type_hints(CheckThresholds)) >= set(CheckThresholds.model_fields)
    for name, field in CheckThresholds.model_fields.items():
        assert field.description, name
