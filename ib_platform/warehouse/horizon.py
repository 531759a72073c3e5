"""Until when data are known: what lies behind that is judged by a later build. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ib_platform.warehouse.evidence import Evidence, Run, Spell
from ib_platform.warehouse.inputs import Surroundings
from ib_platform.warehouse.quality import Thresholds
from ib_platform.warehouse.spans import SECOND

_GOODBYE = 5 * SECOND
"""A stopped streamer ends its subscriptions and is gone within this."""


@dataclass(frozen=True)
class DateSpan:
    """A trade date and its span in nanoseconds."""

    trade_date: date
    begin: int
    end: int
    is_open: bool


def data_known_until(
    evidence: Evidence, span: DateSpan, around: Surroundings, thresholds: Thresholds
) -> int:
    """Until when data are known. A run that lives, or ended a moment ago, is known until its own
    last frame: others need not have ended at the same instant.

    Where its ladder is still followed, that is the end of the ladder's spell: frames that arrived
    between the query of the spells and the query of the runs belong to the next build. So it is
    where a run that was stopped ended its subscriptions: what comes behind is its goodbye.
    """
    if not span.is_open:
        return span.end
    newest, mute = around.newest, around.mute_until(evidence.paper_user)
    if mute is not None and (newest is None or newest < mute):
        # A run that has never got in: nothing has come until its last word.
        return mute
    if newest is None:
        return span.begin
    own = [run for run in around.runs if run.paper_user == evidence.paper_user]
    if own:
        last = max(own, key=lambda run: run.place)
        if newest - last.last_at <= thresholds.tail_slack * SECOND:
            followed = [
                spell.end
                for spell in evidence.spells
                if spell.run_id == last.run_id
                and (spell.ended_by == "run_end" or _ended_with(spell, last))
            ]
            return max(followed, default=last.last_at)
    return newest


def _ended_with(spell: Spell, run: Run) -> bool:
    """Whether the run, which was stopped, ended the subscription because of that."""
    late = run.last_at - spell.end
    return run.stopped and spell.ended_by == "unsubscribed" and late <= _GOODBYE
