"""The rows of the quality report, one per contract of a trade date."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ib_platform.states import Verdict
from ib_platform.warehouse.contract_days import ContractDay
from ib_platform.warehouse.facts import NO_BAR, facts_of
from ib_platform.warehouse.horizon import DateSpan
from ib_platform.warehouse.inputs import Surroundings
from ib_platform.warehouse.quality import Thresholds, judge
from ib_platform.warehouse.spans import Span, seconds

_WORST_LAST = ("available", "degraded", "pending", "missing")


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


def verdicts_by_conid(report: Sequence[Mapping[str, Any]]) -> dict[int, str]:
    """What bars say of their trade date: ``pending`` while it is open, whatever the preliminary
    report says, then the verdict of the report; of several keys of one contract the worst."""
    verdicts: dict[int, str] = {}
    for row in report:
        conid = row["conid"]
        if conid is None:
            continue
        verdict = Verdict.PENDING.value if row["preliminary"] else row["verdict"]
        verdicts[conid] = max(verdicts.get(conid, verdict), verdict, key=_WORST_LAST.index)
    return verdicts


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
        "calendar_difference": facts.calendar_difference,
        "warm_up_share": bar["warm_up_states"] / states if states else None,
        "undecodable": facts.undecodable,
        "frames_received": facts.frames_received,
        "frames_stored": facts.frames_stored,
        "frames_lost": None if pod is None else pod.received - pod.stored,
        "duplicates": None if pod is None else pod.duplicates,
    }
