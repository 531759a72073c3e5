"""What is to be exported and dropped, partition by partition, and what is kept and why. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from ib_platform.warehouse.dropped import INPUTS
from ib_platform.warehouse.late_inputs import LOOK_BACK

TABLES = ("bars", "depth", "quote_frames", "ladder_frames", "frames")
"""Tables that can be dropped, in the order of a date: what is derived first, the truth last."""
_TRUTH = "frames"


@dataclass(frozen=True)
class Partition:
    """One trade date of a table. ``rows``: stored ones; ``bytes``: on disk."""

    table: str
    trade_date: date
    rows: int
    bytes: int


@dataclass(frozen=True)
class Step:
    """A partition that is old enough. ``kept_because``: why it stays all the same; None: it is
    exported and dropped."""

    partition: Partition
    kept_because: str | None = None


def due_partitions(
    stored: Iterable[Partition], ages: Mapping[str, int], today: date
) -> list[Partition]:
    """Partitions with rows that are older than the age of their table, by date and table.

    ``ages``: days by table; a table that is absent is kept for ever. ``today``: a trade date. A
    partition is due when more than that many days lie between it and today.
    """
    due = [
        one
        for one in stored
        if one.rows
        and one.table in ages
        and one.trade_date < today - timedelta(days=ages[one.table])
    ]
    return sorted(due, key=lambda one: (one.trade_date, TABLES.index(one.table)))


def plan_retention(
    due: Sequence[Partition],
    stored: Iterable[Partition],
    refused: Mapping[date, str],
    unfinished: Iterable[date],
) -> list[Step]:
    """One step for each due partition, in order.

    ``refused``: why a date must be kept, by date. ``unfinished``: all dates without a final build
    of their record as it is now.

    - A refused date is kept, in every table.
    - What builds read stays while a later date that reads back to it is unfinished.
    - ``frames`` go oldest first, without holes: only so does ``ib-platform verify`` tell what was
      given up from what was lost.
    """
    waiting = sorted(unfinished)
    steps: list[Step] = []
    frames_left = {one.trade_date for one in stored if one.table == _TRUTH and one.rows}
    for partition in due:
        why = refused.get(partition.trade_date) or _still_read(partition, waiting)
        if why is None and partition.table == _TRUTH:
            why = _not_the_oldest(partition, frames_left)
        if why is None and partition.table == _TRUTH:
            frames_left.discard(partition.trade_date)
        steps.append(Step(partition, why))
    return steps


def _still_read(partition: Partition, unfinished: Sequence[date]) -> str | None:
    if partition.table not in INPUTS:
        return None
    day = partition.trade_date
    later = [other for other in unfinished if day < other <= day + LOOK_BACK]
    return None if not later else f"{later[0]} reads back to it, and is not final"


def _not_the_oldest(partition: Partition, frames_left: set[date]) -> str | None:
    older = min((day for day in frames_left if day < partition.trade_date), default=None)
    return None if older is None else f"frames go oldest first, and those of {older} are kept"
