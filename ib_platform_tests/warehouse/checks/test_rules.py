"""Conditions over thresholds: what breaks them, and how they read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ib_platform.config_quality import CheckThresholds
from ib_platform.states import CheckVerdict
from ib_platform.warehouse.checks.catalogue import CHECKS
from ib_platform.warehouse.checks.rules import Above, Below, Outside, Rule, judged, limit_of

THRESHOLDS = CheckThresholds()


@pytest.mark.parametrize(
    ("rule", "text", "broken", "kept"),
    [
        (Above(0), "> 0", 0.001, 0),
        (Above("crossed_fail"), "> 0.001", 0.0011, 0.001),
        (Below("coverage_warn"), "< 0.995", 0.9949, 0.995),
        (Outside("frames_low", "frames_high"), "< 0.5 or > 2", 2.01, 2),
        (Outside("frames_low", "frames_high"), "< 0.5 or > 2", 0.49, 0.5),
        (Outside(0, "latency_fail"), "< 0 or > 1", -0.001, 0),
    ],
)
def test_the_limit_itself_breaks_nothing(rule: Rule, text: str, broken: float, kept: float) -> None:
    assert rule.text(THRESHOLDS) == text
    assert rule.is_broken(broken, THRESHOLDS)
    assert not rule.is_broken(kept, THRESHOLDS)


@given(st.floats(allow_nan=False), st.floats(0, 1))
def test_outside_is_below_or_above(value: float, limit: float) -> None:
    outside = Outside(limit, limit + 1).is_broken(value, THRESHOLDS)
    below = Below(limit).is_broken(value, THRESHOLDS)
    assert outside == (below or Above(limit + 1).is_broken(value, THRESHOLDS))


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 1))
def test_a_failure_wins_over_a_warning(value: float, warn: float, fail: float) -> None:
    found = judged(value, Above(warn), Above(fail), THRESHOLDS)
    assert (found is CheckVerdict.FAIL) == (value > fail)
    assert (found is CheckVerdict.PASS) == (value <= fail and value <= warn)


def test_without_rules_nobody_judges() -> None:
    assert judged(1e9, None, None, THRESHOLDS) is CheckVerdict.REPORT
    assert judged(1e9, Above(0), None, THRESHOLDS) is CheckVerdict.WARN
    assert judged(0, None, Above(0), THRESHOLDS) is CheckVerdict.PASS


def test_every_limit_is_a_threshold_and_a_warning_comes_first() -> None:
    for check in CHECKS:
        for rule in (check.warn, check.fail):
            limits = [] if rule is None else list(vars(rule).values())
            assert all(isinstance(limit_of(limit, THRESHOLDS), float | int) for limit in limits)
        if isinstance(check.warn, Above) and isinstance(check.fail, Above):
            low, high = (limit_of(r.limit, THRESHOLDS) for r in (check.warn, check.fail))
            assert low < high, check.code
