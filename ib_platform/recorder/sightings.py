"""Which ladder and quote frames were seen when: the evidence of the experiments. PURE."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import msgspec

from ib_platform.marketdata.frames import LADDER, QUOTE, classify
from ib_platform.marketdata.ladder import WINDOW_ROWS

_KEPT = 200_000


class _Rows(msgspec.Struct):
    data: list[msgspec.Raw] = []


_decode_rows = msgspec.json.Decoder(_Rows).decode


@dataclass(frozen=True, slots=True)
class Sighting:
    """One frame. ``at``: monotonic seconds; ``rows``: of a ladder frame, 0 for any other."""

    at: float
    connection: int
    topic: str
    conid: int | None
    rows: int


class Sightings:
    """The newest frames of a recording, oldest first."""

    def __init__(self) -> None:
        self._seen: deque[Sighting] = deque(maxlen=_KEPT)

    def saw(self, at: float, connection: int, payload: bytes) -> str:
        """Remember one inbound message; its topic."""
        kind = classify(payload)
        rows = _rows_of(payload) if kind.topic == LADDER else 0
        self._seen.append(Sighting(at, connection, kind.topic, kind.conid, rows))
        return kind.topic

    def ladder(self, conid: int, since: float, *, connection: int | None = None) -> list[Sighting]:
        """Ladder frames with rows of a contract since an instant."""
        return [
            sighting
            for sighting in self._since(since)
            if sighting.topic == LADDER
            and sighting.conid == conid
            and sighting.rows
            and connection in (None, sighting.connection)
        ]

    def full_frames(self, conid: int, since: float) -> list[Sighting]:
        """Frames that lay a window."""
        return [s for s in self.ladder(conid, since) if s.rows >= WINDOW_ROWS]

    def quotes(self, conid: int, since: float) -> list[Sighting]:
        return [s for s in self._since(since) if s.topic == QUOTE and s.conid == conid]

    def of_topic(self, topic: str, since: float) -> list[Sighting]:
        return [s for s in self._since(since) if s.topic == topic]

    def _since(self, since: float) -> list[Sighting]:
        found = []
        for sighting in reversed(self._seen):
            if sighting.at < since:
                break
            found.append(sighting)
        return found[::-1]


def _rows_of(payload: bytes) -> int:
    try:
        return len(_decode_rows(payload).data)
    except (msgspec.DecodeError, UnicodeError):
        return 0
