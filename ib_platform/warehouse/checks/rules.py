"""When a value warns or fails: conditions over thresholds, each with its own text. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict

Limit = float | str
"""A number, or the key of CheckThresholds that has it."""


def limit_of(limit: Limit, thresholds: CheckThresholds) -> float:
    """The number that a limit means."""
    return float(getattr(thresholds, limit)) if isinstance(limit, str) else limit


@dataclass(frozen=True)
class Above:
    """A value larger than the limit breaks the rule."""

    limit: Limit

    def is_broken(self, value: float, thresholds: CheckThresholds) -> bool:
        return value > limit_of(self.limit, thresholds)

    def text(self, thresholds: CheckThresholds) -> str:
        return f"> {limit_of(self.limit, thresholds):g}"


@dataclass(frozen=True)
class Below:
    """A value smaller than the limit breaks the rule."""

    limit: Limit

    def is_broken(self, value: float, thresholds: CheckThresholds) -> bool:
        return value < limit_of(self.limit, thresholds)

    def text(self, thresholds: CheckThresholds) -> str:
        return f"< {limit_of(self.limit, thresholds):g}"


@dataclass(frozen=True)
class Outside:
    """A value smaller than the one limit or larger than the other breaks the rule."""

    low: Limit
    high: Limit

    def is_broken(self, value: float, thresholds: CheckThresholds) -> bool:
        low, high = limit_of(self.low, thresholds), limit_of(self.high, thresholds)
        return not low <= value <= high

    def text(self, thresholds: CheckThresholds) -> str:
        low, high = limit_of(self.low, thresholds), limit_of(self.high, thresholds)
        return f"< {low:g} or > {high:g}"


Rule = Above | Below | Outside


def judged(
    value: float, warn: Rule | None, fail: Rule | None, thresholds: CheckThresholds
) -> CheckVerdict:
    """Verdict over a value; ``report`` where neither rule exists."""
    if fail is not None and fail.is_broken(value, thresholds):
        return CheckVerdict.FAIL
    if warn is not None and warn.is_broken(value, thresholds):
        return CheckVerdict.WARN
    return CheckVerdict.REPORT if warn is None and fail is None else CheckVerdict.PASS
