"""Which spans should have been recorded and were not, and why. Pure: no database, no clock.

A contract is **expected** while it is assigned and its market is open, as far as data are known. It
is **covered** by its spells (from the first full frame of an epoch until the stream's end), except
where its ladder was silent. What is expected and not covered is a gap, and each gap has a cause.
All instants are nanoseconds since the UTC epoch, all spans half-open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ib_platform.states import Cause
from ib_platform.warehouse.spans import Span, difference, intersection, union

RUN_END = "run_end"
_OF_SILENCES = (Cause.NO_ENTITLEMENT, Cause.UNDECODABLE)
"""Causes that say more of a silent ladder than its silence does, the most telling first."""
_OF_SESSIONS = frozenset(
    {
        Cause.SESSION_LOST,
        Cause.COMPETING_LOGIN,
        Cause.MAINTENANCE,
        Cause.GATEWAY_DIED,
        Cause.RATE_LIMITED,
        Cause.DISCONNECTED,
    }
)
"""What events of a whole run say of its session; its clocks, say, explain no gap."""
_OF_LADDERS = frozenset(
    {Cause.NO_ENTITLEMENT, Cause.SILENT_LADDER, Cause.UNDECODABLE, Cause.RESUBSCRIBED}
)
_SAY_LITTLE = frozenset({Cause.DISCONNECTED, Cause.UNKNOWN})


@dataclass(frozen=True)
class Spell:
    """A row of ``spells``: one epoch of one contract in one run, clipped to the trade date."""

    conid: int
    paper_user: str
    run_id: str
    epoch: int
    begin: int
    end: int
    last_frame_at: int
    ended_by: str
    cause: str | None


@dataclass(frozen=True)
class Run:
    """One streamer run, over all its dates. ``stopped``: it said goodbye (``run_stopped``).

    ``first_at``, ``last_at``: of what is known of it. ``recovered``: a later run of the paper user
    found its spool, so it died.
    """

    paper_user: str
    run_id: str
    first_at: int
    last_at: int
    stopped: bool = False
    stop_cause: str | None = None
    recovered: bool = False


@dataclass(frozen=True)
class Silence:
    """Two successive ladder frames of one epoch, further apart than the threshold."""

    conid: int
    run_id: str
    begin: int
    end: int


@dataclass(frozen=True)
class Loss:
    """A span in which frames of a run were received and not kept, nobody knows whose."""

    run_id: str
    begin: int
    end: int
    cause: str


@dataclass(frozen=True)
class NamedCause:
    """A stream event that names a cause; ``conid`` None concerns the whole run."""

    at: int
    paper_user: str
    conid: int | None
    cause: str


@dataclass(frozen=True)
class Generation:
    """One assignment: contract key -> paper user, in force from ``created_at``, due from
    ``effective_at``."""

    created_at: int
    effective_at: int
    paper_users: dict[str, str]


@dataclass(frozen=True)
class Gap:
    """[begin, end) of one contract, with its cause."""

    begin: int
    end: int
    cause: Cause


@dataclass(frozen=True)
class Evidence:
    """What is known about one contract's streams on a date. ``conid``: what its key was resolved
    to, None = never; a ladder that never came has no spell that would tell."""

    paper_user: str | None
    spells: Sequence[Spell]
    silences: Sequence[Silence]
    runs: Sequence[Run]
    causes: Sequence[NamedCause]
    silent_after: int
    losses: Sequence[Loss] = ()
    conid: int | None = None

    def conids(self) -> set[int]:
        """Every conid that the contract meant on the date."""
        known = {spell.conid for spell in self.spells}
        return known if self.conid is None else known | {self.conid}


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


def find_gaps(expected: Iterable[Span], evidence: Evidence) -> list[Gap]:
    """Gaps of one contract, ascending and disjoint. ``expected``: assigned and market open."""
    expected = union(expected)
    followed = [Span(spell.begin, spell.end) for spell in evidence.spells]
    holes = difference(expected, followed)
    gaps = [gap for hole in holes for gap in _explained(hole, evidence)]
    gaps += _lost(intersection(expected, followed), evidence)
    for silence in _silent(expected, evidence):
        gaps.append(Gap(silence.begin, silence.end, _cause_of_silence(silence, evidence)))
    return sorted(gaps, key=lambda gap: gap.begin)


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
        cause = _known(loss.cause, Cause.UNKNOWN)
        gaps += [Gap(begin, end, cause) for begin, end in intersection(rest, [span])]
        rest = difference(rest, [span])
    return gaps


def _silent(expected: list[Span], evidence: Evidence) -> list[Span]:
    """Where a stream was followed, the market open, and no ladder frame came for too long."""
    by_run: dict[str, list[Span]] = {}
    for silence in evidence.silences:
        by_run.setdefault(silence.run_id, []).append(Span(silence.begin, silence.end))
    for spell in evidence.spells:
        by_run.setdefault(spell.run_id, []).append(Span(spell.last_frame_at, spell.end))
    quiet: list[Span] = []
    lively: list[Span] = []
    for run_id in sorted({spell.run_id for spell in evidence.spells}):
        losses = [Span(x.begin, x.end) for x in evidence.losses if x.run_id == run_id]
        spells = difference(
            [Span(s.begin, s.end) for s in evidence.spells if s.run_id == run_id], losses
        )
        long_silences = [
            span
            for span in intersection(intersection(by_run[run_id], spells), expected)
            if span.end - span.begin > evidence.silent_after
        ]
        quiet += long_silences
        lively += difference(spells, long_silences)
    # Two pods may stream one contract: it is silent only where both are.
    return difference(quiet, lively)


def _cause_of_silence(silence: Span, evidence: Evidence) -> Cause:
    """What the streamer found out while nothing came, if it found out anything."""
    named = {
        event.cause
        for event in evidence.causes
        if event.paper_user == evidence.paper_user
        and event.conid in evidence.conids()
        and silence.begin < event.at <= silence.end
    }
    return next((cause for cause in _OF_SILENCES if cause in named), Cause.SILENT_LADDER)


def _explained(hole: Span, evidence: Evidence) -> list[Gap]:
    """The hole as gaps: one up to the end of each run that ends inside of it, each with the cause
    that held the longest. It begins with what ended the stream, and each word of the streamer may
    change that."""
    before = [spell for spell in evidence.spells if spell.end <= hole.begin]
    changes = _changes(hole, evidence, never_came=not before)
    first = _cause_at_start(hole, evidence)
    own = [run for run in evidence.runs if run.paper_user == evidence.paper_user]
    # Before the first run of all nobody was there, whose lack of words would be a finding.
    nothing_known = Cause.UNKNOWN
    if not before and not any(run.first_at <= hole.begin for run in own):
        nothing_known = Cause.NOT_ASSIGNED
    if before:
        last = max(before, key=lambda spell: (spell.end, spell.begin, spell.run_id, spell.epoch))
        first = _cause_of_end(last, evidence)
    gaps: list[Gap] = []
    ends = [(at, cause) for at, cause in _run_ends(evidence) if hole.begin < at < hole.end]
    begins = [(hole.begin, first), *ends]
    for (begin, cause), end in zip(begins, [*(at for at, _ in ends), hole.end], strict=True):
        part = Span(begin, end)
        held = _longest(part, cause, [(at, c) for at, c in changes if begin <= at < end])
        held = nothing_known if held is Cause.UNKNOWN else held
        if gaps and gaps[-1].cause is held:
            gaps[-1] = Gap(gaps[-1].begin, end, held)
        elif begin < end:
            gaps.append(Gap(begin, end, held))
    return gaps


def _cause_of_end(last: Spell, evidence: Evidence) -> Cause:
    if last.ended_by == RUN_END:
        run = next((run for run in evidence.runs if run.run_id == last.run_id), None)
        return Cause.UNKNOWN if run is None else _cause_after_run(run, evidence)
    fallback = Cause.DISCONNECTED if last.ended_by == "disconnected" else Cause.NOT_ASSIGNED
    return _known(last.cause, fallback)


def _run_ends(evidence: Evidence) -> list[tuple[int, Cause]]:
    """When runs of the paper user ended, and what then was the cause; in order."""
    ends = [
        (run.last_at, _cause_after_run(run, evidence))
        for run in evidence.runs
        if run.paper_user == evidence.paper_user
    ]
    return sorted((at, cause) for at, cause in ends if cause is not Cause.UNKNOWN)


def _longest(hole: Span, first: Cause, changes: Iterable[tuple[int, Cause]]) -> Cause:
    """The cause that held for the longest time; of equals the first. That a connection is lost says
    less than any reason for it, however short."""
    held: dict[Cause, int] = {}
    cause, since = first, hole.begin
    for at, following in [*sorted(changes, key=lambda change: change[0]), (hole.end, first)]:
        held[cause] = held.get(cause, 0) + at - since
        cause, since = following, at
    telling = {cause: length for cause, length in held.items() if cause not in _SAY_LITTLE}
    choice = telling or held
    return max(choice, key=lambda cause: choice[cause])


def _changes(hole: Span, evidence: Evidence, *, never_came: bool) -> list[tuple[int, Cause]]:
    """What was learnt inside the hole about the session, and about the ladder itself where none
    ever came."""
    conids = evidence.conids()
    changes = []
    for event in evidence.causes:
        cause = _known(event.cause, Cause.UNKNOWN)
        of_session = event.conid is None and cause in _OF_SESSIONS
        of_ladder = never_came and event.conid in conids and cause in _OF_LADDERS
        if event.paper_user == evidence.paper_user and (of_session or of_ladder):
            changes.append((event.at, cause))
    return [(at, cause) for at, cause in changes if hole.begin <= at < hole.end]


def _cause_at_start(hole: Span, evidence: Evidence) -> Cause:
    """How a hole begins that no spell of the date precedes. A run that began inside of it explains
    it if it was there, in vain, for most of it: for a pod that was launched late, its lateness is
    the cause."""
    own = [run for run in evidence.runs if run.paper_user == evidence.paper_user]
    earlier = [run for run in own if run.first_at <= hole.begin]
    if not earlier:
        in_vain = any(run.first_at <= (hole.begin + hole.end) // 2 for run in own)
        return Cause.UNKNOWN if in_vain else Cause.NOT_ASSIGNED
    newest = max(earlier, key=lambda run: (run.first_at, run.run_id))
    if newest.last_at <= hole.begin:
        return _cause_after_run(newest, evidence)
    conids = evidence.conids()
    known = [
        (event.at, cause)
        for event in evidence.causes
        if (cause := _known(event.cause, Cause.UNKNOWN)) in _OF_SESSIONS | _OF_LADDERS
        and event.paper_user == evidence.paper_user
        and event.at < hole.begin
        and (event.conid is None or event.conid in conids)
    ]
    return max(known, key=lambda one: one[0])[1] if known else Cause.UNKNOWN


def _cause_after_run(run: Run, evidence: Evidence) -> Cause:
    if run.stopped:
        return _known(run.stop_cause, Cause.NOT_ASSIGNED)
    replaced = any(
        other.paper_user == run.paper_user and other.first_at > run.first_at
        for other in evidence.runs
    )
    return Cause.STREAMER_DIED if run.recovered or replaced else Cause.UNKNOWN


def _known(cause: str | None, fallback: Cause) -> Cause:
    """A cause that a newer streamer invented is unknown to these rules."""
    if cause is None:
        return fallback
    return Cause(cause) if cause in Cause.__members__.values() else Cause.UNKNOWN
