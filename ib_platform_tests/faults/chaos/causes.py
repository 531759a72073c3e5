"""Does each gap say what was done? PURE."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace

from ib_platform.states import Cause
from ib_platform_tests.faults.chaos.alignment import Pair
from ib_platform_tests.faults.chaos.clocks import shown_times
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Gap, Injected
from ib_platform_tests.faults.chaos.losses import BREAKS, Losses
from ib_platform_tests.faults.chaos.schedule import Kind

SLACK = 2 * SECOND
"""A fault may be noted this long before or after its effect."""
CAUSES: dict[Kind, frozenset[Cause]] = {
    Kind.STREAMER_KILLED: frozenset({Cause.STREAMER_DIED}),
    Kind.SPOOL_TRUNCATED: frozenset({Cause.STREAMER_DIED, Cause.SPOOL_DAMAGED}),
    Kind.STREAMER_STOPPED: frozenset({Cause.DISCONNECTED}),
    Kind.DISK_FULL: frozenset({Cause.DISK_FULL}),
    Kind.WEBSOCKET_CLOSED: frozenset({Cause.DISCONNECTED}),
    Kind.HALF_OPEN: frozenset({Cause.DISCONNECTED}),
    Kind.GIANT_FRAME: frozenset({Cause.DISCONNECTED}),
}
"""Gaps that a fault may make. The others make none."""
_OF_CUTS = frozenset({Cause.STREAMER_DIED, Cause.SPOOL_DAMAGED})


class Causes:
    """What a gap may say."""

    def __init__(self, evidence: Evidence, losses: Losses, pairs: Sequence[Pair]) -> None:
        self._evidence = evidence
        self._late = {
            pair.stored.received: pair.stored.monotonic - pair.sent.monotonic_ns for pair in pairs
        }
        self._losses = losses
        self._mute = [_since_mute(evidence, death) for death in losses.deaths]
        self._ladders: dict[int, list[int]] = defaultdict(list)
        for row in evidence.stored:
            if row.topic == "sbd" and row.conid is not None:
                insort(self._ladders[row.conid], row.monotonic)

    def is_right(self, gap: Gap, begin: int, until: int) -> bool:
        """Whether something was done between ``begin`` and ``until`` (monotonic: the gap, or the
        part of it up to a lost frame) that makes such a gap."""
        if gap.cause == Cause.NOT_ASSIGNED:
            return self._is_outside(gap, begin, until)
        if gap.cause in _OF_CUTS and self._losses.is_cut(begin, until):
            return True
        # Damage comes to a record long after it was written: only what was cut off tells.
        return gap.cause != Cause.SPOOL_DAMAGED and any(
            gap.cause in CAUSES.get(fault.kind, ())
            and fault.begin <= until + SLACK
            and fault.end >= begin - SLACK
            for fault in [*self._evidence.faults, *self._ends_of(gap.conid)]
        )

    def _ends_of(self, conid: int) -> Iterator[Injected]:
        """What ends a ladder lasts until it comes again, whatever the clock shows since."""
        ladder = self._ladders[conid]
        broken = [fault for fault in self._evidence.faults if fault.kind in BREAKS]
        for end in [*self._mute, *broken]:
            again = bisect_right(ladder, end.end)
            yield replace(end, end=ladder[again] if again < len(ladder) else end.end)

    def _is_outside(self, gap: Gap, begin: int, until: int) -> bool:
        """Before the first frame of the ladder, or after the end was asked for."""
        ladder = self._ladders[gap.conid]
        asked = self._evidence.asked_to_stop
        return not ladder or until <= ladder[0] + SLACK or begin >= asked - SLACK

    def wrong_gaps(self) -> Iterator[str]:
        """Gaps whose cause is nothing that was done then, whether they hold lost frames or not."""
        shown = list(shown_times(self._evidence))
        for gap in self._evidence.gaps:
            outside = gap.cause == Cause.NOT_ASSIGNED
            begin = gap.begin if outside else self._before_a_stall(gap)
            offsets = [off for first, last, off in shown if first <= gap.end and last >= gap.begin]
            if not any(self.is_right(gap, begin - o, gap.end - o) for o in offsets):
                yield (
                    f"a gap of {gap.conid} for {(gap.end - gap.begin) / SECOND:.3f} s says "
                    f"{gap.cause}, and nothing of that kind was done"
                )

    def _before_a_stall(self, gap: Gap) -> int:
        """When the gap may have begun in truth: what was stamped in or right after a stall that the
        record tells of may have happened at its beginning, or when the last frame was sent."""
        stalls = [
            window.begin
            for window in self._evidence.suspects
            if window.cause == Cause.LATE_STAMPS and window.begin <= gap.begin <= window.end + SLACK
        ]
        if not stalls:
            return gap.begin
        late = self._late.get(gap.begin, 0)
        return min([gap.begin - late, *stalls])


def _since_mute(evidence: Evidence, death: Injected) -> Injected:
    """A streamer that dies while its disk is full could not tell what it had refused before: then
    its death is all that the record knows."""
    full = [
        fault.begin
        for fault in evidence.faults
        if fault.kind is Kind.DISK_FULL and fault.begin <= death.begin <= fault.end + SLACK
    ]
    return replace(death, begin=min([death.begin, *full]))
