"""Which spans should have been recorded and were not, and why. Pure: no database, no clock.

A contract is **expected** while it is assigned and its market is open, as far as data are known. It
is **covered** by its spells (from the first full frame of an epoch until the stream's end), except
where its ladder was silent. What is expected and not covered is a gap, and each gap has a cause.
All instants are nanoseconds since the UTC epoch, all spans half-open.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ib_platform.states import Cause
from ib_platform.warehouse.causes import cause_of_silence, explained, known_cause
from ib_platform.warehouse.evidence import Evidence, Gap, Generation, Loss, Spell
from ib_platform.warehouse.regimes import ALWAYS, regimes
from ib_platform.warehouse.spans import Span, difference, intersection, union


def expected_spans(
    contract: str, generations: Sequence[Generation], spells: Sequence[Spell], until: int
) -> list[Span]:
    """Spans in which ``contract`` is assigned, up to ``until``. ``generations`` are in order.

    A new assignment is due at ``effective_at``, or from the first full frame if that came sooner.
    It ends when a generation without the contract is made. A mere change of the paper user
    interrupts nothing: the hole in between must be explained.
    """
    spans: list[Span] = []
    begin: int | None = None
    for generation in generations:
        if contract in generation.paper_users:
            if begin is None:
                streamed = [
                    max(spell.begin, generation.created_at)
                    for spell in spells
                    if spell.end > generation.created_at
                ]
                begin = min([generation.effective_at, *streamed])
        elif begin is not None:
            spans.append(Span(begin, min(generation.created_at, until)))
            begin = None
    if begin is not None:
        spans.append(Span(begin, until))
    return union(spans)


def tenures(
    contract: str, generations: Sequence[Generation], otherwise: str | None
) -> list[tuple[str | None, Span]]:
    """Whose the contract was, when: spans that cover all time, in order. ``otherwise``: whose it is
    where no generation has it. A generation without it leaves it to whom it had before."""
    users = [
        (g.created_at, g.paper_users[contract]) for g in generations if contract in g.paper_users
    ]
    moved = [
        (at, user)
        for number, (at, user) in enumerate(users)
        if number == 0 or users[number - 1][1] != user
    ]
    names: list[str | None] = [user for _, user in moved] or [otherwise]
    borders = [ALWAYS.begin, *(at for at, _ in moved[1:]), ALWAYS.end]
    return [(name, Span(*ends)) for name, ends in zip(names, pairwise(borders), strict=True)]


def find_gaps(
    assigned: Sequence[Span], evidence: Evidence, market: Sequence[Span] | None = None
) -> list[Gap]:
    """Gaps of one contract, ascending and disjoint. ``assigned``: when it is; ``market``: when it
    is open, as far as data are known; None: always.

    Where the clock was set back, times came twice: what is missing in either pass is a gap.
    """
    gaps: list[Gap] = []
    previous: Span | None = None
    for span, told in regimes(evidence):
        known = [Span(gap.begin, gap.end) for gap in gaps]
        due = intersection(_due(assigned, previous, span), [span])
        own = {run.run_id for run in told.runs if run.paper_user == told.paper_user}
        skipped = [leap.skipped for leap in told.leaps if leap.run_id in own]
        expected = due if market is None else intersection(due, market)
        for gap in _gaps(expected, skipped, told):
            rest = difference([Span(gap.begin, gap.end)], known)
            gaps += [Gap(begin, end, gap.cause) for begin, end in rest]
        previous = span
    return sorted(gaps, key=lambda gap: gap.begin)


def _due(assigned: Sequence[Span], previous: Span | None, regime: Span) -> list[Span]:
    """What was assigned when the clock was set back stays it, also while the clock shows times
    before the assignment was made."""
    earlier = [
        Span(regime.begin, span.begin)
        for span in assigned
        if previous is not None and regime.begin < span.begin < previous.end <= span.end
    ]
    return union([*assigned, *earlier])


def _gaps(expected: list[Span], skipped: list[Span], evidence: Evidence) -> list[Gap]:
    """``skipped``: times that the clock never showed. Nobody misses them, and they end no hole."""
    followed = [Span(spell.begin, spell.end) for spell in evidence.spells]
    holes = difference(expected, followed)
    gaps = [
        Gap(begin, end, gap.cause)
        for hole in holes
        for gap in explained(hole, evidence)
        for begin, end in difference([Span(gap.begin, gap.end)], skipped)
    ]
    expected = difference(expected, skipped)
    gaps += _lost(intersection(expected, followed), evidence)
    for silence in _silent(expected, evidence):
        gaps.append(Gap(silence.begin, silence.end, cause_of_silence(silence, evidence)))
    return gaps


def _lost(followed: list[Span], evidence: Evidence) -> list[Gap]:
    """Where a stream was followed, but its frames were lost, and no other pod has them."""
    kept = []
    for spell in evidence.spells:
        losses = [Span(x.begin, x.end) for x in evidence.losses if x.run_id == spell.run_id]
        kept += difference([Span(spell.begin, spell.end)], losses)
    gaps = []
    rest = difference(followed, kept)
    for loss in sorted(evidence.losses, key=lambda loss: (loss.begin, loss.end)):
        span = Span(loss.begin, loss.end)
        cause = known_cause(loss.cause, Cause.UNKNOWN)
        gaps += [Gap(begin, end, cause) for begin, end in intersection(rest, [span])]
        rest = difference(rest, [span])
    return gaps


def _leaps(losses: Sequence[Loss]) -> list[Span]:
    """Times that the clock has skipped: it was set ahead while frames were lost that nobody has,
    so that one loss is told by the clock before and by the clock after."""
    return [
        Span(before.end, after.begin)
        for before, after in pairwise(losses)
        if before.between is not None
        and before.between == after.between
        and before.end < after.begin
    ]


def _silent(expected: list[Span], evidence: Evidence) -> list[Span]:
    """Where a stream was followed, the market open, and no ladder frame came for too long. A
    streamer that stood still, or whose clock was set, has heard no silence then."""
    quiet: list[Span] = []
    lively: list[Span] = []
    for run_id in sorted({spell.run_id for spell in evidence.spells}):
        own = [spell for spell in evidence.spells if spell.run_id == run_id]
        of_run = [loss for loss in evidence.losses if loss.run_id == run_id]
        unheard = [*(Span(x.begin, x.end) for x in of_run), *_leaps(of_run)]
        spells = difference([Span(s.begin, s.end) for s in own], unheard)
        looked = intersection(spells, expected)
        doubts = [doubt for doubtful_run, doubt, _ in evidence.doubts if doubtful_run == run_id]
        between = [Span(s.begin, s.end) for s in evidence.silences if s.run_id == run_id]
        tails = [Span(spell.last_frame_at, spell.end) for spell in own]
        # Apart: what comes after the frame that ends a silence is not a part of it.
        long_silences = [
            span
            for spans in (between, tails)
            for span in difference(intersection(spans, looked), doubts)
            if span.end - span.begin > evidence.silent_after
        ]
        quiet += long_silences
        lively += difference(spells, long_silences)
    # Two pods may stream one contract: it is silent only where both are.
    return difference(quiet, lively)
