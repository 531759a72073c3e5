"""The 33 checks: codes, names, units, rules, what is judged and what cannot be known. Pure.

docs/quality.md is made from this list. The definitions follow ``quality_and_bars.md`` 4.3; where
that page and the design differ, the design wins.
"""

from __future__ import annotations

from dataclasses import dataclass

from ib_platform.config_quality import CheckThresholds
from ib_platform.warehouse.checks.rules import Above, Below, Outside, Rule


@dataclass(frozen=True)
class Check:
    """One check. Neither rule: a figure that nobody judges. ``limits``: what cannot be known.
    ``warn_text``, ``fail_text``: conditions that are more than a rule over the value."""

    code: str
    name: str
    unit: str
    judges: str
    limits: str = ""
    warn: Rule | None = None
    fail: Rule | None = None
    warn_text: str | None = None
    fail_text: str | None = None

    def warns(self, thresholds: CheckThresholds) -> str | None:
        """When it warns, as text; None: never."""
        return self.warn_text or (None if self.warn is None else self.warn.text(thresholds))

    def fails(self, thresholds: CheckThresholds) -> str | None:
        """When it fails, as text; None: never."""
        return self.fail_text or (None if self.fail is None else self.fail.text(thresholds))

    @property
    def asset_check(self) -> str:
        """Name of the asset check in Dagster: ``q01_coverage``."""
        return f"{self.code.lower()}_{self.name}"


_ANY = Above(0)
_DATE = "Of the pod: the same for all its contracts."
_ONE_SIDED = "Without the first seconds of a window (`warm_up`), which lacks its depth by nature."

CHECKS = (
    Check("Q01", "coverage", "share", "Recorded share of the time in which the contract was "
          "assigned and its market open.", "Unknown for what was in no assignment. Warns too where "
          "the hours that IBKR told differ from the calendar.",
          Below("coverage_warn"), Below("coverage_fail")),
    Check("Q02", "gaps", "share", "Share of the expected time in gaps, without those of causes "
          "that nobody has to explain (`not_assigned`, `maintenance`). A gap is a silence longer "
          "than `limits.silent_after`, or the time without a subscription.", "",
          _ANY, Above("gaps_fail")),
    Check("Q03", "unexplained_gaps", "seconds", "Gaps of which no event tells the cause.", "",
          _ANY),
    Check("Q04", "silent_feed", "seconds", "Silence of a ladder that was subscribed to, while "
          "another ladder went on for longer than `limits.silent_after`.",
          "With one ladder a quiet market cannot be told from a silent feed: unknown.",
          fail=_ANY),
    Check("Q05", "renewal", "seconds", "Longest time for which a quote subscription went on "
          "without a new request: quotes end by themselves after 15 minutes.",
          "Whether ladders end too is not known; their silence is Q04.",
          fail=Above("quote_renewal_fail")),
    Check("Q06", "own_sequence", "frames", "Frame numbers missing between stored ones: frames "
          "that we had and lost.", _DATE, fail=_ANY),
    Check("Q07", "verified_and_clean", "share", "Verified: share of keyframes (full frames of a "
          "ladder that was followed) that repeat the carried touch. Clean: share of recorded time "
          "outside suspect windows, in `figures`.",
          "What moved between two frames disagrees without any fault: nobody judges it."),
    Check("Q08", "spool_balance", "frames", "Frames received and not stored.", _DATE, fail=_ANY),
    Check("Q09", "duplicates", "share", "Rows stored once more than their frames, before merges "
          "collapse them.", _DATE, Above("duplicates_warn"), Above("duplicates_fail")),
    Check("Q10", "order", "steps", "Steps back of the monotonic clock from frame to frame fail; "
          "of the wall clock (over 0.5 s) they warn. Steps back of the sender's time in quotes "
          "are in `figures`.", _DATE, _ANY, fail_text="monotonic > 0"),
    Check("Q11", "clock_skew", "seconds", "Median delay of quotes: received less sender's time. "
          "Under 0 our clock is behind.", "A ladder has no time of its own: by quotes alone.",
          fail=Outside(0, "latency_fail")),
    Check("Q12", "latency", "seconds", "Median delay of quotes; p90, p99, p99.9 and the longest "
          "are in `figures`.", "Of depth it cannot be known: a ladder has no time of its own."),
    Check("Q13", "crossed_book", "share", "Share of the two-sided time with bid above ask, while "
          "the market is open.", "", Above("crossed_warn"), Above("crossed_fail")),
    Check("Q14", "locked_book", "share", "Share of the open time with bid equal to ask.",
          "A ladder cannot show it: each of its rows has a bid or an ask. Not applicable without."),
    Check("Q15", "one_sided_book", "share", "Share of the open time without a bid or an ask.",
          _ONE_SIDED, Above("one_sided_warn")),
    Check("Q16", "bad_values", "frames", "Frames with values that cannot be (size, price, row), "
          "or text that is not JSON, and states with a price of 0 or less where the product has "
          "none (`nonpositive_prices`).", "The frames are kept as received.", fail=_ANY),
    Check("Q17", "off_tick", "states", "States whose prices are no multiples of the contract's "
          "tick.", "Unknown where IBKR has not told the tick.", _ANY),
    Check("Q18", "ladder_shape", "share", "Share of states without the expected depth (more than "
          "one price on a side).", f"{_ONE_SIDED} Order and repeated prices cannot be wrong: a "
          "price follows from its row.", Above("shape_warn")),
    Check("Q19", "wide_spread", "states", "States with a spread of more than `wide_spread` times "
          "the median of the date."),
    Check("Q20", "mid_outlier", "states", "States with a mid that is off the median of its block "
          "of 50 by more than `mid_outlier` times the mean deviation, and by `jump_ticks`."),
    Check("Q21", "spike", "states", "Jumps of the mid by more than `jump_ticks` that are undone "
          "to a tick within `jump_seconds`."),
    Check("Q22", "stale_touch", "spells", "Spells of an unchanged touch longer than their p99.9 "
          "and `limits.silent_after`, while frames go on."),
    Check("Q23", "frozen_side", "spells", "Spells longer than `limits.silent_after` in which one "
          "side changes and the other does not."),
    Check("Q24", "size_outlier", "states", "States with a size at the touch of more than "
          "`size_outlier` times its median."),
    Check("Q25", "nulls", "share", "Share of required values that are unknown: top price and tick "
          "of ladder frames with a window, sender's time of quotes.", "",
          Above("nulls_warn"), Above("nulls_fail")),
    Check("Q26", "frame_rate", "ratio", "Ladder frames per minute with frames, against the median "
          "of the up to 20 trade dates before.",
          "Unknown before 5 such dates, and while the date is open.",
          Outside("frames_low", "frames_high")),
    Check("Q27", "schema_drift", "frames", "Frames of an unknown topic, of another shape or type "
          "than known ones, or with unknown keys.", "Keys are looked at in the first 100 ladder "
          f"frames and quotes of each connection. {_DATE}", _ANY),
    Check("Q28", "overlap", "share", "Seconds in which two pods showed the same touch, of those "
          "in which both streamed the contract.", "Not applicable with one stream.",
          Below("overlap_warn")),
    Check("Q29", "depth_against_quote", "share", "Quotes whose bid and ask the ladder showed "
          "within a second.", "Both are conflated. Real-time quotes only.",
          Below("quotes_warn")),
    Check("Q30", "contract", "days", "Days to the last trading day: expired fails, a roll that is "
          "due warns.", "Unknown where IBKR has not told the last trading day.",
          fail=Below(0), warn_text="roll due"),
    Check("Q31", "bars_reconcile", "bars", "Bars that cannot be, and states that the bars of a "
          "size count differently from the record.", "That a rebuild gives identical rows is "
          "shown by the tests.", fail=_ANY),
    Check("Q32", "verdict", "", "The headline: available passes, degraded warns, missing fails.",
          warn_text="degraded", fail_text="missing"),
    Check("Q33", "suspect_windows", "share", "Share of the recorded time in suspect windows, by "
          "cause.", "", Above("suspect_warn")),
)  # fmt: skip
BY_CODE = {check.code: check for check in CHECKS}
