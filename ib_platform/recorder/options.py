"""Words of the command line -> ``RecordOptions``."""

from __future__ import annotations

import re
from pathlib import Path

from ib_platform.errors import ConfigurationError
from ib_platform.recorder.app import DEFAULT_FIELDS, RecordOptions
from ib_platform.recorder.experiments import Experiment

_DURATION = re.compile(r"(?P<number>[0-9]{1,9}(?:\.[0-9]{1,3})?)(?P<unit>s|m|h)?")
_SECONDS = {None: 1, "s": 1, "m": 60, "h": 3600}
_SYMBOL = re.compile(r"[A-Z0-9]{1,8}")
_FIELD = re.compile(r"[0-9]{1,6}")
_MOST_FIELDS = 50


def record_options(
    *,
    out: Path,
    duration: str | None = None,
    symbols: str | None = None,
    fields: str | None = None,
    url: str | None = None,
    certificate: Path | None = None,
    experiments: tuple[str, ...] = (),
) -> RecordOptions:
    """Raises ConfigurationError naming the option that cannot be understood."""
    numbers = _list("--fields", fields, _FIELD, "field numbers like 31,84,86")
    if len(numbers) > _MOST_FIELDS:
        raise ConfigurationError(f"--fields: at most {_MOST_FIELDS}, got {len(numbers)}")
    return RecordOptions(
        out=out,
        seconds=None if duration is None else seconds_of(duration),
        symbols=_list("--symbols", symbols, _SYMBOL, "symbols like CL,ES"),
        fields=numbers or DEFAULT_FIELDS,
        url=url,
        certificate=certificate,
        experiments=tuple(dict.fromkeys(_experiment(name) for name in experiments)),
    )


def seconds_of(duration: str) -> float:
    """``90``, ``90s``, ``10m`` or ``2h`` in seconds. Raises ConfigurationError."""
    match = _DURATION.fullmatch(duration)
    seconds = float(match["number"]) * _SECONDS[match["unit"]] if match else 0.0
    if seconds <= 0:
        raise ConfigurationError(f"--for: {duration!r} is not a duration like 90s, 10m or 2h")
    return seconds


def _list(
    option: str, text: str | None, allowed: re.Pattern[str], expected: str
) -> tuple[str, ...]:
    if text is None:
        return ()
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not allowed.fullmatch(word):
            raise ConfigurationError(f"{option}: {word!r} in {text!r}; expected {expected}")
    return tuple(dict.fromkeys(words))


def _experiment(name: str) -> Experiment:
    try:
        return Experiment(name)
    except ValueError as error:
        known = ", ".join(Experiment)
        raise ConfigurationError(f"--experiment: unknown {name!r}; known: {known}") from error
