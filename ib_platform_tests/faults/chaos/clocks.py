"""Are late stamps after a SIGSTOP marked, and what did the clock show when? PURE."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ib_platform.states import Cause
from ib_platform_tests.faults.chaos.alignment import Pair
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

LATE = SECOND // 2
"""Stalls over 0.25 s are marked; a frame is half a second late at least to count here, so that a
slow machine is not taken for a wrong streamer."""
STEP = SECOND // 2
_AFTER_A_STOP = 5 * SECOND
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
    # What told of the stop may have been cut off together with the frames before it: then the
    # windows of that damage are what is left. Event spans are kept to the microsecond.
    return any(
        window.run_id == row.run_id
        and window.conid == row.conid
        and window.cause in (cause, Cause.SPOOL_DAMAGED)
        and window.begin <= row.received + 1000
        and window.end >= row.received - 1000
        for window in evidence.suspects
    ) or any(
        gap.conid == row.conid and gap.begin <= row.received <= gap.end for gap in evidence.gaps
    )


class Offsets:
    """What the streamer's wall clock was off, before and after an instant."""

    def __init__(self, evidence: Evidence) -> None:
        known = sorted((row.monotonic, row.offset) for row in evidence.stored)
        self._at = [monotonic for monotonic, _ in known]
        self._offsets = [offset for _, offset in known]

    def around(self, monotonic: int) -> list[int]:
        at = bisect_right(self._at, monotonic)
        near = self._offsets[max(0, at - 1) : at + 1]
        # Two clocks that were not stepped differ by microseconds.
        return near[:1] if len(near) == 2 and abs(near[0] - near[1]) < SECOND // 4 else near


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
