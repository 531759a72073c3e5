"""Do suspect windows cover only what may be in doubt? PURE.

A record that suspects everything would hide every wrong stamp.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from ib_platform.states import Cause
from ib_platform_tests.faults.chaos.alignment import Pair
from ib_platform_tests.faults.chaos.clocks import Offsets
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Suspect
from ib_platform_tests.faults.chaos.losses import Losses
from ib_platform_tests.faults.chaos.schedule import Kind
from ib_platform_tests.faults.chaos.steps import Steps

CATCHING_UP = SECOND
"""What waited through a stall is read and stamped within as long as the stall took, or this."""
SHORT = SECOND * 35 // 100
"""Stalls and pauses up to this are not told from each other."""
_SLACK = 2 * SECOND
_MAKES: Mapping[str, tuple[Kind, ...]] = {
    Cause.LATE_STAMPS: (Kind.STREAMER_STOPPED, Kind.HALF_OPEN, Kind.GIANT_FRAME, Kind.DISK_FULL),
    Cause.DISK_FULL: (Kind.DISK_FULL,),
    Cause.CROSSED_BOOK: (Kind.MALFORMED_FRAMES, Kind.DISK_FULL),
    Cause.UNDECODABLE: (Kind.MALFORMED_FRAMES, Kind.GIANT_FRAME),
}
Span = tuple[int, int]


def wrong_windows(
    evidence: Evidence, losses: Losses, steps: Steps, pairs: Sequence[Pair]
) -> Iterator[str]:
    """Windows that cover what nothing was done to."""
    near = _Near(evidence, losses, steps, pairs)
    stamps = _stamps(evidence)
    for window in evidence.suspects:
        beyond = near.beyond(window)
        if beyond and not _stood_still(window, beyond, stamps[window.run_id]):
            yield (
                f"a suspect window of {window.conid} for "
                f"{(window.end - window.begin) / SECOND:.3f} s in run {window.run_id} says "
                f"{window.cause}, and {beyond / SECOND:.3f} s of it are near nothing of that kind"
            )


def _stamps(evidence: Evidence) -> Mapping[str, list[int]]:
    """When each run received what is stored, wall, in order."""
    stamps: dict[str, list[int]] = defaultdict(list)
    for row in evidence.stored:
        insort(stamps[row.run_id], row.received)
    return stamps


def _stood_still(window: Suspect, beyond: int, stamps: Sequence[int]) -> bool:
    """Whether the run stamped nothing for most of what is ``beyond`` all faults: then it stood
    still, as on a busy machine it may."""
    if window.cause != Cause.LATE_STAMPS:
        return False
    first, last = bisect_right(stamps, window.begin), bisect_left(stamps, window.end)
    instants = [window.begin, *stamps[first:last], window.end]
    longest = max(after - before for before, after in pairwise(instants))
    return longest >= max(beyond // 2, beyond - CATCHING_UP) - SHORT


class _Near:
    """Spans of wall time, by cause, in which stamps or contents may be wrong."""

    def __init__(
        self, evidence: Evidence, losses: Losses, steps: Steps, pairs: Sequence[Pair]
    ) -> None:
        self._offsets = Offsets(evidence)
        self._spans: dict[str, list[Span]] = {
            cause: [
                span
                for fault in evidence.faults
                if fault.kind in kinds
                for span in self._wall(fault.begin, fault.end)
            ]
            for cause, kinds in _MAKES.items()
        }
        holes = [span for hole in losses.holes for span in self._wall(hole.begin, hole.end)]
        self._spans[Cause.SPOOL_DAMAGED] = holes
        # A ladder that lacks frames may seem to cross.
        self._spans[Cause.CROSSED_BOOK] += holes
        # A streamer that stood still reads it later than it was sent.
        read = list(_read_malformed(evidence, pairs))
        self._spans[Cause.UNDECODABLE] += read
        self._spans[Cause.CROSSED_BOOK] += read
        stepped = [(step.told.begin - _SLACK, step.told.end + _SLACK) for step in steps.true]
        self._spans[Cause.CLOCK_STEP] = stepped
        self._spans[Cause.LATE_STAMPS] += stepped

    def beyond(self, window: Suspect) -> int:
        """Nanoseconds of the window that are near nothing of its cause. What a ladder carries
        forward is in doubt until its next full window, so its beginning only has to be near."""
        spans = self._spans.get(window.cause, [])
        if window.cause in (Cause.LATE_STAMPS, Cause.CLOCK_STEP):
            return _length_beyond(window.begin, window.end, spans)
        begins_near = any(begin <= window.begin <= end for begin, end in spans)
        return 0 if begins_near else window.end - window.begin + 1

    def _wall(self, begin: int, end: int) -> Iterator[Span]:
        for offset in {*self._offsets.around(begin), *self._offsets.around(end)}:
            yield begin + offset - _SLACK, end + offset + _SLACK


def _read_malformed(evidence: Evidence, pairs: Sequence[Pair]) -> Iterator[Span]:
    """When, by its own clock, a streamer read what was sent malformed."""
    malformed = [fault for fault in evidence.faults if fault.kind is Kind.MALFORMED_FRAMES]
    for fault in malformed:
        sent = [pair for pair in pairs if fault.begin <= pair.sent.monotonic_ns <= fault.end]
        for pair in sent:
            yield pair.stored.received - _SLACK, pair.stored.received + _SLACK


def _length_beyond(begin: int, end: int, spans: Sequence[Span]) -> int:
    beyond, at = 0, begin
    for first, last in sorted(spans):
        if first > end:
            break
        beyond += max(0, first - at)
        at = max(at, last)
    return beyond + max(0, end - at)
