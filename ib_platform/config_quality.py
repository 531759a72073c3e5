"""Thresholds of the quality checks: for all products in ``quality``, and for one in its contract.

Descriptions and defaults here are what docs/quality.md shows. Shares are fractions of 1, times are
seconds. Sources of the defaults: ``quality_and_bars.md`` 4.3.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from ib_platform.config_gateway import Section

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
_RISING = (
    ("crossed_warn", "crossed_fail"),
    ("duplicates_warn", "duplicates_fail"),
    ("nulls_warn", "nulls_fail"),
    ("coverage_fail", "coverage_warn"),
    ("frames_low", "frames_high"),
)
"""Pairs of keys of which the first must not be the larger one."""


class CheckThresholds(Section):
    """Where a check warns or fails."""

    coverage_warn: Share = Field(default=0.995, description="Share of expected time recorded")
    coverage_fail: Share = Field(default=0.95, description="Share of expected time recorded")
    gaps_fail: Share = Field(default=0.005, description="Share of expected time in gaps")
    quote_renewal_fail: Positive = Field(default=900, description="Seconds between quote requests")
    duplicates_warn: Share = Field(default=0, description="Share of rows stored once too often")
    duplicates_fail: Share = Field(default=0.01, description="Share of rows stored once too often")
    latency_fail: Positive = Field(default=1, description="Median delay of quotes, seconds")
    crossed_warn: Share = Field(default=0.0001, description="Share of two-sided open time")
    crossed_fail: Share = Field(default=0.001, description="Share of two-sided open time")
    one_sided_warn: Share = Field(default=0.001, description="Share of open time")
    shape_warn: Share = Field(default=0.001, description="Share of states")
    warm_up: Positive = Field(
        default=10, description="Seconds in which a new window may lack its depth, or a side"
    )
    wide_spread: Positive = Field(default=50, description="Times the median spread")
    mid_outlier: Positive = Field(default=10, description="Times the mean absolute deviation")
    jump_ticks: Positive = Field(default=10, description="Ticks of a jump or an outlier, at least")
    jump_seconds: Positive = Field(default=5, description="In which a spike has returned")
    size_outlier: Positive = Field(default=100, description="Times the median size at the touch")
    nulls_warn: Share = Field(default=0.01, description="Share of required values")
    nulls_fail: Share = Field(default=0.05, description="Share of required values")
    frames_low: Positive = Field(default=0.5, description="Times the median of the dates before")
    frames_high: Positive = Field(default=2, description="Times the median of the dates before")
    overlap_warn: Share = Field(default=0.99, description="Share of seconds that agree")
    quotes_warn: Share = Field(default=0.99, description="Share of seconds that agree")
    suspect_warn: Share = Field(default=0.001, description="Share of recorded time")
    nonpositive_prices: bool | None = Field(
        default=None, description="Prices may be 0 or less; unset: on NYMEX only"
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for lower, upper in _RISING:
            low, high = getattr(self, lower), getattr(self, upper)
            if low > high:
                raise ValueError(f"{lower} ({low:g}) is larger than {upper} ({high:g})")
        return self


def with_products(data: Any) -> Any:
    """The raw configuration, with the thresholds of each contract completed by those of all
    products. What is not a mapping is left alone, for the validation to refuse it."""
    if not isinstance(data, Mapping) or not isinstance(data.get("contracts"), list | tuple):
        return data
    common = data.get("quality")
    if isinstance(common, CheckThresholds):
        common = common.model_dump()
    if not isinstance(common, Mapping):
        return data
    contracts = [
        {**one, "quality": {**common, **one["quality"]}}
        if isinstance(one, Mapping) and isinstance(one.get("quality"), Mapping)
        else one
        for one in data["contracts"]
    ]
    return {**data, "contracts": contracts}
