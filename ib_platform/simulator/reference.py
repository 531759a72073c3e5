"""What is known of every named parameter of the simulation, beside its value in ``Behaviour``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, time
from enum import Enum, StrEnum
from importlib.resources import files
from typing import Any

import yaml

from ib_platform.simulator.behaviour import Behaviour


class Source(StrEnum):
    """How a parameter's default is known; see the head of ``parameters.yaml``."""

    MEASURED = "measured"
    DOCUMENTED = "documented"
    REPORTED = "reported"
    GUESS = "guess"
    SWITCH = "switch"


@dataclass(frozen=True, slots=True)
class Described:
    """One parameter. ``name`` is its path in a scenario's ``behaviour``, ``default`` as one would
    write it there."""

    name: str
    default: str
    unit: str
    source: Source
    meaning: str


def described_parameters() -> Iterator[Described]:
    """Every named parameter, in the order of ``Behaviour``. Raises KeyError for one that nobody has
    described."""
    text = files("ib_platform.simulator").joinpath("parameters.yaml").read_text(encoding="utf-8")
    known = yaml.safe_load(text)
    for name, default in defaults(Behaviour()):
        unit, source, *meaning = known[name]
        words = ", ".join(str(part) for part in meaning)
        yield Described(name, _written(default), str(unit), Source(source), words)


def defaults(group: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Path and default of every parameter below a group of parameters."""
    for field in fields(group):
        value = getattr(group, field.name)
        if is_dataclass(value):
            yield from defaults(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def _written(value: Any) -> str:
    """As YAML has it: ``true``, ``[5, 7]``, ``"00:00"``; ``null`` for None."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case Enum():
            return str(value.value)
        case time() | date():
            return f'"{value.isoformat()}"'
        case float():
            return f"{value:g}"
        case tuple():
            return f"[{', '.join(_written(each) for each in value)}]"
        case dict():
            return "{}" if not value else str(value)
        case _:
            return str(value)
