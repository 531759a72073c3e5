"""Where the wall clock of a streamer was set: in a run its frames show it, between two runs the
later one tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ib_platform.states import StreamEventKind
from ib_platform.warehouse.event_details import detail_of, instant_of, span_of
from ib_platform.warehouse.evidence import Leap, StepBack
from ib_platform.warehouse.losses import STEP_NS
from ib_platform.warehouse.spans import Span

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
    steps, told = [], list(_told(events, {row["run_id"]: row for row in runs}))
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
                StepBack(row["run_id"], row["before_seq"], row["until_ns"], row["since_ns"]),
                row["previous_seq"],
                told,
            )
            for row in rows
        ]
    return steps


def read_leaps(runs: Sequence[dict[str, Any]], events: Sequence[dict[str, Any]]) -> list[Leap]:
    """Times that clocks skipped when they were set ahead by half a second or more, as told: when
    between its two looks that was, the streamer does not know."""
    by_run = {row["run_id"]: row for row in runs}
    leaps = []
    for event in events:
        if event["kind"] != StreamEventKind.CLOCK_STEP:
            continue
        before, after = instant_of(event, "before"), instant_of(event, "after")
        by = _by(event, by_run)
        if before is None or after is None or by is None:
            continue
        passed = after - before - by
        skipped = Span(before + passed, after - passed)
        if by >= STEP_NS and skipped.begin < skipped.end:
            leaps.append(Leap(event["run_id"], event["after_seq"], skipped))
    return leaps


def _by(event: dict[str, Any], runs: Mapping[str, dict[str, Any]]) -> int | None:
    """Nanoseconds of the step; None where the machine was started in between."""
    detail = detail_of(event)
    step_ms = detail.get("step_ms")
    by = step_ms * 1_000_000 if isinstance(step_ms, int) else None
    return _shown_by_frames(event, detail, by, runs)


def _shown_by_frames(
    event: dict[str, Any],
    detail: Mapping[str, Any],
    by: int | None,
    runs: Mapping[str, dict[str, Any]],
) -> int | None:
    """``by`` of a step between two runs, corrected by their frames. What is left of a damaged spool
    may end before the run did: then the run has told of that step itself, and its last frames, that
    are loaded, show the clock of later."""
    before, own = runs.get(str(detail.get("after_run"))), runs.get(event["run_id"])
    if by is None or before is None or own is None or own["first_seq"] != event["after_seq"]:
        return by
    shown = int(own["first_offset"] - before["last_offset"])
    return by if abs(shown - by) < STEP_NS else shown


def _narrowed(shown: StepBack, after_seq: int, told: Sequence[StepBack]) -> StepBack:
    """The step that two frames show, the first one ``after_seq``, as the streamer saw it: it looks
    at its clocks more often than frames come, and than damage leaves them. Where that does not fit
    (several steps between two frames), as they show it."""
    by = shown.until - shown.since
    fitting = [
        step
        for step in told
        if step.run_id == shown.run_id
        and after_seq < step.before_seq <= shown.before_seq
        and abs(step.until - step.since - by) < _SAME_NS
        and step.since <= shown.since
    ]
    return fitting[0] if len(fitting) == 1 else shown


def _told(
    events: Sequence[dict[str, Any]], runs: Mapping[str, dict[str, Any]]
) -> Iterator[StepBack]:
    for event in events:
        if event["kind"] != StreamEventKind.CLOCK_STEP:
            continue
        span = span_of(event)
        before = instant_of(event, "before") or span.end
        after = instant_of(event, "after") or span.begin
        by = _by(event, runs)
        # Unknown where the machine was started in between: then as far as its clock is behind.
        until = before if by is None else after - by
        if until > after:
            yield StepBack(event["run_id"], event["after_seq"], until, after)
