"""Traded volume of a bar in plain Python, pair of readings by pair, where queries/volumes.sql draws
a line and queries/bars.sql takes differences of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Any

from ib_platform_tests.warehouse.recording import Recorder, trade_date
from ib_platform_tests.warehouse.twin_steps import Break


@dataclass(frozen=True)
class Reading:
    """A real-time quote frame at which a cumulative volume is known."""

    run_id: str
    at: int
    volume: int


def readings_of(recorders: Sequence[Recorder], day: date) -> dict[int, list[Reading]]:
    """What is read of each contract: one run until its readings end, then the next."""
    by_run: dict[tuple[int, str], list[Reading]] = defaultdict(list)
    for recorder in recorders:
        for conid in {row[2] for row in recorder.quotes}:
            found = list(_of_run([row for row in recorder.quotes if row[2] == conid], day))
            if found:
                by_run[(conid, recorder.run_id)] = found
    chains: dict[int, list[Reading]] = defaultdict(list)
    for (conid, _), found in sorted(by_run.items(), key=lambda run: (run[1][0].at, run[0][1])):
        chain = chains[conid]
        reached = chain[-1].at if chain else 0
        chain += [reading for reading in found if reading.at >= reached]
    return chains


def _of_run(rows: Sequence[tuple[Any, ...]], day: date) -> Iterator[Reading]:
    volume, real_time, latest = None, True, 0
    for row in rows:
        at, run_id, shown, availability = row[1], row[4], row[14], row[15]
        if trade_date(at) != day:
            continue
        volume = volume if shown is None else shown
        real_time = real_time if availability is None else availability.startswith("R")
        latest = max(at, latest)
        if volume is not None and real_time and at == latest:
            yield Reading(run_id, at, volume)


def volume_columns(
    chain: Sequence[Reading], start: int, stop: int, gaps: Sequence[Break], silent: int
) -> dict[str, Any]:
    """Columns of the bar [start, stop), in nanoseconds. ``silent``: how far apart two readings may
    lie at most to be followed."""
    traded = length = 0
    for one, other in pairwise(chain):
        if other.volume < one.volume:
            continue
        change, lasted = other.volume - one.volume, other.at - one.at
        if start <= one.at and other.at < stop:
            traded += change
            length += lasted
            continue
        parted = any(gap.begin < other.at and gap.end > one.at for gap in gaps)
        if one.run_id != other.run_id or lasted > silent or parted:
            continue
        length += max(0, min(other.at, stop) - max(one.at, start))
        if start <= other.at < stop:
            traded += change
    return {"volume": traded if length else None, "volume_seconds": length / 1e9}
