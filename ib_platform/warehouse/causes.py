"""Why a contract was not recorded, from what the streamers said and when their runs ended. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ib_platform.states import Cause
from ib_platform.warehouse.evidence import RUN_END, Evidence, Gap, Run, Spell
from ib_platform.warehouse.spans import Span

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
_OF_LOSSES = frozenset({Cause.DISK_FULL, Cause.SPOOL_DAMAGED, Cause.QUARANTINED})
"""They explain what was lost, and how long a ladder was asked for again; nothing later."""


def cause_of_silence(silence: Span, evidence: Evidence) -> Cause:
    """What the streamer found out while nothing came, if it found out anything."""
    named = {
        event.cause
        for event in evidence.causes
        if event.paper_user == evidence.paper_user
        and event.conid in evidence.conids()
        and silence.begin < event.at <= silence.end
    }
    return next((cause for cause in _OF_SILENCES if cause in named), Cause.SILENT_LADDER)


def explained(hole: Span, evidence: Evidence) -> list[Gap]:
    """The hole as gaps: one up to the end of each run that ends inside of it, and one for each loss
    of frames that came none the less, each with the cause that held the longest. It begins with
    what ended the stream, and each word of the streamer may change that."""
    before = [spell for spell in evidence.spells if spell.end <= hole.begin]
    last = max(before, key=lambda s: (s.end, s.begin, s.run_id, s.epoch), default=None)
    changes = _changes(hole, evidence, never_came=last is None)
    lost, ends = _own_losses(evidence), _run_ends(evidence)
    first = _first_cause(hole, evidence, last, lost, [at for at, _ in [*changes, *ends]])
    nothing_known = Cause.UNKNOWN
    if last is None and not _anybody_there(hole, evidence):
        nothing_known = Cause.NOT_ASSIGNED
    gaps: list[Gap] = []
    turns = sorted(
        [
            *ends,
            *((span.begin, cause) for span, cause in lost),
            *((span.end, _known_after(span, changes, cause)) for span, cause in lost),
        ]
    )
    turns = [(at, cause) for at, cause in turns if hole.begin < at < hole.end]
    begins = [(hole.begin, first), *turns]
    for (begin, cause), end in zip(begins, [*(at for at, _ in turns), hole.end], strict=True):
        part = Span(begin, end)
        held = cause
        if not any(span.begin <= begin and end <= span.end for span, _ in lost):
            held = _longest(part, cause, [(at, c) for at, c in changes if begin <= at < end])
        held = nothing_known if held is Cause.UNKNOWN else held
        if gaps and gaps[-1].cause is held:
            gaps[-1] = Gap(gaps[-1].begin, end, held)
        elif begin < end:
            gaps.append(Gap(begin, end, held))
    return gaps


def _anybody_there(hole: Span, evidence: Evidence) -> bool:
    """Before the first run of all nobody was there, whose lack of words would be a finding."""
    own = [run for run in evidence.runs if run.paper_user == evidence.paper_user]
    return any(run.first_at <= hole.begin for run in own)


def _first_cause(
    hole: Span,
    evidence: Evidence,
    last: Spell | None,
    lost: Sequence[tuple[Span, Cause]],
    learnt: Sequence[int],
) -> Cause:
    """What ended the stream: the loss that had begun, or how the spell before, ``last``, ended.
    ``learnt``: when there was something to learn."""
    heard_until = hole.begin
    if last is not None and last.ended_by == "disconnected":
        # A ladder ends with its last stored frame; others came until the connection ended.
        known = min([at for at in learnt if at >= hole.begin], default=hole.begin)
        heard_until = min(known, hole.begin + evidence.silent_after)
    taking = [c for span, c in lost if span.begin <= heard_until and hole.begin < span.end]
    if taking:
        return taking[0]
    return _cause_at_start(hole, evidence) if last is None else cause_of_end(last, evidence)


def cause_of_end(last: Spell, evidence: Evidence) -> Cause:
    """Why a stream was not followed any more."""
    if last.ended_by == RUN_END:
        run = next((run for run in evidence.runs if run.run_id == last.run_id), None)
        return Cause.UNKNOWN if run is None else _cause_after_run(run, evidence)
    fallback = Cause.DISCONNECTED if last.ended_by == "disconnected" else Cause.NOT_ASSIGNED
    return known_cause(last.cause, fallback)


def _run_ends(evidence: Evidence) -> list[tuple[int, Cause]]:
    """When runs of the paper user ended, and what then was the cause; in order."""
    ends = [
        (run.last_at, _cause_after_run(run, evidence))
        for run in evidence.runs
        if run.paper_user == evidence.paper_user
    ]
    return sorted((at, cause) for at, cause in ends if cause is not Cause.UNKNOWN)


def _own_losses(evidence: Evidence) -> list[tuple[Span, Cause]]:
    """What runs of the paper user received and did not keep: then they lived and frames came,
    though nothing that is stored shows it."""
    own = {run.run_id for run in evidence.runs if run.paper_user == evidence.paper_user}
    return [
        (Span(loss.begin, loss.end), known_cause(loss.cause, Cause.UNKNOWN))
        for loss in evidence.losses
        if loss.run_id in own
    ]


def _known_after(loss: Span, changes: Sequence[tuple[int, Cause]], cause: Cause) -> Cause:
    """Why a ladder does not come back at once: the newest telling cause that was learnt before, or
    that the connection ended meanwhile; else it is asked for again because of the loss."""
    known = [
        (at >= loss.begin, c not in _SAY_LITTLE, at, c)
        for at, c in changes
        if at < loss.end and (c not in _SAY_LITTLE or at >= loss.begin)
    ]
    return max(known)[3] if known else cause


def _longest(hole: Span, first: Cause, changes: Iterable[tuple[int, Cause]]) -> Cause:
    """The cause that held for the longest time; of equals the first. That a connection is lost says
    less than any reason for it, however short."""
    held: dict[Cause, int] = {}
    cause, since = first, hole.begin
    for at, following in [*sorted(changes, key=lambda change: change[0]), (hole.end, first)]:
        held[cause] = held.get(cause, 0) + at - since
        cause, since = following, at
    telling = {c: length for c, length in held.items() if c not in _SAY_LITTLE | _OF_LOSSES}
    choice = telling or held
    return max(choice, key=lambda cause: choice[cause])


def _changes(hole: Span, evidence: Evidence, *, never_came: bool) -> list[tuple[int, Cause]]:
    """What was learnt inside the hole about the session, and about the ladder itself where none
    ever came."""
    conids = evidence.conids()
    changes = []
    for event in evidence.causes:
        cause = known_cause(event.cause, Cause.UNKNOWN)
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
    *before, newest = sorted(earlier, key=lambda run: run.place)
    if newest.last_at <= hole.begin:
        return _cause_after_run(newest, evidence)
    conids = evidence.conids()
    known = [
        (event.at, cause)
        for event in evidence.causes
        if (cause := known_cause(event.cause, Cause.UNKNOWN)) in _OF_SESSIONS | _OF_LADDERS
        and event.paper_user == evidence.paper_user
        and newest.first_at <= event.at < hole.begin
        and (event.conid is None or event.conid in conids)
    ]
    if known:
        return max(known, key=lambda one: one[0])[1]
    # What ended the run before lasts until this one has the ladder.
    young = hole.begin - newest.first_at <= evidence.silent_after
    return _cause_after_run(before[-1], evidence) if before and young else Cause.UNKNOWN


def _cause_after_run(run: Run, evidence: Evidence) -> Cause:
    if run.stopped:
        return known_cause(run.stop_cause, Cause.NOT_ASSIGNED)
    replaced = any(
        other.paper_user == run.paper_user and other.place > run.place for other in evidence.runs
    )
    return Cause.STREAMER_DIED if run.recovered or replaced else Cause.UNKNOWN


def known_cause(cause: str | None, fallback: Cause) -> Cause:
    """A cause that a newer streamer invented is unknown to these rules."""
    if cause is None:
        return fallback
    return Cause(cause) if cause in Cause.__members__.values() else Cause.UNKNOWN
