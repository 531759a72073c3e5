"""Ways to lie about an honest world, for tests of the judge."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ib_platform_tests.faults.chaos.evidence import (
    Event,
    Evidence,
    Gap,
    Injected,
)
from ib_platform_tests.faults.chaos.honest import (
    CONID,
    FIRST,
    FRAMES,
    first_websocket,
    honest_evidence,
    row_of,
)
from ib_platform_tests.faults.chaos.judge import judge
from ib_platform_tests.faults.chaos.schedule import Kind


def says(evidence: Evidence, words: str) -> bool:
    return any(words in violation for violation in judge(evidence).violations)


def without(frames: Iterable[int], *, cause: str = "streamer_died") -> Evidence:
    """The streamer received these frames of its first websocket and never wrote them: the others
    take the numbers, and a gap of ``cause`` covers it."""
    honest, dropped = honest_evidence(), set(frames)
    left = [f for at, f in enumerate(first_websocket()[:FRAMES]) if at not in dropped]
    rows = [row_of(frame, FIRST, seq) for seq, frame in enumerate(left)]
    before, died, after = honest.gaps
    at = [row.received for row in honest.stored]
    gap = Gap(CONID, at[min(dropped) - 1], at[max(dropped) + 1], cause)
    gaps = [before, gap, died, after]
    if max(dropped) == FRAMES - 1:
        gaps = [before, replace(died, begin=gap.begin), after]
    return replace(
        honest,
        stored=rows + honest.stored[FRAMES:],
        gaps=gaps,
        events=recovered_with(honest, len(left)),
        kept=frozenset(),
    )


def recovered_with(evidence: Evidence, frames: int) -> list[Event]:
    recovered, *others = evidence.events
    return [replace(recovered, detail={"run_id": FIRST, "frames": frames}), *others]


def also(evidence: Evidence, kind: Kind, begin: int, end: int | None = None) -> Evidence:
    fault = Injected(kind, begin, begin if end is None else end)
    return replace(evidence, faults=[*evidence.faults, fault])
