"""What the judge is shown: plain values, no I/O.

Two clocks: ``monotonic`` ns are this machine's, true, and shared by all its processes; ``wall`` ns
since 1970 are the streamer's, which the chaos steps. Their difference at a stored frame tells how
far the streamer's wall clock was off then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_platform.simulator.sent_log import SentFrame
from ib_platform_tests.faults.chaos.schedule import Kind

SECOND = 1_000_000_000
FrameId = tuple[str, int]
"""Run id and seq."""


@dataclass(frozen=True, slots=True)
class Stored:
    """A row of ``frames``. ``received``: wall; ``monotonic``: of the same moment."""

    run_id: str
    seq: int
    connection: int
    received: int
    monotonic: int
    topic: str
    conid: int | None
    length: int
    crc32c: int

    @property
    def offset(self) -> int:
        """Wall minus monotonic: changes when the streamer's wall clock is stepped."""
        return self.received - self.monotonic


@dataclass(frozen=True, slots=True)
class Gap:
    """A row of ``gaps``; wall."""

    conid: int
    begin: int
    end: int
    cause: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A row of ``suspect_windows``; wall."""

    conid: int
    run_id: str
    begin: int
    end: int
    cause: str


@dataclass(frozen=True, slots=True)
class Event:
    """A row of ``stream_events``; ``at``: wall."""

    run_id: str
    kind: str
    cause: str | None
    at: int
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Injected:
    """A fault as it was done; monotonic."""

    kind: Kind
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class Exit:
    """A streamer that ended without being killed. ``at``: monotonic; ``was_asked``: by SIGTERM."""

    code: int
    at: int
    was_asked: bool


@dataclass(frozen=True, slots=True)
class Finding:
    """One of ``ib-platform verify``, with its own words. ``frames`` None: nobody knows."""

    run_id: str | None
    kind: str
    standing: str
    frames: int | None
    text: str


@dataclass(frozen=True)
class Evidence:
    """Everything. ``kept``: frames whose records were seen complete in the spool of a streamer that
    was down; ``cut``: those whose records the chaos then cut off. ``doubled``: physical rows beyond
    the first of each key, by table. ``undecoded``: decodable frames of ladders and quotes without
    their row in ``ladder_frames`` or ``quote_frames``. ``tracebacks``: lines of logs. ``findings``:
    of ``ib-platform verify`` for the whole span. ``asked_to_stop``: monotonic, the last run.
    """

    sent: list[SentFrame]
    stored: list[Stored]
    gaps: list[Gap]
    suspects: list[Suspect]
    events: list[Event]
    faults: list[Injected]
    asked_to_stop: int
    kept: frozenset[FrameId] = frozenset()
    cut: frozenset[FrameId] = frozenset()
    doubled: Mapping[str, int] = field(default_factory=dict)
    undecoded: frozenset[FrameId] = frozenset()
    tracebacks: tuple[str, ...] = ()
    exits: tuple[Exit, ...] = ()
    findings: tuple[Finding, ...] = ()
