"""From what was found out of a contract to the facts that its verdict rests on. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ib_platform.warehouse.quality import Facts
from ib_platform.warehouse.spans import SECOND, Span, seconds

if TYPE_CHECKING:
    from ib_platform.warehouse.contract_days import ContractDay
    from ib_platform.warehouse.horizon import DateSpan
    from ib_platform.warehouse.inputs import Surroundings

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
"""What the daily bar says of a contract without one."""


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
        calendar_difference=day.calendar_difference,
    )
