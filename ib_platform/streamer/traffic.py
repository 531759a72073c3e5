"""What came over the websocket, counted by topic. PURE, and cheap: every frame passes here."""

from __future__ import annotations

from ib_platform.marketdata.frames import LADDER, QUOTE, UNDECODABLE_TOPIC

OTHER = "other"
TOPICS = (
    LADDER,
    QUOTE,
    "system",
    "sts",
    "act",
    "tic",
    "ech",
    "ntf",
    "blt",
    "message",
    "error",
    UNDECODABLE_TOPIC,
    OTHER,
)
"""A closed list: what a gateway calls a topic must not become a series of its own."""


class Traffic:
    """Messages and bytes of one run, received whether or not they could be kept. One thread."""

    def __init__(self) -> None:
        self.frames = dict.fromkeys(TOPICS, 0)
        self.bytes = dict.fromkeys(TOPICS, 0)

    def took(self, topic: str, size: int) -> None:
        """Count a message of ``size`` bytes; a topic that nobody knows is ``other``."""
        if topic not in self.frames:
            topic = OTHER
        self.frames[topic] += 1
        self.bytes[topic] += size
