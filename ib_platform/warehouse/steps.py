"""Where the wall clock of a streamer was set back: in a run its frames show it, between two runs
the later one tells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ib_platform.states import StreamEventKind
from ib_platform.warehouse.event_details import detail_of, instant_of, span_of
from ib_platform.warehouse.evidence import StepBack
from ib_platform.warehouse.losses import STEP_NS

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build

_SAME_NS = 50_000_000
"""Two looks at two clocks agree on a step up to this."""


def read_steps_back(
    build: Build, runs: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]
) -> list[StepBack]:
    """Steps back of half a second or more. ``runs``: rows of ``runs.sql``. An event may be lost
    with a part of the spool: that there was a step between two stored frames is taken from these,
    and only when it was from the event."""
    numbers = {row["run_id"]: (row["first_seq"], row["last_seq"]) for row in runs}
    steps, told = [], list(_told(events))
    for step in told:
        first, last = numbers.get(step.run_id, (0, -1))
        if not first < step.before_seq <= last:
            steps.append(step)
    stepped = [
        row["run_id"] for row in runs if row["highest_offset"] - row["lowest_offset"] > STEP_NS
    ]
    if stepped:
        rows = build.rows("steps", run_ids=stepped, least_ns=STEP_NS)
        steps += [
            _narrowed(
                StepBack(row["run_id"], row["before_seq"], row["until_ns"], row["since_ns"]), told
            )
            for row in rows
        ]
    return steps


def _narrowed(shown: StepBack, told: Sequence[StepBack]) -> StepBack:
    """The step that two frames show, as the streamer saw it: it looks at its clocks more often than
    frames come. Where that does not fit (several steps between two frames), as they show it."""
    by = shown.until - shown.since
    fitting = [
        step
        for step in told
        if (step.run_id, step.before_seq) == (shown.run_id, shown.before_seq)
        and abs(step.until - step.since - by) < _SAME_NS
        and step.since <= shown.since
    ]
    return fitting[0] if len(fitting) == 1 else shown


def _told(events: Sequence[dict[str, Any]]) -> Iterator[StepBack]:
    for event in events:
        if event["kind"] != StreamEventKind.CLOCK_STEP:
            continue
        detail, span = detail_of(event), span_of(event)
        before = instant_of(event, "before") or span.end
        after = instant_of(event, "after") or span.begin
        by = detail.get("step_ms")
        # Unknown where the machine was started in between: then as far as its clock is behind.
        until = after - by * 1_000_000 if isinstance(by, int) else before
        if until > after:
            yield StepBack(event["run_id"], event["after_seq"], until, after)
