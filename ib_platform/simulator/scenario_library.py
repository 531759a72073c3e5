"""Scenarios as files: those that come with the platform, by name, and a user's own, by path."""

from __future__ import annotations

import difflib
from importlib.resources import files
from pathlib import Path

from pydantic import ValidationError

from ib_platform.config_errors import describe_validation_error, load_yaml_with_lines
from ib_platform.errors import ConfigurationError
from ib_platform.simulator.scenario import Scenario

_FOLDER = "ib_platform.simulator.scenarios"


def scenario_names() -> tuple[str, ...]:
    """Scenarios that come with the platform."""
    found = (file.name for file in files(_FOLDER).iterdir())
    return tuple(sorted(name.removesuffix(".yaml") for name in found if name.endswith(".yaml")))


def plain_scenario() -> Scenario:
    """Nothing happens: a good day."""
    return Scenario(name="plain", description="nothing happens", at_ibkr="a good day")


def is_scenario_file(name_or_path: str) -> bool:
    """Whether a scenario is named by its file."""
    return name_or_path.endswith((".yaml", ".yml"))


def load_scenario(name_or_path: str) -> Scenario:
    """A scenario that comes with the platform, by name, or one of yours, by path.

    Raises:
        ConfigurationError: no such scenario, or file, line and reason of what is wrong in it.
    """
    if name_or_path in scenario_names():
        packaged = files(_FOLDER) / f"{name_or_path}.yaml"
        text = packaged.read_text(encoding="utf-8")
        return parse_scenario(text, Path(f"{name_or_path}.yaml"))
    path = Path(name_or_path)
    if not is_scenario_file(name_or_path):
        near = difflib.get_close_matches(name_or_path, scenario_names(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else "."
        raise ConfigurationError(
            f"no scenario {name_or_path!r}{hint} `ib-platform simulate --list-scenarios` prints "
            "all; one of your own is named by its file, which ends in .yaml"
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigurationError(f"{path}: the scenario cannot be read ({reason})") from error
    return parse_scenario(text, path)


def parse_scenario(text: str, file: Path) -> Scenario:
    """Check a scenario's text; ``file`` is named in errors and holds relative paths.

    Raises:
        ConfigurationError: file, line, key and reason of every problem.
    """
    data, lines = load_yaml_with_lines(text, file, keys="name, description and faults")
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError(describe_validation_error(error, file, lines, Scenario)) from error
    base = file.resolve().parent
    scripted = {symbol: (base / path).resolve() for symbol, path in scenario.scripted.items()}
    return scenario.model_copy(update={"scripted": scripted}).read_from(file, lines)
