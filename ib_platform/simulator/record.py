"""What was written to the sockets of one user: the simulator's own count, for proofs."""

from __future__ import annotations

from collections import Counter

from ib_platform.marketdata.frames import LADDER, classify


class Sent:
    """How many frames were written to sockets, of all topics and per ladder."""

    def __init__(self) -> None:
        self.frames = 0
        self.ladder_frames: Counter[int] = Counter()

    def count(self, payload: bytes) -> None:
        self.frames += 1
        kind = classify(payload)
        if kind.topic == LADDER and kind.conid is not None:
            self.ladder_frames[kind.conid] += 1

    def summary(self) -> dict[str, object]:
        """Part of the answer of the simulator's own record endpoint."""
        ladders = {str(conid): count for conid, count in sorted(self.ladder_frames.items())}
        return {"ladder_frames_sent": ladders, "frames_sent": self.frames}
