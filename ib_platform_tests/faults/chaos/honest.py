"""Evidence of an honest world in which one streamer was killed once, for tests that then lie."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ib_platform.simulator.sent_log import SentFrame
from ib_platform_tests.faults.chaos.evidence import SECOND, Event, Evidence, Gap, Injected, Stored
from ib_platform_tests.faults.chaos.schedule import Kind

CONID = 42
WALL = 1_800_000_000 * SECOND
"""Wall minus monotonic."""
DELAY = SECOND // 1000
EVERY = SECOND // 10
FIRST, SECOND_RUN = "alpha-1", "alpha-2"
FRAMES = 100
LOST = 5
KILLED = FRAMES * EVERY
STARTED = KILLED + 3 * SECOND
STOPPED = STARTED + FRAMES * EVERY
FOR_EVER = 1_000 * SECOND


def sent_frame(websocket: int, index: int, at: int) -> SentFrame:
    """Every second one is a ladder's. Each has content of its own."""
    topic, conid = ("sbd", CONID) if index % 2 else ("system", None)
    crc32c = websocket * 10_000 + index
    return SentFrame("papera01", websocket, index, WALL + at, at, topic, conid, 100, crc32c)


def row_of(frame: SentFrame, run_id: str, seq: int, *, delay: int = DELAY, off: int = 0) -> Stored:
    """The row that the frame becomes. ``off``: of the streamer's wall clock, ns."""
    at = frame.monotonic_ns + delay
    return Stored(
        run_id, seq, 1, at + WALL + off, at, frame.topic, frame.conid, frame.length, frame.crc32c
    )


def first_websocket(frames: int = FRAMES + LOST) -> list[SentFrame]:
    return [sent_frame(0, index, index * EVERY) for index in range(frames)]


def second_websocket() -> list[SentFrame]:
    return [sent_frame(1, index, STARTED + index * EVERY) for index in range(FRAMES)]


def step_event(run_id: str, before: int, after: int, by: int, **more: str) -> Event:
    """What a streamer tells of a step ``by`` so many ns that it saw between two looks (wall)."""
    passed = after - before - by
    instants = {
        "begin": before + min(by, 0) if more else min(before, after),
        "end": before + passed + max(by, 0) if more else max(before, after),
        "before": before,
        "after": after,
    }
    detail: dict[str, Any] = {name: _iso(instant) for name, instant in instants.items()}
    detail |= {"step_ms": by // 1_000_000, **more}
    return Event(run_id, "clock_step", "clock_step", after, detail)


def _iso(instant: int) -> str:
    return datetime.fromtimestamp(instant / SECOND, UTC).isoformat()


def honest_evidence() -> Evidence:
    """Two runs of 100 frames each; the five that were sent between them lie in a gap."""
    before, after = first_websocket(), second_websocket()
    rows = [row_of(frame, FIRST, seq) for seq, frame in enumerate(before[:FRAMES])]
    rows += [row_of(frame, SECOND_RUN, seq) for seq, frame in enumerate(after)]
    stop = {"received": FRAMES, "spooled": FRAMES}
    recovered = {"run_id": FIRST, "frames": FRAMES, "torn_bytes": 0}
    return Evidence(
        sent=before + after,
        stored=rows,
        gaps=[
            Gap(CONID, WALL - SECOND, WALL + EVERY + DELAY, "not_assigned"),
            Gap(CONID, rows[FRAMES - 1].received, rows[FRAMES + 1].received, "streamer_died"),
            Gap(CONID, rows[-1].received, WALL + FOR_EVER, "not_assigned"),
        ],
        suspects=[],
        events=[
            Event(SECOND_RUN, "run_recovered", "streamer_died", WALL + STARTED, recovered),
            Event(SECOND_RUN, "run_stopped", None, WALL + STOPPED, stop),
        ],
        faults=[Injected(Kind.STREAMER_KILLED, KILLED, KILLED + SECOND // 5)],
        asked_to_stop=STOPPED,
        kept=frozenset((FIRST, seq) for seq in range(80, FRAMES)),
    )
