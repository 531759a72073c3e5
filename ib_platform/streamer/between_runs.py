"""Was the wall clock set while no streamer of the paper user ran?

Then the hole between two runs is longer or shorter than the stamps at its ends say; set back far
enough, it would not be seen at all. Each record bears both clocks, so the last one of the earlier
run and the start of this one tell, as long as the machine was not started in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.journal import Journal
from ib_platform.streamer.kept import KEPT_FOLDER
from ib_platform.streamer.records import Record, event_of
from ib_platform.streamer.segments import list_segments, read_header, read_records, size_of
from ib_platform.streamer.spool import Spool
from ib_platform.streamer.stamps import STEP, Doubt, Moment, look_at, record_doubt
from ib_platform.streamer.torn_tails import last_segments

_NANOS = 1_000_000_000
_NANOS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class LastMoment:
    """The stamps of the last record of a run. ``boot_id`` as in ``SegmentHeader``."""

    run_id: str
    at: Moment
    boot_id: str | None


def say_step_between_runs(spool: Spool, journal: Journal) -> None:
    """Record that the clock was set since the last record of any earlier run, if it was.

    Raises:
        SpoolError: an earlier segment cannot be read.
    """
    now = look_at(spool.clocks)
    last = newest(last_moments(spool.folder, spool.paper_user, spool.run_id), spool.boot_id)
    if last is None:
        return
    doubt = judge_pause(last, now, spool.boot_id)
    if doubt is not None:
        record_doubt(journal, doubt, after_run=last.run_id)


def last_moments(folder: Path, paper_user: str, own_run: str) -> list[LastMoment]:
    """Of every earlier run of which a segment is left, kept ones included; a drain is no run of a
    streamer. Raises SpoolError."""
    kept = folder / KEPT_FOLDER
    segments = [*(list_segments(kept) if kept.is_dir() else []), *list_segments(folder)]
    moments = []
    for segment in last_segments(sorted(segments, key=lambda s: (s.run_id, s.number))):
        found = None if segment.run_id == own_run else read_header(segment.path, paper_user)
        if found is None:
            continue
        header, begin = found
        last, drains = None, False
        for records in read_records(segment.path, begin, size_of(segment.path), paper_user):
            last, drains = records[-1], drains or any(map(_begins_a_drain, records))
        if last is not None and not drains:
            at = Moment(last.received_ns, last.monotonic_ns)
            moments.append(LastMoment(segment.run_id, at, header.boot_id))
    return moments


def _begins_a_drain(record: Record) -> bool:
    event = event_of(record)
    return event is not None and event.detail.get("drain") is True


def newest(moments: list[LastMoment], boot_id: str | None) -> LastMoment | None:
    """The last of them; names of runs tell the order only where their clocks were never set."""
    comparable = [m for m in moments if boot_id is not None and m.boot_id == boot_id]
    if comparable:
        return max(comparable, key=lambda m: m.at.monotonic)
    return max(moments, key=lambda m: m.run_id, default=None)


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
