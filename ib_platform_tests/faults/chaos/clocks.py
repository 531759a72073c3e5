"""Are wrong stamps marked? PURE. Late ones after a SIGSTOP, and steps of the wall clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from ib_platform.states import Cause, StreamEventKind
from ib_platform_tests.faults.chaos.alignment import Pair
from ib_platform_tests.faults.chaos.evidence import SECOND, Event, Evidence, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

LATE = SECOND // 2
"""Stalls over 0.25 s are marked; a frame is half a second late at least to count here, so that a
slow machine is not taken for a wrong streamer."""
STEP = SECOND // 2
_AFTER_A_STOP = 5 * SECOND
_SOON = SECOND
_FOR_EVER = 10**6 * SECOND


def late_violations(evidence: Evidence, pairs: Sequence[Pair]) -> Iterator[str]:
    """Ladder frames that waited in the socket of a stopped streamer and whose late stamps are not
    in a suspect window."""
    stops = [fault for fault in evidence.faults if fault.kind is Kind.STREAMER_STOPPED]
    for pair in pairs:
        row, late = pair.stored, pair.stored.monotonic - pair.sent.monotonic_ns
        waited = row.topic == "sbd" and late > LATE
        if not waited or row.conid is None:
            continue
        of_a_stop = any(
            stop.begin <= pair.sent.monotonic_ns <= stop.end
            and stop.end <= row.monotonic <= stop.end + _AFTER_A_STOP
            for stop in stops
        )
        if of_a_stop and not _is_marked(evidence, row, Cause.LATE_STAMPS):
            yield (
                f"stamped {late / SECOND:.3f} s late and in no suspect window: ladder frame "
                f"{row.seq} of run {row.run_id}"
            )


def _is_marked(evidence: Evidence, row: Stored, cause: Cause) -> bool:
    # Event spans are kept to the microsecond.
    return any(
        window.run_id == row.run_id
        and window.conid == row.conid
        and window.cause == cause
        and window.begin <= row.received + 1000
        and window.end >= row.received - 1000
        for window in evidence.suspects
    ) or any(
        gap.conid == row.conid and gap.begin <= row.received <= gap.end for gap in evidence.gaps
    )


def clock_violations(evidence: Evidence) -> Iterator[str]:
    """Steps that two neighbouring frames of a run show, and no event tells of."""
    runs: dict[str, list[Stored]] = defaultdict(list)
    for row in evidence.stored:
        runs[row.run_id].append(row)
    told: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for event in evidence.events:
        if event.kind == StreamEventKind.CLOCK_STEP:
            told[event.run_id].append(_span(event))
    for run_id, rows in runs.items():
        rows.sort(key=lambda row: row.seq)
        last = rows[-1].monotonic
        for before, after in pairwise(rows):
            step = after.offset - before.offset
            low, high = sorted((before.received, after.received))
            is_told = any(begin <= high and end >= low for begin, end in told[run_id])
            # Who is killed before the next look cannot tell.
            if abs(step) > STEP and not is_told and last - after.monotonic > _SOON:
                yield (
                    f"the clock was stepped by {step / SECOND:.3f} s before frame {after.seq} of "
                    f"run {run_id}, and no event tells of it"
                )


def shown_times(evidence: Evidence) -> Iterator[tuple[int, int, int]]:
    """First and last wall time that the streamer's clock showed between two steps, and how far it
    was off the monotonic clock: as far as neighbouring stored frames may tell."""
    rows = sorted(evidence.stored, key=lambda row: row.monotonic)
    ends = [
        number
        for number, (before, after) in enumerate(pairwise(rows), start=1)
        if abs(after.offset - before.offset) > STEP / 2
    ]
    for first, last in pairwise([0, *ends, len(rows)]):
        offset = rows[first].offset
        begin = rows[first - 1].monotonic if first else rows[first].monotonic - _FOR_EVER
        end = rows[last].monotonic if last < len(rows) else rows[-1].monotonic + _FOR_EVER
        yield begin + offset, end + offset, offset


def steps_back(evidence: Evidence) -> list[tuple[int, int]]:
    """Spans of wall time that came twice, as the events tell."""
    return [
        _span(event)
        for event in evidence.events
        if event.kind == StreamEventKind.CLOCK_STEP and int(event.detail.get("step_ms", -1)) < 0
    ]


def _span(event: Event) -> tuple[int, int]:
    instants = [datetime.fromisoformat(str(event.detail[key])) for key in ("begin", "end")]
    begin, end = sorted(round(instant.timestamp() * 1e6) * 1000 for instant in instants)
    return begin - 1000, end + 1000
