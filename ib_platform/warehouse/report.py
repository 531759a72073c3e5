"""The rows of the quality report, one per contract of a trade date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_platform.warehouse.horizon import DateSpan
from ib_platform.warehouse.inputs import Surroundings
from ib_platform.warehouse.quality import Facts, Thresholds, judge
from ib_platform.warehouse.spans import (
    SECOND,
    Span,
    seconds,
)

if TYPE_CHECKING:
    pass
from ib_platform.warehouse.contract_days import ContractDay

NO_BAR = dict.fromkeys(
    (
        "states",
        "one_sided_states",
        "empty_states",
        "crossed_states",
        "locked_states",
        "warm_up_states",
        "crossed_seconds",
        "two_sided_seconds",
    ),
    0,
)


def build_report(
    contracts: Sequence[ContractDay],
    days: dict[int, dict[str, Any]],
    around: Surroundings,
    span: DateSpan,
    thresholds: Thresholds,
    crossed: Mapping[int, float],
) -> list[dict[str, Any]]:
    """Rows of ``quality_report``. ``days``: the daily bar by conid. ``crossed``: seconds in which
    the book was crossed while the market was open, by conid."""
    return [
        _report_row(
            day,
            days.get(day.conid or 0, NO_BAR),
            around,
            span,
            thresholds,
            crossed.get(day.conid or 0, 0.0),
        )
        for day in contracts
        if day.assigned or day.counts
    ]


def _report_row(
    day: ContractDay,
    bar: dict[str, Any],
    around: Surroundings,
    span: DateSpan,
    thresholds: Thresholds,
    crossed_seconds: float,
) -> dict[str, Any]:
    facts = facts_of(day, bar, around, span, crossed_seconds)
    verdict, reasons = judge(facts, thresholds.of(day.contract))
    pod = around.pods.get(day.paper_user or "")
    states = bar["states"] + bar["one_sided_states"] + bar["empty_states"]
    return {
        "contract": day.contract,
        "conid": day.conid,
        "paper_user": day.paper_user,
        "verdict": verdict.value,
        "reasons": reasons,
        "preliminary": span.is_open,
        "expected_seconds": facts.expected_seconds,
        "covered_seconds": facts.covered_seconds,
        "coverage": facts.coverage,
        "gaps": len(day.gaps),
        "gap_seconds": seconds(Span(gap.begin, gap.end) for gap in day.gaps),
        "gap_seconds_by_cause": facts.gap_seconds_by_cause,
        "ladder_frames": facts.ladder_frames,
        "orphans": day.counts.get("orphans", 0),
        "two_sided": bar["states"],
        "one_sided": bar["one_sided_states"],
        "empty": bar["empty_states"],
        "crossed": bar["crossed_states"],
        "locked": bar["locked_states"],
        "crossed_seconds": crossed_seconds,
        "warm_up_share": bar["warm_up_states"] / states if states else None,
        "undecodable": facts.undecodable,
        "frames_received": facts.frames_received,
        "frames_stored": facts.frames_stored,
        "frames_lost": None if pod is None else pod.received - pod.stored,
        "duplicates": None if pod is None else pod.duplicates,
    }


def facts_of(
    day: ContractDay,
    bar: Mapping[str, Any],
    around: Surroundings,
    span: DateSpan,
    crossed_seconds: float,
) -> Facts:
    """What the verdict of one contract rests on. ``bar``: its daily bar."""
    by_cause: dict[str, float] = {}
    for gap in day.gaps:
        length = (gap.end - gap.begin) / SECOND
        by_cause[gap.cause.value] = by_cause.get(gap.cause.value, 0.0) + length
    missing = seconds(Span(gap.begin, gap.end) for gap in day.gaps)
    pod = around.pods.get(day.paper_user or "")
    return Facts(
        date_is_open=span.is_open,
        assigned=day.assigned,
        expected_seconds=seconds(day.expected),
        covered_seconds=seconds(day.expected) - missing,
        gap_seconds_by_cause=by_cause,
        ladder_frames=day.counts.get("ladder_frames", 0),
        crossed_seconds=crossed_seconds,
        two_sided_seconds=bar["two_sided_seconds"],
        undecodable=day.counts.get("undecodable", 0),
        frames_received=None if pod is None else pod.received,
        frames_stored=None if pod is None else pod.stored,
    )
