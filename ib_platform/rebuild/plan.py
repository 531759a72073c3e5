"""Which trade dates of a span would be built anew, and why; which are kept, and why. PURE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from ib_platform.errors import SelectionError
from ib_platform.warehouse.due import Standing, Why


@dataclass(frozen=True)
class Step:
    """One closed trade date. ``because``: why it is built; None: it stays as it is, and ``kept``
    says why."""

    trade_date: date
    because: str | None
    kept: str = ""


def plan_rebuild(
    standings: Sequence[Standing],
    first: date | None,
    last: date | None,
    open_date: date,
    *,
    force: bool = False,
) -> list[Step]:
    """One step for each closed trade date from ``first`` to ``last``, both included; None: no end.

    ``standings``: all closed dates. ``force``: what is current is built too.

    Raises SelectionError: the span has no closed date, or reaches into the open one.
    """
    if last is not None and first is not None and last < first:
        raise SelectionError(f"--to {last} lies before --from {first}")
    if last is not None and last >= open_date:
        raise SelectionError(
            f"trade date {last} is not closed: {open_date} is open, its bars are refreshed all the "
            "time, and it is built to its end once it has closed (16:30 Chicago)"
        )
    chosen = [
        one
        for one in standings
        if (first is None or one.trade_date >= first) and (last is None or one.trade_date <= last)
    ]
    if not chosen:
        raise SelectionError(_nothing(standings, first, last))
    return [_step(one, force) for one in chosen]


def _step(one: Standing, force: bool) -> Step:
    if one.record_dropped is not None:
        return Step(
            one.trade_date, None, f"retention has dropped the record of {one.record_dropped}"
        )
    if one.why is not Why.CURRENT:
        return Step(one.trade_date, f"{one.why}: {one.detail}" if one.detail else one.why)
    return Step(one.trade_date, "forced") if force else Step(one.trade_date, None, one.why)


def _nothing(standings: Sequence[Standing], first: date | None, last: date | None) -> str:
    span = f"from {first or 'the first'} to {last or 'the last'}"
    if not standings:
        return f"no closed trade date {span}: nothing is recorded yet, or the first date is open"
    dates = [one.trade_date for one in standings]
    return f"no closed trade date {span}: there are {len(dates)}, {dates[0]} to {dates[-1]}"
