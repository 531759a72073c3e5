"""Does a gap hold what is stored? PURE.

A gap that is too long would be believed, since every lost frame lies in it: stored ladder frames
must not, but near its edges.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from ib_platform.states import Cause, StreamEventKind
from ib_platform_tests.faults.chaos.clocks import shown_times
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Gap, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

EDGE = SECOND
"""A gap ends with a ladder's first full frame; others may come before it."""
_ASKED_AGAIN = 10 * SECOND + EDGE
"""A ladder whose first frame is no answer is asked for again after ten seconds."""
_SILENT = SECOND // 5
"""A ladder that nothing keeps from it sends more often than that."""


def overlong_gaps(evidence: Evidence, came_twice: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Gaps with stored ladder frames of their contract inside. ``came_twice``: spans of wall time
    that the clock showed twice, as true events tell: there a gap may be one of the other pass."""
    passes = list(shown_times(evidence))
    ladders = _ladders(evidence)
    told = list(_told_losses(evidence))
    blind = _blind_spans(evidence)
    for gap in evidence.gaps:
        rows = ladders[gap.conid]
        at = [row.received for row in rows]
        inside = rows[bisect_left(at, gap.begin + EDGE) : bisect_right(at, gap.end - EDGE)]
        # What was stored while others were refused, or shows no book, is no ladder that nothing
        # keeps from it.
        disturbed = {
            (row.run_id, row.seq)
            for row in rows
            if _is_of_a_told_loss(gap, row, told)
            or any(begin <= row.monotonic <= end for begin, end in blind[gap.conid])
        }
        undisturbed = [row for row in rows if (row.run_id, row.seq) not in disturbed]
        wrong = [
            row
            for row in inside
            if (row.run_id, row.seq) not in disturbed
            and not _is_of_another_pass(row, undisturbed, passes, came_twice)
        ]
        # A single frame covers no time.
        if len(wrong) > 1:
            first, length = wrong[0], (gap.end - gap.begin) / SECOND
            yield (
                f"{len(wrong)} stored frames lie in a gap of {gap.conid} for {length:.3f} s that "
                f"says {gap.cause}, the first is {first.seq} of run {first.run_id}"
            )


def _ladders(evidence: Evidence) -> dict[int, list[Stored]]:
    ladders: dict[int, list[Stored]] = defaultdict(list)
    for row in sorted(evidence.stored, key=lambda row: row.received):
        if row.topic == "sbd" and row.conid is not None:
            ladders[row.conid].append(row)
    return ladders


def _blind_spans(evidence: Evidence) -> dict[int, list[tuple[int, int]]]:
    """By contract: spans (monotonic) in which its frames show no book, since the first one of the
    websocket, which would have laid it, was malformed. Some of these do not even say whose."""
    malformed = [fault for fault in evidence.faults if fault.kind is Kind.MALFORMED_FRAMES]
    nobodys: dict[int, int] = {}
    seen: set[tuple[int, int]] = set()
    blind: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for frame in evidence.sent:
        at, ladder = frame.monotonic_ns, (frame.websocket, frame.conid or 0)
        is_malformed = any(fault.begin <= at <= fault.end for fault in malformed)
        if is_malformed and frame.topic == "undecodable":
            nobodys.setdefault(frame.websocket, at)
        if frame.topic == "sbd" and frame.conid is not None and ladder not in seen:
            seen.add(ladder)
            begin = at if is_malformed else nobodys.get(frame.websocket)
            if begin is not None:
                blind[frame.conid].append((begin, begin + _ASKED_AGAIN))
    return blind


def _told_losses(evidence: Evidence) -> Iterator[tuple[str, str | None, int, int]]:
    """Run, cause and span (wall) in which some frames were refused and others were not."""
    for event in evidence.events:
        if event.kind == StreamEventKind.FRAMES_LOST and "begin" in event.detail:
            yield event.run_id, event.cause, _ns(event.detail["begin"]), _ns(event.detail["end"])


def _ns(instant: object) -> int:
    return round(datetime.fromisoformat(str(instant)).timestamp() * 1e6) * 1000


def _is_of_a_told_loss(
    gap: Gap, row: Stored, told: Sequence[tuple[str, str | None, int, int]]
) -> bool:
    if gap.cause == Cause.QUARANTINED:
        return True
    return any(
        run_id == row.run_id and cause == gap.cause and begin - EDGE <= row.received <= end + EDGE
        for run_id, cause, begin, end in told
    )


def _is_of_another_pass(
    row: Stored,
    rows: Sequence[Stored],
    passes: Sequence[tuple[int, int, int]],
    came_twice: Sequence[tuple[int, int]],
) -> bool:
    """Whether the row's time came in another pass of the clock too, and nothing of the ladder is
    stored then."""
    at = row.received
    if not any(begin <= at <= end for begin, end in came_twice):
        return False
    near = [other for other in rows if abs(other.received - at) <= _SILENT]
    return any(
        begin <= at <= end
        and abs(offset - row.offset) > _SILENT
        and not any(abs(other.offset - offset) <= _SILENT for other in near)
        for begin, end, offset in passes
    )
