"""Did the promise hold? PURE: evidence in, verdict out.

The promise: every frame whose record was complete in the spool is stored exactly once; every other
frame that was sent lies in a gap with a cause, and the cause is what was done to it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ib_platform.states import Cause, StreamEventKind
from ib_platform_tests.faults.chaos.alignment import Alignment, Lost, align
from ib_platform_tests.faults.chaos.clocks import (
    clock_violations,
    late_violations,
    shown_times,
    steps_back,
)
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Gap, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

SLACK = 2 * SECOND
"""A fault may be noted this long before or after its effect."""
_EDGE = SECOND // 100
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


@dataclass
class Verdict:
    """Counts of frames; ``lost`` by cause. The promise held if there is no violation."""

    sent: int
    stamped: int
    stored: int
    lost: Counter[str]
    violations: list[str] = field(default_factory=list)

    @property
    def held(self) -> bool:
        return not self.violations

    def line(self, seed: int, faults: int) -> str:
        """The last line of a run."""
        causes = ", ".join(f"{cause}: {count}" for cause, count in sorted(self.lost.items()))
        lost = f"lost {self.lost.total()}" + (f" ({causes})" if causes else "")
        end = "the promise held" if self.held else f"the promise broke: {self.violations[0]}"
        return (
            f"chaos seed {seed}: {faults} faults, sent {self.sent}, stamped {self.stamped}, "
            f"stored {self.stored}, {lost}: {end}"
        )


def judge(evidence: Evidence) -> Verdict:
    """Every violation is named; their order is from the worst to the smallest."""
    rows: dict[tuple[str, int], Stored] = {}
    twice = []
    for row in evidence.stored:
        if (row.run_id, row.seq) in rows:
            twice.append(f"stored twice: {_name(row)}")
        rows[row.run_id, row.seq] = row
    found = align(evidence.sent, rows.values())
    verdict = Verdict(len(evidence.sent), _stamped(evidence), len(rows), Counter())
    verdict.violations += twice
    verdict.violations += [f"stored and never sent: {_name(row)}" for row in found.strangers]
    verdict.violations += _not_stored(evidence, rows)
    verdict.violations += _unexplained(evidence, found, verdict.lost)
    verdict.violations += _wrong_gaps(evidence)
    verdict.violations += late_violations(evidence, found.pairs)
    verdict.violations += clock_violations(evidence)
    verdict.violations += _balance(evidence, rows)
    verdict.violations += [
        f"{count} rows of {table} are stored twice"
        for table, count in evidence.doubled.items()
        if count
    ]
    verdict.violations += [
        f"no decoded row of ladder frame {seq} of run {run_id}"
        for run_id, seq in sorted(evidence.undecoded)
    ]
    verdict.violations += [f"a traceback: {line}" for line in evidence.tracebacks]
    return verdict


def _name(row: Stored) -> str:
    return f"{row.topic} frame {row.seq} of run {row.run_id}, connection {row.connection}"


def _not_stored(evidence: Evidence, rows: dict[tuple[str, int], Stored]) -> Iterator[str]:
    for run_id, seq in sorted(evidence.kept - evidence.cut - rows.keys()):
        yield f"complete in the spool and not stored: frame {seq} of run {run_id}"
    last: dict[str, int] = defaultdict(lambda: -1)
    for run_id, seq in rows:
        last[run_id] = max(last[run_id], seq)
    for run_id, highest in last.items():
        for seq in range(highest):
            if (run_id, seq) not in rows and (run_id, seq) not in evidence.cut:
                yield f"numbered, not cut off, and not stored: frame {seq} of run {run_id}"


class _Offsets:
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


def _unexplained(evidence: Evidence, found: Alignment, lost: Counter[str]) -> Iterator[str]:
    offsets = _Offsets(evidence)
    set_back = steps_back(evidence)
    by_conid: dict[int, list[Gap]] = defaultdict(list)
    for gap in evidence.gaps:
        by_conid[gap.conid].append(gap)
    for frame in found.lost:
        conid = frame.sent.conid if frame.sent.topic == "sbd" else None
        gaps = evidence.gaps if conid is None else by_conid[conid]
        around = list(_gaps_around(frame, gaps, offsets))
        right = [gap for gap, begin in around if _is_right(evidence, gap, begin, frame.earliest)]
        if not right and _came_twice(frame, offsets, set_back):
            # Two reasons for one time: the gap names one. That it is one, `_wrong_gaps` asks.
            right = [gap for gap, _ in around]
        if right:
            lost[right[0].cause] += 1
        else:
            lost["unexplained"] += 1
            what = f"{frame.sent.topic} frame {frame.sent.index} of websocket"
            causes = sorted({gap.cause for gap, _ in around})
            why = f"its gap says {', '.join(causes)}" if causes else "it lies in no gap"
            seconds = frame.earliest / SECOND
            yield f"lost without a cause: {what} {frame.sent.websocket} at {seconds:.3f}: {why}"


def _gaps_around(frame: Lost, gaps: list[Gap], offsets: _Offsets) -> Iterator[tuple[Gap, int]]:
    """Gaps that a lost frame may lie in, and when they begin (monotonic)."""
    latest = frame.earliest if frame.latest is None else frame.latest
    for offset in offsets.around(frame.earliest):
        begin, end = frame.earliest + offset, latest + offset
        for gap in gaps:
            if gap.begin <= end + _EDGE and gap.end >= begin - _EDGE:
                yield gap, gap.begin - offset


def _is_right(evidence: Evidence, gap: Gap, begin: int, until: int) -> bool:
    """Whether something was done between ``begin`` and ``until`` that makes such a gap."""
    if gap.cause == Cause.NOT_ASSIGNED:
        first = min((row.monotonic for row in evidence.stored), default=until)
        return until >= evidence.asked_to_stop - SLACK or begin <= first
    for fault in evidence.faults:
        if gap.cause not in CAUSES.get(fault.kind, ()):
            continue
        if gap.cause == Cause.SPOOL_DAMAGED and fault.begin >= begin - SLACK:
            # Damage comes to a record long after it was written.
            return True
        if fault.begin <= until + SLACK and fault.end >= begin - SLACK:
            return True
        if fault.kind is Kind.SPOOL_TRUNCATED and begin - SLACK <= fault.begin:
            return True
    return False


def _came_twice(frame: Lost, offsets: _Offsets, set_back: list[tuple[int, int]]) -> bool:
    """Whether the record tells that the frame's time came twice, since the clock was set back."""
    times = [frame.earliest + offset for offset in offsets.around(frame.earliest)]
    return any(begin <= time <= end for time in times for begin, end in set_back)


def _wrong_gaps(evidence: Evidence) -> Iterator[str]:
    """Gaps whose cause is nothing that was done then, whether they hold lost frames or not."""
    shown = list(shown_times(evidence))
    for gap in evidence.gaps:
        begin = _before_a_stall(evidence, gap)
        offsets = [off for first, last, off in shown if first <= gap.end and last >= gap.begin]
        if not any(_is_right(evidence, gap, begin - o, gap.end - o) for o in offsets):
            yield (
                f"a gap of {gap.conid} for {(gap.end - gap.begin) / SECOND:.3f} s says "
                f"{gap.cause}, and nothing of that kind was done"
            )


def _before_a_stall(evidence: Evidence, gap: Gap) -> int:
    """When the gap may have begun in truth: what was stamped in or right after a stall that the
    record tells of may have happened at its beginning."""
    stalls = [
        window.begin
        for window in evidence.suspects
        if window.cause == Cause.LATE_STAMPS and window.begin <= gap.begin <= window.end + SLACK
    ]
    return min([gap.begin, *stalls])


def _stamped(evidence: Evidence) -> int:
    """Frames that the streamer has stamped: those that got a number, and those counted as lost."""
    highest: dict[str, int] = defaultdict(lambda: -1)
    for run_id, seq in [(row.run_id, row.seq) for row in evidence.stored] + [*evidence.kept]:
        highest[run_id] = max(highest[run_id], seq)
    lost = sum(
        int(event.detail.get("lost_frames", 0))
        for event in evidence.events
        if event.kind == StreamEventKind.FRAMES_LOST
    )
    return sum(last + 1 for last in highest.values()) + lost


def _balance(evidence: Evidence, rows: dict[tuple[str, int], Stored]) -> Iterator[str]:
    """received = stored + lost, as each run itself says."""
    stored = Counter(run_id for run_id, _ in rows)
    cut = Counter(run_id for run_id, seq in evidence.cut if (run_id, seq) not in rows)
    cut_seqs: dict[str, list[int]] = defaultdict(list)
    for run_id, seq in evidence.cut:
        cut_seqs[run_id].append(seq)
    lost: Counter[str] = Counter()
    for event in evidence.events:
        if event.kind == StreamEventKind.FRAMES_LOST:
            lost[event.run_id] += int(event.detail["lost_frames"])
    for event in evidence.events:
        detail, run_id = event.detail, event.run_id
        if event.kind == StreamEventKind.RUN_STOPPED:
            received, spooled = int(detail["received"]), int(detail["spooled"])
            if received != spooled + lost[run_id] or int(detail.get("lost", 0)) != lost[run_id]:
                yield (
                    f"run {run_id} received {received}, spooled {spooled}, and its events say "
                    f"that {lost[run_id]} were lost"
                )
            if spooled != stored[run_id] + cut[run_id]:
                yield f"run {run_id} spooled {spooled}, and {stored[run_id]} are stored"
        elif event.kind == StreamEventKind.RUN_RECOVERED:
            died, frames = str(detail["run_id"]), int(detail["frames"])
            # What was on its way when it was cut off may be stored, and nobody can know.
            may_be_more = sum((died, seq) in rows for seq in cut_seqs[died])
            if not stored[died] - may_be_more <= frames <= stored[died]:
                yield f"run {died} was recovered with {frames} frames, {stored[died]} are stored"
