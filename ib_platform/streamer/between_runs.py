"""Was the wall clock set while no streamer of the paper user ran?

Then the hole between two runs is longer or shorter than the stamps at its ends say; set back far
enough, it would not be seen at all. Each record bears both clocks, so the last one of the earlier
run and the start of this one tell, as long as the machine was not started in between.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.kept import KEPT_FOLDER
from ib_platform.streamer.records import event_of
from ib_platform.streamer.segments import (
    SegmentFile,
    list_segments,
    read_header,
    read_records,
    size_of,
)
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.stamps import STEP, Doubt, Moment, look_at, record_doubt
from ib_platform.streamer.torn_tails import last_segments

logger = logging.getLogger(__name__)
_NOT_COMPARED = "the clock is not compared with that of %s: %s"
_NANOS = 1_000_000_000
_NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class LastMoment:
    """The stamps of the last record of a run. ``boot_id`` as in ``SegmentHeader``."""

    run_id: str
    at: Moment
    boot_id: str | None


@dataclass(frozen=True, slots=True)
class _LastSegment:
    """The last segment of a run. ``boot_id``, ``created``: of its header."""

    file: SegmentFile
    begin: int
    boot_id: str | None
    created: Moment | None


def say_step_between_runs(spool: Spool, journal: Journal) -> Moment:
    """Record that the clock was set since the last record of any earlier run, if it was; the moment
    that was compared. What cannot be read of earlier runs is left out, with a warning."""
    now = look_at(spool.clocks)
    for last in last_moments(spool.folder, spool.paper_user, spool.run_id, spool.boot_id):
        if (doubt := judge_pause(last, now, spool.boot_id)) is not None:
            record_doubt(journal, doubt, after_run=last.run_id)
            break
    return now


def last_moments(
    folder: Path, paper_user: str, own_run: str, boot_id: str | None
) -> list[LastMoment]:
    """Of the newest earlier run since this start of the machine, and of the newest one of other
    starts, where there is such a one. A run that did not get to say that it has begun counts as
    little as a drain does."""
    own: list[_LastSegment] = []
    others: list[_LastSegment] = []
    for segment in _last_segments(folder, paper_user, own_run):
        comparable = boot_id is not None and segment.boot_id == boot_id and segment.created
        (own if comparable else others).append(segment)
    # Names and the wall clock tell the order only where the clock was never set.
    own.sort(key=lambda one: one.created.monotonic if one.created else 0, reverse=True)
    others.sort(key=lambda one: one.file.run_id, reverse=True)
    moments = []
    for candidates in (own, others):
        found = (_moment(one, paper_user) for one in candidates)
        moments += [moment for moment in found if moment is not None][:1]
    return moments


def _last_segments(folder: Path, paper_user: str, own_run: str) -> Iterator[_LastSegment]:
    kept = folder / KEPT_FOLDER
    files = [*(list_segments(kept) if kept.is_dir() else []), *list_segments(folder)]
    for file in last_segments(sorted(files, key=lambda one: (one.run_id, one.number))):
        if file.run_id == own_run:
            continue
        try:
            found = read_header(file.path, paper_user)
        except SpoolError as error:
            logger.warning(_NOT_COMPARED, file.run_id, error)
            continue
        if found is not None:
            header, begin = found
            monotonic = header.created_monotonic_ns
            created = None if monotonic is None else Moment(header.created_ns, monotonic)
            yield _LastSegment(file, begin, header.boot_id, created)


def _moment(segment: _LastSegment, paper_user: str) -> LastMoment | None:
    """Of its last record, or of its header where it has none."""
    path = segment.file.path
    at, has_begun = segment.created, segment.file.number > 0
    try:
        pieces = list(read_records(path, segment.begin, size_of(path), paper_user))
    except SpoolError as error:
        logger.warning(_NOT_COMPARED, segment.file.run_id, error)
        return None
    for records in pieces:
        events = [event for event in map(event_of, records) if event is not None]
        if any(event.detail.get("drain") is True for event in events):
            return None
        has_begun = has_begun or any(e.kind is StreamEventKind.RUN_STARTED for e in events)
        at = Moment(records[-1].received_ns, records[-1].monotonic_ns)
    if at is None or not has_begun:
        return None
    return LastMoment(segment.file.run_id, at, segment.boot_id)


def judge_pause(last: LastMoment, now: Moment, boot_id: str | None) -> Doubt | None:
    """Whether the clock was set between ``last`` and ``now``. Its span holds every stamp that a
    frame of that time could have, by the clock before the step and by the one after it.

    Without the figure ``step_ms``: the machine was started in between, and its clock is behind.
    """
    kind, cause = StreamEventKind.CLOCK_STEP, Cause.CLOCK_STEP
    looks = last.at.wall, now.wall
    passed = now.monotonic - last.at.monotonic
    if boot_id is None or last.boot_id != boot_id or passed < 0:
        if now.wall >= last.at.wall:
            return None
        return Doubt(kind, cause, now.wall, last.at.wall, looks=looks)
    step = now.wall - last.at.wall - passed
    if abs(step) <= STEP * _NANOS:
        return None
    begin, end = last.at.wall + min(step, 0), last.at.wall + passed + max(step, 0)
    return Doubt(kind, cause, begin, end, {"step_ms": round(step / _NANOS_PER_MS)}, looks)
