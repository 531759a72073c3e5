"""A wall clock that is set back shows the same times twice. Pure.

Regimes are those of the evidence's paper user; what others recorded counts in each.

Between two such steps it goes forward: a regime. What is expected, followed and missing is compared
within each regime, since what was recorded in one pass of a time does not cover the other. A regime
lasts until the clock before the step would have shown when the clock after it was first seen, so a
hole in which the clock was set is as long as it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ib_platform.warehouse.evidence import Evidence, Leap, Loss, Spell, StepBack
from ib_platform.warehouse.spans import Span

ALWAYS = Span(-(2**62), 2**62)


def regimes(evidence: Evidence) -> list[tuple[Span, Evidence]]:
    """The regimes of the paper user's clock in their order: the times that it showed, and what is
    known of these. One, and all of the evidence, where no step back is known."""
    order = _order_of_runs(evidence)
    steps = sorted(
        (step for step in evidence.steps if step.run_id in order),
        key=lambda step: (order.index(step.run_id), step.before_seq),
    )
    if not steps:
        return [(ALWAYS, evidence)]
    places = _Places(steps, order)
    others = [spell for spell in evidence.spells if spell.paper_user != evidence.paper_user]
    parts: list[list[Spell]] = [[] for _ in range(len(steps) + 1)]
    for spell in evidence.spells:
        if spell.paper_user == evidence.paper_user and spell.run_id in order:
            for number, part in _parts(spell, steps, places):
                parts[number].append(part)
    begins = [ALWAYS.begin, *(step.since for step in steps)]
    ends = [*(step.until for step in steps), ALWAYS.end]
    told = []
    last: Spell | None = None
    for number, (begin, end, own) in enumerate(zip(begins, ends, parts, strict=True)):
        spells = [*others, *own]
        if last is not None:
            # Why nothing was followed at the beginning of a regime.
            spells.append(replace(last, begin=begin, end=begin, last_frame_at=begin))
        losses = [loss for loss in evidence.losses if places.holds(number, loss)]
        leaps = [leap for leap in evidence.leaps if places.has(number, leap)]
        own_part = replace(evidence, spells=spells, losses=losses, leaps=leaps)
        told.append((Span(begin, end), own_part))
        last = max(own, key=lambda spell: (spell.end, spell.epoch), default=last)
    return told


class _Places:
    """Where frames lie among the steps."""

    def __init__(self, steps: Sequence[StepBack], order: Sequence[str]) -> None:
        self._order = order
        self._steps = [(order.index(step.run_id), step.before_seq) for step in steps]

    def regime(self, run_id: str, seq: int) -> int:
        """Number of the regime in which the frame of the run was stamped."""
        at = self._order.index(run_id), seq
        return sum(step <= at for step in self._steps)

    def has(self, number: int, leap: Leap) -> bool:
        """Whether the clock was set ahead in the regime."""
        return leap.run_id in self._order and self.regime(leap.run_id, leap.before_seq) == number

    def holds(self, number: int, loss: Loss) -> bool:
        """Whether the loss may lie in the regime, as far as its numbers tell."""
        if loss.between is None or loss.run_id not in self._order:
            return True
        before, after = loss.between
        return self.regime(loss.run_id, before) <= number <= self.regime(loss.run_id, after)


def _parts(spell: Spell, steps: Sequence[StepBack], places: _Places) -> list[tuple[int, Spell]]:
    """The spell, cut at the steps in it, each part with the number of its regime."""
    first = places.regime(spell.run_id, spell.first_seq)
    last = places.regime(spell.run_id, spell.last_seq)
    begin = spell.begin if first == last or spell.first_at is None else spell.first_at
    parts = []
    for number in range(first, last + 1):
        end = spell.end if number == last else steps[number].until
        heard = spell.last_frame_at if number == last else end
        parts.append((number, replace(spell, begin=begin, end=end, last_frame_at=heard)))
        begin = steps[number].since if number < last else begin
    return parts


def _order_of_runs(evidence: Evidence) -> list[str]:
    own = [run for run in evidence.runs if run.paper_user == evidence.paper_user]
    return [run.run_id for run in sorted(own, key=lambda run: run.place)]
