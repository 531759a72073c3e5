"""Holes that a clock which was set back has folded away, in part or whole. Pure.

Between two streams of one contract the wall clock goes from the end of the first to the beginning
of the second. Where it was set back in between, frames were missed for longer than these two
stamps say, and the second may even bear times before the end of the first. By the clock before the
step the hole is as long as it was in truth: that is the gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby, pairwise

from ib_platform.warehouse.causes import cause_of_end
from ib_platform.warehouse.evidence import Evidence, Gap, Spell, Step

_NEXT_EPOCH = "next_epoch"


def folds(evidence: Evidence) -> list[Gap]:
    """Such holes as gaps. They may overlap spells, holes and each other.

    A step of unknown size (another start of the machine) gives the span whose times came twice.
    """
    order = _order_of_runs(evidence)
    gaps: list[Gap] = []
    by_user = sorted(evidence.spells, key=lambda spell: spell.paper_user)
    for _, spells in groupby(by_user, key=lambda spell: spell.paper_user):
        streams = sorted(spells, key=lambda spell: (order.index(spell.run_id), spell.epoch))
        for earlier, later in pairwise(streams):
            if earlier.ended_by != _NEXT_EPOCH:
                gaps += _fold(earlier, later, _between(earlier, later, order, evidence), evidence)
    return gaps


def _fold(earlier: Spell, later: Spell, steps: Sequence[Step], evidence: Evidence) -> Iterator[Gap]:
    known = [step.by for step in steps if step.by is not None]
    begin, end = earlier.end, later.begin - sum(known)
    if len(known) < len(steps):
        begin, end = min(begin, later.begin), max(begin, end)
    elif sum(known) >= 0:
        return
    if begin < end:
        yield Gap(begin, end, cause_of_end(earlier, evidence))


def _between(earlier: Spell, later: Spell, order: Sequence[str], evidence: Evidence) -> list[Step]:
    """Steps after the last frame of one stream and before the first frame of the next."""
    first, last = order.index(earlier.run_id), order.index(later.run_id)
    found = []
    for step in evidence.steps:
        if step.run_id not in order or not first <= order.index(step.run_id) <= last:
            continue
        too_early = step.run_id == earlier.run_id and step.before_seq <= earlier.last_seq
        too_late = step.run_id == later.run_id and step.before_seq > later.first_seq
        if not too_early and not too_late:
            found.append(step)
    return found


def _order_of_runs(evidence: Evidence) -> list[str]:
    """Runs in the order in which they ran: by their first stamps, unless a run itself says that it
    came after another."""
    first_at = {run.run_id: run.first_at for run in evidence.runs}
    for spell in evidence.spells:
        first_at.setdefault(spell.run_id, spell.begin)
    for step in evidence.steps:
        first_at.setdefault(step.run_id, max(first_at.values(), default=0))
    order = sorted(first_at, key=lambda run_id: (first_at[run_id], run_id))
    for step in evidence.steps:
        before = step.after_run
        if before in order and order.index(before) > order.index(step.run_id):
            order.remove(step.run_id)
            order.insert(order.index(before) + 1, step.run_id)
    return order
