"""Spans of time as people write them in scenarios and commands: ``90``, ``"90s"``, ``"5m"``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_TEXT = re.compile(r"(\d+(?:\.\d+)?)\s*([smhd]?)", re.ASCII)


def seconds_of(value: Any) -> Any:
    """Seconds of a text; anything else is passed on for pydantic to judge.

    Raises:
        ValueError: a text that is no duration.
    """
    if isinstance(value, bool):
        raise ValueError("yes and no are no durations: write seconds, or like 90s, 5m, 1h, 2d")
    if not isinstance(value, str):
        return value
    match = _TEXT.fullmatch(value.strip())
    if match is None:
        raise ValueError(f"{value!r} is no duration: write seconds, or like 90s, 5m, 1h, 2d")
    return float(match[1]) * _UNITS[match[2]]


Duration = Annotated[float, BeforeValidator(seconds_of), Field(ge=0, allow_inf_nan=False)]
"""Seconds, zero or more."""
