"""Did every frame that took no number get counted? PURE.

Between two stored frames of a connection as many frames are missing as numbers are, but for those
that the streamer refused for a full disk: it has to tell of these. Where the spool was cut between
the two, its word of them may be cut off as well.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from ib_platform.states import StreamEventKind
from ib_platform_tests.faults.chaos.alignment import Pair
from ib_platform_tests.faults.chaos.evidence import Evidence


def told_lost(evidence: Evidence) -> Counter[str]:
    """Frames that each run says it has lost."""
    lost: Counter[str] = Counter()
    for event in evidence.events:
        if event.kind == StreamEventKind.FRAMES_LOST:
            lost[event.run_id] += int(event.detail.get("lost_frames", 0))
    return lost


def untold_refusals(evidence: Evidence, pairs: Sequence[Pair]) -> Iterator[str]:
    """Runs that refused more frames than they tell of, and numbers that stand for no frame."""
    told, refused = told_lost(evidence), Counter[str]()
    ordered = sorted(pairs, key=lambda pair: (pair.stored.run_id, pair.stored.seq))
    for before, after in pairwise(ordered):
        run_id = after.stored.run_id
        if (before.stored.run_id, before.sent.websocket) != (run_id, after.sent.websocket):
            continue
        missing = after.sent.index - before.sent.index
        numbers = after.stored.seq - before.stored.seq
        if (run_id, before.stored.seq + 1) not in evidence.cut:
            refused[run_id] += max(0, missing - numbers)
        if numbers > missing:
            yield (
                f"{numbers - missing} numbers before frame {after.stored.seq} of run {run_id} "
                "stand for no frame that was sent"
            )
    for run_id, count in refused.items():
        if count > told[run_id]:
            yield (
                f"run {run_id} gave no number to {count} frames that came between others, and "
                f"its events tell of {told[run_id]}"
            )
