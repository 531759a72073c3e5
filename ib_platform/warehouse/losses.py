"""Frames that were received and not kept: refused by the disk, damaged, refused by ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_platform.states import Cause, StreamEventKind
from ib_platform.warehouse.event_details import detail_of, span_of
from ib_platform.warehouse.evidence import Loss, StepBack
from ib_platform.warehouse.spans import Span

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build


STEP_NS = 500_000_000
"""A clock that differs by less was not set."""


def read_losses(
    build: Build, events: Sequence[dict[str, Any]], steps: Sequence[StepBack]
) -> list[Loss]:
    """What the streamer saw being lost, and the holes that damage has left in its spool. ``steps``:
    where clocks were set back."""
    losses = []
    damaged = set()
    for event in events:
        if event["kind"] == StreamEventKind.FRAMES_LOST and event["cause"] is not None:
            span = span_of(event)
            between = event["after_seq"] - 1, event["after_seq"]
            losses.append(Loss(event["run_id"], span.begin, span.end, event["cause"], between))
        elif event["kind"] == StreamEventKind.SPOOL_TORN:
            damaged.add(detail_of(event).get("run_id"))
    losses += _quarantined(events)
    run_ids = sorted(run_id for run_id in damaged if isinstance(run_id, str))
    if run_ids:
        rows = build.rows("holes", run_ids=run_ids)
        losses += [loss for row in rows for loss in _hole(row, steps)]
    return losses


def _hole(row: dict[str, Any], steps: Sequence[StepBack]) -> list[Loss]:
    """Where the clock was set meanwhile, and nobody told when: as long as the hole was, by the
    clock before and by the clock after."""
    begin, end, elapsed = row["begin"], row["end"], row["elapsed"]
    spans = [Span(begin, end)]
    if end < begin + elapsed or end - begin - elapsed > STEP_NS:
        spans = [Span(begin, begin + elapsed), Span(end - elapsed, end)]
    # A step of the clock before frame 0 is one before the run.
    before, after = max(0, row["previous_seq"]), row["seq"]
    places = [(before, after)] * len(spans)
    if end < begin + elapsed:
        # By the clock before it lies in that clock's pass. When the other pass began, nobody knows.
        places = [(before, before), (before, after)]
        seen = [step for step in steps if _is_seen_inside(step, row)]
        if len(seen) == 1:
            spans = [Span(begin, seen[0].until), Span(seen[0].since, end)]
            places = [(before, before), (after, after)]
    return [
        Loss(row["run_id"], span.begin, span.end, Cause.SPOOL_DAMAGED, between)
        for span, between in zip(spans, places, strict=True)
    ]


def _is_seen_inside(step: StepBack, row: dict[str, Any]) -> bool:
    """Whether the streamer saw the step in the hole, before the frame that ends it."""
    return bool(
        step.run_id == row["run_id"]
        and row["previous_seq"] < step.before_seq <= row["seq"]
        and step.since < row["end"]
        and row["begin"] <= step.until
    )


def _quarantined(events: Sequence[dict[str, Any]]) -> list[Loss]:
    """Batches that ClickHouse refused and that were not sent again since."""
    refused, resent = {}, set()
    for event in events:
        detail = detail_of(event)
        batch, run_id = str(detail.get("batch")), str(detail.get("run_id"))
        if event["kind"] == StreamEventKind.BATCH_RESENT:
            resent.add(batch)
        elif event["kind"] == StreamEventKind.BATCH_REFUSED:
            span = span_of(event)
            # Ladders lack nothing where only quotes or events were refused.
            if set(detail.get("tables") or ["frames"]) - {"quote_frames", "stream_events"}:
                cause, between = Cause.QUARANTINED, _around(detail)
                refused[batch] = Loss(run_id, span.begin, span.end, cause, between)
    return [loss for batch, loss in refused.items() if batch not in resent]


def _around(detail: dict[str, Any]) -> tuple[int, int] | None:
    first, last = detail.get("first_seq"), detail.get("last_seq")
    return (first - 1, last + 1) if isinstance(first, int) and isinstance(last, int) else None
