"""Did the promise hold? PURE: evidence in, verdict out.

The promise: every frame whose record was complete in the spool is stored exactly once; every other
frame that was sent lies in a gap with a cause, and the cause is what was done to it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

from ib_platform_tests.faults.chaos.alignment import Alignment, Lost, align
from ib_platform_tests.faults.chaos.causes import Causes
from ib_platform_tests.faults.chaos.clocks import Offsets, late_violations
from ib_platform_tests.faults.chaos.ends import balance, missing_ends, stamped, wrong_exits
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Gap, Stored
from ib_platform_tests.faults.chaos.findings import wrong_findings
from ib_platform_tests.faults.chaos.gap_lengths import overlong_gaps
from ib_platform_tests.faults.chaos.losses import Losses
from ib_platform_tests.faults.chaos.refusals import untold_refusals
from ib_platform_tests.faults.chaos.steps import Steps
from ib_platform_tests.faults.chaos.windows import wrong_windows

_EDGE = SECOND // 100


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
    verdict = Verdict(len(evidence.sent), stamped(evidence), len(rows), Counter())
    verdict.violations += twice
    verdict.violations += [f"stored and never sent: {_name(row)}" for row in found.strangers]
    verdict.violations += _not_stored(evidence, rows)
    losses, steps = Losses(evidence), Steps(evidence)
    causes = Causes(evidence, losses, found.pairs)
    verdict.violations += _unexplained(evidence, found, _Reasons(losses, causes, steps), verdict)
    verdict.violations += untold_refusals(evidence, found.pairs)
    verdict.violations += causes.wrong_gaps()
    verdict.violations += overlong_gaps(evidence, steps.back())
    verdict.violations += late_violations(evidence, found.pairs)
    verdict.violations += steps.violations()
    verdict.violations += wrong_windows(evidence, losses, steps, found.pairs)
    verdict.violations += missing_ends(evidence)
    verdict.violations += balance(evidence, rows)
    verdict.violations += wrong_findings(evidence, rows)
    verdict.violations += wrong_exits(evidence)
    verdict.violations += [
        f"{count} rows of {table} are stored twice"
        for table, count in evidence.doubled.items()
        if count
    ]
    verdict.violations += [
        f"no decoded row of frame {seq} of run {run_id}"
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


@dataclass(frozen=True)
class _Reasons:
    losses: Losses
    causes: Causes
    steps: Steps


def _unexplained(
    evidence: Evidence, found: Alignment, reasons: _Reasons, verdict: Verdict
) -> Iterator[str]:
    offsets = Offsets(evidence)
    set_back = reasons.steps.back()
    by_conid: dict[int, list[Gap]] = defaultdict(list)
    for gap in evidence.gaps:
        by_conid[gap.conid].append(gap)
    for frame in found.lost:
        conid = frame.sent.conid if frame.sent.topic == "sbd" else None
        gaps = evidence.gaps if conid is None else by_conid[conid]
        around = list(_gaps_around(frame, gaps, offsets))
        is_right = reasons.causes.is_right
        right = [gap for gap, begin in around if is_right(gap, begin, frame.earliest)]
        if not right and _came_twice(frame, offsets, set_back):
            # Two reasons for one time: the gap names one. That it is one, `wrong_gaps` asks.
            right = [gap for gap, _ in around]
        causes = sorted({gap.cause for gap, _ in around})
        if right and reasons.losses.is_explained(frame):
            verdict.lost[right[0].cause] += 1
            continue
        verdict.lost["unexplained"] += 1
        why = f"its gap says {', '.join(causes)}" if causes else "it lies in no gap"
        if right:
            why += ", and nothing took it"
        what = f"{frame.sent.topic} frame {frame.sent.index} of websocket {frame.sent.websocket}"
        yield f"lost without a cause: {what} at {frame.earliest / SECOND:.3f}: {why}"


def _gaps_around(frame: Lost, gaps: list[Gap], offsets: Offsets) -> Iterator[tuple[Gap, int]]:
    """Gaps that a lost frame may lie in, and when they begin (monotonic)."""
    latest = frame.earliest if frame.latest is None else frame.latest
    for offset in offsets.around(frame.earliest):
        begin, end = frame.earliest + offset, latest + offset
        for gap in gaps:
            if gap.begin <= end + _EDGE and gap.end >= begin - _EDGE:
                yield gap, gap.begin - offset


def _came_twice(frame: Lost, offsets: Offsets, set_back: list[tuple[int, int]]) -> bool:
    """Whether the record tells that the frame's time came twice, since the clock was set back."""
    times = [frame.earliest + offset for offset in offsets.around(frame.earliest)]
    return any(begin <= time <= end for time in times for begin, end in set_back)
