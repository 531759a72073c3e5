"""Configuration errors that name the line: YAML node positions joined with pydantic's findings."""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from ib_platform.errors import ConfigurationError

Location = tuple[str | int, ...]
Lines = dict[Location, int]


def load_yaml_with_lines(
    text: str, file: Path, keys: str = "paper_users and contracts"
) -> tuple[dict[str, Any], Lines]:
    """Parse ``text`` and return its mapping and the line of every key and list item.

    Raises:
        ConfigurationError: not YAML, not a mapping, or a key that appears twice.
    """
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigurationError(f"{file}{line}: not valid YAML: {problem}") from error
    if not isinstance(data, dict) or not isinstance(node, yaml.MappingNode):
        raise ConfigurationError(
            f"{file}: expected a mapping with the keys {keys}, found {type(data).__name__}"
        )
    lines: Lines = {}
    try:
        _collect(node, (), lines, file)
    except RecursionError as error:
        raise ConfigurationError(f"{file}: an alias refers to itself") from error
    return {str(key): value for key, value in data.items()}, lines


def _collect(node: yaml.Node, location: Location, lines: Lines, file: Path) -> None:
    lines.setdefault(location, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*location, str(key.value))
            if inner in lines:
                raise ConfigurationError(
                    f"{file}, line {key.start_mark.line + 1}: key {key.value!r} appears twice "
                    f"(first on line {lines[inner]})"
                )
            lines[inner] = key.start_mark.line + 1
            _collect(value, inner, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _collect(value, (*location, index), lines, file)


def describe_validation_error(
    error: ValidationError, file: Path, lines: Lines, model: type | None = None
) -> str:
    """One line per problem: file, line, key, what is wrong, what is allowed. No input values of
    keys that may hold secrets appear: only what pydantic calls the message. ``model`` is what was
    validated, ``PlatformConfig`` if None."""
    problems = []
    items = error.errors(include_url=False)
    for item in items:
        location = item["loc"]
        if item["type"] == "too_short" and any(_lies_in(other["loc"], location) for other in items):
            # Its only entry is wrong, which is said already: it is not missing.
            continue
        key = ".".join(str(part) for part in location) or "(whole file)"
        message = item["msg"].removeprefix("Value error, ")
        if item["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
            message = "unknown key" + _did_you_mean(location, model)
        elif item["type"] == "missing":
            message = "required key is missing"
        problems.append(f"{_place(location, file, lines)}: {key}: {message}")
    return "\n".join(problems)


def _lies_in(inner: Location, outer: Location) -> bool:
    return len(inner) > len(outer) and inner[: len(outer)] == outer


def _place(location: Location, file: Path, lines: Lines) -> str:
    """The environment variable that set the value, else file and line."""
    variable = "IB_PLATFORM__" + "__".join(str(part).upper() for part in location)
    if variable in os.environ:
        return f"environment variable {variable}"
    return f"{file}, line {line_of(location, lines)}"


def line_of(location: Location, lines: Lines) -> int:
    """Line of the innermost part of ``location`` that stands in the file."""
    for length in range(len(location), -1, -1):
        if (line := lines.get(location[:length])) is not None:
            return line
    return 1


def _did_you_mean(location: Location, root: type | None) -> str:
    from ib_platform.config import PlatformConfig

    fields = _fields_of(root or PlatformConfig)
    for part in location[:-1]:
        if isinstance(part, str) and part in fields:
            fields = _fields_of(fields[part].annotation)
    if not fields:
        return ""
    allowed = [field.alias or name for name, field in fields.items()]
    near = difflib.get_close_matches(str(location[-1]), allowed, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{hint} (allowed: {', '.join(allowed)})"


def _fields_of(annotation: Any) -> Mapping[str, FieldInfo]:
    """Fields of a model or a pydantic dataclass, also inside ``tuple[Model, ...]`` and
    ``Model | None``; none for anything else."""
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        fields = getattr(candidate, "__pydantic_fields__", None)
        if fields is not None:
            return cast("Mapping[str, FieldInfo]", fields)
    return {}
