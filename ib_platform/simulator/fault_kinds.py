"""Every kind of fault in one table, and the check of what somebody asks of a kind."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping

from ib_platform.simulator import (
    faults_of_content,
    faults_of_data,
    faults_of_sessions,
    faults_of_transport,
)
from ib_platform.simulator.fault_spec import (
    FaultKind,
    FaultSpec,
    Parameter,
    Specs,
    Subject,
    Value,
)

__all__ = [
    "SPECS",
    "FaultKind",
    "FaultSpec",
    "Parameter",
    "Subject",
    "Value",
    "checked_parameters",
    "kind_called",
    "parameter_problems",
]

SPECS: Specs = {
    **faults_of_sessions.SPECS,
    **faults_of_data.SPECS,
    **faults_of_transport.SPECS,
    **faults_of_content.SPECS,
}


def kind_called(name: str) -> FaultKind:
    """The kind of this name; ValueError with the nearest name for an unknown one."""
    try:
        return FaultKind(name)
    except ValueError:
        near = difflib.get_close_matches(name, [kind.value for kind in FaultKind], n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise ValueError(
            f"unknown fault {name[:60]!r}; {hint}`ib-platform fault --list` prints all"
        ) from None


def parameter_problems(kind: FaultKind, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """What is wrong with the parameters of a fault: (name, what is wrong and what is allowed)."""
    known = SPECS[kind].parameters
    for name, value in given.items():
        if name not in known:
            yield name, f"{kind.value} has no parameter of that name{_hint(name, known)}"
        elif (problem := _problem(known[name], value)) is not None:
            yield name, problem


def checked_parameters(kind: FaultKind, given: Mapping[str, object]) -> dict[str, Value]:
    """The parameters with their proper types; ValueError that names every problem."""
    problems = [f"{name}: {problem}" for name, problem in parameter_problems(kind, given)]
    if problems:
        raise ValueError("; ".join(problems))
    known = SPECS[kind].parameters
    return {name: _typed(known[name], value) for name, value in given.items()}


def _hint(name: str, known: Mapping[str, Parameter]) -> str:
    if not known:
        return " (it has none)"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (allowed: {', '.join(known)})"


def _problem(parameter: Parameter, value: object) -> str | None:
    if parameter.choices:
        allowed = ", ".join(parameter.choices)
        return None if value in parameter.choices else f"must be one of {allowed}"
    if isinstance(parameter.default, str):
        may_be_empty = not parameter.default
        good = isinstance(value, str) and (value or may_be_empty)
        return None if good else "must be a text"
    whole = isinstance(parameter.default, int)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return f"must be {'a whole number' if whole else 'a number'}"
    if whole and value != int(value):
        return "must be a whole number"
    too_small = parameter.least is not None and value < parameter.least
    too_large = parameter.most is not None and value > parameter.most
    return f"must be {_range(parameter)}" if too_small or too_large else None


def _range(parameter: Parameter) -> str:
    if parameter.most is None:
        return f"at least {parameter.least:g}"
    return f"between {parameter.least:g} and {parameter.most:g}"


def _typed(parameter: Parameter, value: object) -> Value:
    assert isinstance(value, str | int | float)
    if isinstance(parameter.default, float):
        return float(value)
    return int(value) if isinstance(parameter.default, int) else value
