"""What can take a frame, and did anything? PURE.

A frame that was sent and is not stored was cut off, met a full disk, lay unread in the socket of
a streamer that died, or was sent on a websocket that was broken. Whatever its gap says.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from ib_platform.states import StreamEventKind
from ib_platform_tests.faults.chaos.alignment import Lost
from ib_platform_tests.faults.chaos.evidence import SECOND, Evidence, Injected, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

UNREAD = SECOND
"""What a busy machine's streamer may have in its socket and not read yet."""
_EDGE = SECOND // 100
_SLACK = 2 * SECOND
_GIVEN_UP = 20 * SECOND
"""A dead websocket is noticed by then: no heartbeat for 12 s, and some time to close it."""
DEATHS = (Kind.STREAMER_KILLED, Kind.SPOOL_TRUNCATED)
BREAKS = (Kind.WEBSOCKET_CLOSED, Kind.HALF_OPEN, Kind.GIANT_FRAME, Kind.STREAMER_STOPPED)


@dataclass(frozen=True, slots=True)
class Hole:
    """When frames were received whose records the chaos cut off: monotonic, between their stored
    neighbours in the run, at most from one death to the next."""

    run_id: str
    begin: int
    end: int


class Losses:
    """What was done to frames."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._opened: dict[int, int] = {}
        for frame in evidence.sent:
            first = self._opened.setdefault(frame.websocket, frame.monotonic_ns)
            self._opened[frame.websocket] = min(first, frame.monotonic_ns)
        self.deaths = _deaths(evidence)
        self.holes = list(_holes(evidence, self.deaths))
        self._stalls = list(_told_stalls(evidence))
        self._since = [self._unread_since(death) for death in self.deaths]

    def is_explained(self, frame: Lost) -> bool:
        """Whether anything was done that takes this frame."""
        if self.is_cut(frame.earliest, frame.latest) or self._met_a_full_disk(frame):
            return True
        if frame.latest is not None:
            # Its websocket went on, and so did its streamer.
            return False
        return (
            frame.sent.monotonic_ns >= self._evidence.asked_to_stop - UNREAD
            or self._was_unread(frame)
            or self._was_broken(frame)
        )

    def is_cut(self, earliest: int, latest: int | None) -> bool:
        """Whether the chaos cut off what was received then (monotonic; None: or any time later)."""
        return any(
            earliest <= hole.end + _EDGE and (latest is None or latest >= hole.begin - _EDGE)
            for hole in self.holes
        )

    def _met_a_full_disk(self, frame: Lost) -> bool:
        return any(
            fault.kind is Kind.DISK_FULL
            and fault.begin - _SLACK <= frame.earliest
            and frame.earliest <= fault.end + _SLACK
            for fault in self._evidence.faults
        )

    def _was_unread(self, frame: Lost) -> bool:
        at, opened = frame.sent.monotonic_ns, self._opened[frame.sent.websocket]
        return any(
            opened <= death.begin + _EDGE and since <= at <= death.end + _GIVEN_UP
            for death, since in zip(self.deaths, self._since, strict=True)
        )

    def _was_broken(self, frame: Lost) -> bool:
        at, opened = frame.sent.monotonic_ns, self._opened[frame.sent.websocket]
        return any(
            fault.kind in BREAKS
            and opened <= fault.end
            and fault.begin - UNREAD <= at <= fault.end + _GIVEN_UP
            for fault in self._evidence.faults
        )

    def _unread_since(self, death: Injected) -> int:
        """From when on what was sent may not have been read when the streamer died: a second, or
        since it stood still, if the chaos did that or the record tells of it."""
        since = death.begin - UNREAD
        stops = [
            (fault.begin, fault.end)
            for fault in self._evidence.faults
            if fault.kind is Kind.STREAMER_STOPPED
        ]
        for begin, end in [*stops, *self._stalls]:
            if begin <= death.begin and end >= death.begin - UNREAD:
                since = min(since, begin - UNREAD)
        return since


def _deaths(evidence: Evidence) -> list[Injected]:
    """Also of streamers that ended by themselves; whether they had to, is asked elsewhere."""
    killed = [fault for fault in evidence.faults if fault.kind in DEATHS]
    alone = [
        Injected(Kind.STREAMER_KILLED, end.at, end.at)
        for end in evidence.exits
        if not end.was_asked
    ]
    return sorted([*killed, *alone], key=lambda death: death.begin)


def _holes(evidence: Evidence, deaths: list[Injected]) -> Iterator[Hole]:
    runs: dict[str, dict[int, Stored]] = defaultdict(dict)
    for row in evidence.stored:
        runs[row.run_id][row.seq] = row
    cut: dict[str, list[int]] = defaultdict(list)
    for run_id, seq in evidence.cut:
        if seq not in runs[run_id]:
            cut[run_id].append(seq)
    for run_id, numbers in cut.items():
        rows = sorted(runs[run_id].values(), key=lambda row: row.seq)
        if not rows:
            yield from (Hole(run_id, *span) for span in _without_rows(evidence, deaths))
            continue
        stored = [row.seq for row in rows]
        found = set()
        for at in {bisect_left(stored, seq) for seq in numbers}:
            begin = rows[at - 1].monotonic if at else _born(deaths, rows[0].monotonic)
            found.add((begin, rows[at].monotonic if at < len(rows) else _died(deaths, begin)))
        yield from (Hole(run_id, *span) for span in sorted(found))


def _born(deaths: list[Injected], first: int) -> int:
    return max((death.begin for death in deaths if death.begin <= first), default=0)


def _died(deaths: list[Injected], last: int) -> int:
    return min((death.begin for death in deaths if death.begin >= last), default=last)


def _without_rows(evidence: Evidence, deaths: list[Injected]) -> Iterator[tuple[int, int]]:
    """A run of which nothing is left lived between two deaths of which nothing is stored."""
    for before, after in zip(deaths, deaths[1:], strict=False):
        if not any(before.begin <= row.monotonic <= after.begin for row in evidence.stored):
            yield before.begin, after.begin


def _told_stalls(evidence: Evidence) -> Iterator[tuple[int, int]]:
    """Monotonic, by the offsets that the run's own rows show."""
    offsets: dict[str, Counter[int]] = defaultdict(Counter)
    for row in evidence.stored:
        offsets[row.run_id][round(row.offset, -7)] += 1
    for event in evidence.events:
        if event.kind == StreamEventKind.LATE_STAMPS and "stall_ms" in event.detail:
            end = event.at
            length = int(event.detail["stall_ms"]) * 1_000_000
            for offset in offsets[event.run_id]:
                yield end - length - offset, end - offset
