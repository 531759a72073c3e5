"""Suspect windows of a trade date: where what a ladder shows is in doubt, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ib_platform.states import Cause
from ib_platform.warehouse.evidence import Loss, Spell
from ib_platform.warehouse.inputs import Surroundings, read_spells
from ib_platform.warehouse.spans import SECOND, Span

if TYPE_CHECKING:
    from ib_platform.warehouse.build import Build


_CATCHING_UP = SECOND
"""Within which a streamer stamps what waited through a stall, as its own windows say."""


def suspect_rows(
    build: Build, around: Surroundings | None, crossed: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Rows of ``suspect_windows``: crossed states, and with ``around`` frames that were lost or
    could not be decoded, late stamps and steps of the clock."""
    rows = [{**row, "cause": Cause.CROSSED_BOOK.value} for row in crossed]
    if around is None:
        return _longest(rows)
    spells = read_spells(build)
    for row in build.rows("undecodable"):
        ends = [
            spell.end
            for spell in spells
            if (spell.conid, spell.run_id) == (row["conid"], row["run_id"])
            and spell.begin <= row["begin"] <= spell.end
        ]
        end = min([e for e in (row["end"], *ends) if e is not None], default=row["begin"])
        rows.append({**row, "end": max(end, row["begin"]), "cause": Cause.UNDECODABLE.value})
    for run_id, doubt, cause in around.doubts:
        rows += [
            _window(run_id, ladder, doubt.begin, doubt.end, cause)
            for ladder in _ladders(spells, run_id, doubt)
        ]
    for loss in around.losses:
        rows += _after_loss(build, loss, spells)
    return _longest(rows)


def _after_loss(build: Build, loss: Loss, spells: Sequence[Spell]) -> list[dict[str, Any]]:
    """What a ladder carried forward is in doubt from a loss until its next window.

    Where a spool was damaged, what told of a stall may be gone with the frames: stamps behind the
    damage are in doubt for as long as it took, a second at most.
    """
    told_until = loss.end
    if loss.cause == Cause.SPOOL_DAMAGED:
        told_until += min(max(0, loss.end - loss.begin), _CATCHING_UP)
    ladders = _ladders(spells, loss.run_id, Span(loss.begin, loss.end))
    if not ladders:
        return []
    laid = {
        row["conid"]: row["laid_at"]
        for row in build.rows("laid_after", run_id=loss.run_id, instant=loss.end)
    }
    return [
        _window(
            loss.run_id,
            (conid, user),
            loss.begin,
            max(loss.end, min(end, max(told_until, laid.get(conid, end)))),
            Cause(loss.cause) if loss.cause in Cause.__members__.values() else Cause.UNKNOWN,
        )
        for (conid, user), end in ladders.items()
    ]


def _ladders(spells: Sequence[Spell], run_id: str, span: Span) -> dict[tuple[int, str], int]:
    """Ladders (conid, paper user) that the run followed in the span, with the last one's end."""
    ladders: dict[tuple[int, str], int] = {}
    for spell in spells:
        if spell.run_id == run_id and spell.begin <= span.end and spell.end >= span.begin:
            key = (spell.conid, spell.paper_user)
            ladders[key] = max(ladders.get(key, spell.end), spell.end)
    return ladders


def _window(
    run_id: str, ladder: tuple[int, str], begin: int, end: int, cause: Cause
) -> dict[str, Any]:
    conid, paper_user = ladder
    return {
        "conid": conid,
        "paper_user": paper_user,
        "run_id": run_id,
        "begin": begin,
        "end": end,
        "cause": cause.value,
    }


def _longest(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of windows of one run that begin at the same instant for the same cause, the longest."""
    longest = {}
    for row in sorted(rows, key=lambda row: int(row["end"])):
        longest[(row["conid"], row["run_id"], row["begin"], row["cause"])] = row
    return list(longest.values())
