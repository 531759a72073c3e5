"""Does each run say how it ended, and do its numbers add up? PURE."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping

from ib_platform.states import StreamEventKind
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, FrameId, Stored
from ib_platform_tests.faults.chaos.refusals import told_lost
from ib_platform_tests.faults.chaos.schedule import Kind

_FULL_DISK = 9
"""Exit code of a streamer that its disk does not let work."""
_AFTER = 5 * SECOND


def stamped(evidence: Evidence) -> int:
    """Frames that the streamer has stamped: those that got a number, and those counted as lost."""
    highest: dict[str, int] = defaultdict(lambda: -1)
    for run_id, seq in [(row.run_id, row.seq) for row in evidence.stored] + [*evidence.kept]:
        highest[run_id] = max(highest[run_id], seq)
    return sum(last + 1 for last in highest.values()) + told_lost(evidence).total()


def balance(evidence: Evidence, rows: Mapping[FrameId, Stored]) -> Iterator[str]:
    """received = stored + lost, as each run itself says."""
    stored = Counter(run_id for run_id, _ in rows)
    cut = Counter(run_id for run_id, seq in evidence.cut if (run_id, seq) not in rows)
    may_be_stored = Counter(run_id for run_id, seq in evidence.cut if (run_id, seq) in rows)
    lost = told_lost(evidence)
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
            if not stored[died] - may_be_stored[died] <= frames <= stored[died]:
                yield f"run {died} was recovered with {frames} frames, {stored[died]} are stored"


def missing_ends(evidence: Evidence) -> Iterator[str]:
    """Runs whose end is not told, or told twice. The last one has to have stopped."""
    last_at: dict[str, int] = {event.run_id: 0 for event in evidence.events}
    for row in evidence.stored:
        last_at[row.run_id] = max(last_at.get(row.run_id, 0), row.monotonic)
    ends: Counter[str] = Counter()
    stopped = set()
    for event in evidence.events:
        if event.kind == StreamEventKind.RUN_STOPPED:
            stopped.add(event.run_id)
            ends[event.run_id] += 1
        elif event.kind == StreamEventKind.RUN_RECOVERED:
            about = str(event.detail.get("run_id"))
            # Nobody recovers itself.
            ends[about] += about != event.run_id
    newest = max(last_at, key=lambda run_id: last_at[run_id], default=None)
    for run_id in last_at:
        if run_id == newest:
            if run_id not in stopped:
                yield f"no event tells that the last run, {run_id}, has stopped"
        elif ends[run_id] == 0 and not _was_cut_off(evidence, last_at, run_id):
            yield f"no event tells how run {run_id} ended"
        if ends[run_id] > 1:
            yield f"{ends[run_id]} events tell how run {run_id} ended"


def _was_cut_off(evidence: Evidence, last_at: Mapping[str, int], run_id: str) -> bool:
    """Whether its end may have stood in a later run's spool that the chaos cut, as is told."""
    last = last_at[run_id]
    cut = any(f.kind is Kind.SPOOL_TRUNCATED and f.begin >= last for f in evidence.faults)
    torn = {
        str(event.detail.get("run_id"))
        for event in evidence.events
        if event.kind == StreamEventKind.SPOOL_TORN
    }
    # Of a run without frames nobody knows when it was.
    return cut and any(not last_at.get(o) or last_at[o] > last for o in torn - {run_id})


def wrong_exits(evidence: Evidence) -> Iterator[str]:
    """A streamer that is asked to ends with 0; none ends by itself but while the disk is full."""
    full = [fault for fault in evidence.faults if fault.kind is Kind.DISK_FULL]
    for end in evidence.exits:
        is_full = any(fault.begin <= end.at <= fault.end + _AFTER for fault in full)
        if end.was_asked and end.code == 0:
            continue
        if end.was_asked or end.code != _FULL_DISK or not is_full:
            why = "when it was asked to" if end.was_asked else "by itself"
            yield f"a streamer ended {why} with exit code {end.code} at {end.at / SECOND:.3f}"
