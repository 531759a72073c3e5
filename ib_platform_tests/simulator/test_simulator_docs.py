"""The tables of docs/simulator.md are made from the code, so that they cannot lie.

To write them anew: ``UPDATE_DOCS=1 .venv/bin/pytest
ib_platform_tests/simulator/test_simulator_docs.py``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from benchmarks.calibration import comparison
from ib_platform.simulator.fault_kinds import SPECS, FaultSpec, Subject
from ib_platform.simulator.reference import described_parameters
from ib_platform.simulator.scenario_library import load_scenario, parse_scenario, scenario_names
from ib_platform.simulator.standalone import default_config

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |\n" for line in lines)


def scenarios() -> str:
    found = map(load_scenario, scenario_names())
    rows = [(f"`{s.name}`", s.description, " ".join(s.at_ibkr.split())) for s in found]
    return table(("scenario", "what happens", "at IBKR"), rows)


def faults() -> str:
    parts = []
    for subject in Subject:
        specs = [(kind, spec) for kind, spec in SPECS.items() if spec.subject is subject]
        rows = [
            (f"`{kind}`", spec.row, spec.does + _parameters(spec), _lasts(spec), spec.at_ibkr)
            for kind, spec in specs
        ]
        head = ("fault", "row", "what it does here", "lasts", "at IBKR")
        parts.append(f"### Faults: {subject.value}\n\n{table(head, rows)}")
    return "\n".join(parts)


def _parameters(spec: FaultSpec) -> str:
    texts = []
    for name, parameter in spec.parameters.items():
        allowed = f" ({', '.join(parameter.choices)})" if parameter.choices else ""
        texts.append(f"<br>`{name}: {parameter.default}` {parameter.meaning}{allowed}")
    return "".join(texts)


def _lasts(spec: FaultSpec) -> str:
    lasts = "once" if spec.instant else "yes"
    return f"{lasts}, `symbol`" if spec.by_symbol else lasts


def parameters() -> str:
    rows = [
        (f"`{each.name}`", f"`{each.default}`", each.unit, each.source.value, each.meaning)
        for each in described_parameters()
    ]
    return table(("parameter", "default", "unit", "known", "what it is"), rows)


def calibration() -> str:
    rows = [
        (line.name, f"{line.recorded:.3g}", f"{line.synthetic:.3g}",
         f"{line.lowest:.3g} to {line.highest:.3g}")
        for line in comparison()
    ]  # fmt: skip
    return table(("figure", "recorded", "synthetic, mean of 8 seeds", "lowest to highest"), rows)


@pytest.mark.parametrize("make", [scenarios, faults, parameters, calibration])
def test_a_table_is_what_the_code_says(make: Callable[[], str]) -> None:
    name = make.__name__
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    text = DOCUMENT.read_text(encoding="utf-8")
    head, _, rest = text.partition(begin)
    _, found, tail = rest.partition(end)
    assert found, f"docs/simulator.md has lost its marks of {name}"
    expected = f"{head}{begin}\n{make()}\n{end}{tail}"
    if os.environ.get("UPDATE_DOCS"):
        DOCUMENT.write_text(expected, encoding="utf-8")
    assert DOCUMENT.read_text(encoding="utf-8") == expected


def test_the_scenario_that_the_page_shows_can_be_played() -> None:
    shown = re.findall(r"```yaml\n(name: mine\n.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(shown) == 1
    scenario = parse_scenario(shown[0], Path("mine.yaml"))
    assert len(scenario.faults) == 3
    broken = shown[0].replace("silent_ladder", "silent_lader")
    with pytest.raises(Exception, match="did you mean") as refused:
        parse_scenario(broken, Path("mine.yaml"))
    assert str(refused.value) in DOCUMENT.read_text()


def test_the_page_names_the_built_in_users() -> None:
    text = DOCUMENT.read_text()
    for user in default_config().paper_users:
        assert f"{user.name}: username {user.username}" in text
        assert f"https://127.0.0.1:{user.gateway_port}" in text


def test_every_kind_parameter_and_scenario_stands_on_the_page() -> None:
    text = DOCUMENT.read_text()
    names = [*SPECS, *scenario_names(), *(each.name for each in described_parameters())]
    assert [name for name in names if f"`{name}`" not in text] == []
