"""What a check finds: a value with its figures, or why there is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ib_platform.states import CheckVerdict

NO_FRAMES = "no ladder frame was recorded"


@dataclass(frozen=True)
class Finding:
    """``verdict``: where the rules of the check do not decide alone."""

    value: float | None
    explanation: str
    figures: Mapping[str, float] = field(default_factory=dict)
    verdict: CheckVerdict | None = None


def unknown(why: str, **figures: float) -> Finding:
    """It could not be measured."""
    return Finding(None, why, figures, CheckVerdict.UNKNOWN)


def not_applicable(why: str, **figures: float) -> Finding:
    """There is nothing to measure."""
    return Finding(None, why, figures, CheckVerdict.NOT_APPLICABLE)


def share(part: float, whole: float) -> float:
    """``part / whole``, at most 1: sums of floats may be a hair longer than the whole."""
    return min(1.0, part / whole)


def percent(value: float) -> str:
    """A share for people, rounded down: 99.9996 % must not read as 100 %."""
    return f"{int(value * 1_000_000) / 10_000:g} %"
