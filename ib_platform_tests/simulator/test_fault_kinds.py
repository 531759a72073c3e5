"""The table of kinds: everything is described, and what somebody asks of a kind is checked."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.simulator.behaviour import PageGeneration
from ib_platform.simulator.fault_kinds import (
    SPECS,
    FaultKind,
    checked_parameters,
    kind_called,
    parameter_problems,
)
from ib_platform.simulator.second_factor import SecondFactor

NUMBERS = [
    (kind, name)
    for kind, spec in SPECS.items()
    for name, parameter in spec.parameters.items()
    if not isinstance(parameter.default, str)
]


def test_every_kind_is_described_once() -> None:
    assert set(SPECS) == set(FaultKind)
    for kind, spec in SPECS.items():
        for text in (spec.does, spec.at_ibkr):
            assert text.endswith("."), kind
            assert len(text) > 20, kind
        assert spec.row, kind
        assert all(parameter.meaning for parameter in spec.parameters.values()), kind


def test_every_row_of_the_table_of_failures_has_a_kind() -> None:
    """14 is the browser's memory: nothing that a server could do."""
    covered = {row.strip() for spec in SPECS.values() for row in spec.row.split(",")}
    assert {str(row) for row in range(1, 16)} - covered == {"14"}
    assert {"also", "observed"} <= covered


def test_the_defaults_keep_their_own_rules() -> None:
    for kind, spec in SPECS.items():
        defaults = {
            name: parameter.default
            for name, parameter in spec.parameters.items()
            if parameter.default != "unchanged"
        }
        assert checked_parameters(kind, defaults) == defaults


def test_the_login_page_knows_the_same_words_as_the_behaviour() -> None:
    parameters = SPECS[FaultKind.LOGIN_PAGE].parameters
    assert parameters["generation"].choices == tuple(PageGeneration)
    assert parameters["second_factor"].choices == tuple(SecondFactor)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        ("websocket_closed", {"cod": 1006}, "did you mean 'code'"),
        ("websocket_closed", {"code": "1006"}, "code: must be a whole number"),
        ("websocket_closed", {"code": 1006.5}, "code: must be a whole number"),
        ("websocket_closed", {"code": True}, "code: must be a whole number"),
        ("websocket_closed", {"code": 99}, "between 1000 and 4999"),
        ("slow_answers", {"latency": -1}, "between 0 and 86400"),
        ("slow_answers", {"latency": math.nan}, "must be a number"),
        ("slow_answers", {"latency": None}, "must be a number"),
        ("no_data", {"availability": "X"}, "must be one of N, D"),
        ("login_fails", {"text": ""}, "must be a text"),
        ("half_open", {"code": 1}, "it has none"),
        ("http_error", {"status": 200, "pat": "/"}, "status: must be between 400 and 599; pat"),
    ],
)
def test_wrong_parameters(kind: str, given: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match="must|none|mean") as refused:
        checked_parameters(FaultKind(kind), given)
    assert words in str(refused.value)


def test_types_are_those_of_the_defaults() -> None:
    given = {"retakes": 2.0, "every": 30}
    checked = checked_parameters(FaultKind.COMPETING_LOGIN, given)
    assert checked == {"retakes": 2, "every": 30.0}
    assert [type(value) for value in checked.values()] == [int, float]


def test_a_name_that_is_nearly_right() -> None:
    assert kind_called("half_open") is FaultKind.HALF_OPEN
    with pytest.raises(ValueError, match="did you mean 'silent_ladder'"):
        kind_called("silent_lader")
    with pytest.raises(ValueError, match="fault --list"):
        kind_called("x" * 1000)


@given(st.sampled_from(NUMBERS), st.floats() | st.integers())
def test_a_number_is_in_its_range_or_refused(which: tuple[FaultKind, str], value: float) -> None:
    kind, name = which
    parameter = SPECS[kind].parameters[name]
    problems = list(parameter_problems(kind, {name: value}))
    if problems:
        assert [problem[0] for problem in problems] == [name]
        return
    checked = checked_parameters(kind, {name: value})[name]
    assert isinstance(checked, type(parameter.default))
    assert checked == value
    assert parameter.least is None or checked >= parameter.least
    assert parameter.most is None or checked <= parameter.most


@given(st.dictionaries(st.text(max_size=20), st.none() | st.text() | st.lists(st.integers())))
def test_nonsense_is_refused_by_name(given: dict[str, object]) -> None:
    problems = dict(parameter_problems(FaultKind.WEBSOCKET_CLOSED, given))
    assert set(problems) == set(given), "none of these values is a close code"
