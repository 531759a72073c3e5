"""Which stored frame is which sent one. PURE.

A streamer has one websocket at a time, so a connection is the newest websocket that had sent
something when its first stored frame was received. TCP keeps order: the stored frames of a
connection are the sent ones, in order, but for holes and what never arrived at the end.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ib_platform.simulator.sent_log import SentFrame
from ib_platform_tests.faults.chaos.evidence import Stored


@dataclass(frozen=True, slots=True)
class Pair:
    """A sent frame and the row that it became."""

    sent: SentFrame
    stored: Stored


@dataclass(frozen=True, slots=True)
class Lost:
    """A sent frame without a row. It would have been stamped in [``earliest``, ``latest``]
    (monotonic): between its neighbours on the websocket, and not before it was sent. ``latest``
    None: nothing of the websocket was stored after it."""

    sent: SentFrame
    earliest: int
    latest: int | None


@dataclass(frozen=True)
class Alignment:
    """``strangers``: rows that nobody sent, or not in this order."""

    pairs: list[Pair]
    lost: list[Lost]
    strangers: list[Stored]


def align(sent: Iterable[SentFrame], stored: Iterable[Stored]) -> Alignment:
    """``stored``: each (run, seq) once, in any order."""
    websockets: dict[int, list[SentFrame]] = defaultdict(list)
    for frame in sent:
        websockets[frame.websocket].append(frame)
    connections: dict[tuple[str, int], list[Stored]] = defaultdict(list)
    for row in sorted(stored, key=lambda row: (row.run_id, row.seq)):
        connections[row.run_id, row.connection].append(row)
    result = Alignment([], [], [])
    numbers = sorted(websockets, key=lambda number: websockets[number][0].monotonic_ns)
    opened = [websockets[number][0].monotonic_ns for number in numbers]
    taken: set[int] = set()
    for rows in sorted(connections.values(), key=lambda rows: rows[0].monotonic):
        at = bisect_right(opened, rows[0].monotonic) - 1
        if at < 0 or at in taken:
            result.strangers.extend(rows)
            continue
        taken.add(at)
        _one(websockets[numbers[at]], rows, result)
    for at, number in enumerate(numbers):
        if at not in taken:
            result.lost.extend(Lost(f, f.monotonic_ns, None) for f in websockets[number])
    return result


def _one(sent: Sequence[SentFrame], rows: Sequence[Stored], result: Alignment) -> None:
    places, strangers = _places(sent, rows)
    result.strangers.extend(strangers)
    received: int | None = None
    latest = [None] * len(sent) if not places else _latest(len(sent), places)
    for index, frame in enumerate(sent):
        row = places.get(index)
        if row is not None:
            result.pairs.append(Pair(frame, row))
            received = row.monotonic
        else:
            earliest = max(frame.monotonic_ns, received or 0)
            result.lost.append(Lost(frame, earliest, latest[index]))


def _latest(length: int, places: dict[int, Stored]) -> list[int | None]:
    """When the next stored frame behind each place was received."""
    latest: list[int | None] = [None] * length
    following: int | None = None
    for index in range(length - 1, -1, -1):
        latest[index] = following
        if index in places:
            following = places[index].monotonic
    return latest


def _places(
    sent: Sequence[SentFrame], rows: Sequence[Stored]
) -> tuple[dict[int, Stored], list[Stored]]:
    """Index of a sent frame -> its row. Up to the first hole there is no choice; behind it, equal
    payloads could stand for each other, and the latest that was sent before is taken."""
    places: dict[int, Stored] = {}
    first = 0
    while first < min(len(sent), len(rows)) and _same(sent[first], rows[first]):
        places[first] = rows[first]
        first += 1
    strangers = []
    index = len(sent) - 1
    for row in reversed(rows[first:]):
        at = index
        while at >= first and not _same(sent[at], row):
            at -= 1
        if at < first:
            strangers.append(row)
            continue
        places[at] = row
        index = at - 1
    return places, strangers


def _same(sent: SentFrame, row: Stored) -> bool:
    return (sent.length, sent.crc32c) == (row.length, row.crc32c) and (
        sent.monotonic_ns <= row.monotonic
    )
