"""What the fleet sensor remembers between ticks: small JSON with sorted keys, safe to edit by hand.

Instants are seconds since the Unix epoch, UTC. Garbage, an unknown version or an empty text become
a fresh memory: the worst that follows is one incident counted anew.
"""

from __future__ import annotations

import logging
from datetime import datetime

import msgspec

from ib_platform.states import PodState

VERSION = 1
logger = logging.getLogger(__name__)


class ContainerMemory(msgspec.Struct, frozen=True, omit_defaults=True):
    """``unanswered``: health calls in a row without an answer. ``bad_since``: since when the
    session reads as down. ``blocked``: last known state that nobody but a person may end; it
    outlives the process that said so."""

    unanswered: int = 0
    bad_since: float | None = None
    blocked: PodState | None = None


class PastAction(msgspec.Struct, frozen=True, array_like=True):
    """An action of the last hour; ``login``: it starts a gateway, hence a login."""

    at: float
    login: bool


class Reported(msgspec.Struct, frozen=True, omit_defaults=True):
    """The last report of stored frames to Dagster, to repeat it only when there are more."""

    at: float = 0.0
    run_id: str = ""
    stored: int = 0


class PodMemory(msgspec.Struct, frozen=True, omit_defaults=True):
    """One pod. ``incident`` counts up for ever; ``attempt`` counts the actions of the open one,
    ``logins`` those that start a gateway, ``next_at`` is the earliest instant of the next. ``said``
    is the last verdict told. ``passing_since``: the session waits for what IBKR ends by itself.
    ``quiet_since``: the session is up, and not every contract is recorded."""

    incident: int = 0
    open: bool = False
    attempt: int = 0
    logins: int = 0
    next_at: float = 0.0
    gateway: ContainerMemory = ContainerMemory()
    streamer: ContainerMemory = ContainerMemory()
    actions: tuple[PastAction, ...] = ()
    said: str = ""
    passing_since: float | None = None
    quiet_since: float | None = None
    reported: Reported = Reported()


class FleetMemory(msgspec.Struct, frozen=True):
    """All pods. ``epoch``: when this memory began; it keeps run keys unique after a reset."""

    epoch: int
    pods: dict[str, PodMemory] = {}
    version: int = VERSION

    def of(self, paper_user: str) -> PodMemory:
        return self.pods.get(paper_user, PodMemory())


def load_memory(text: str | None, now: datetime) -> FleetMemory:
    """The memory in ``text``, or a fresh one that begins at ``now``. Never raises."""
    fresh = FleetMemory(epoch=int(now.timestamp()))
    if not text:
        return fresh
    try:
        memory = msgspec.json.decode(text, type=FleetMemory)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        logger.warning("the fleet's memory cannot be read (%s): beginning anew", error)
        return fresh
    if memory.version != VERSION:
        logger.warning("the fleet's memory has version %s: beginning anew", memory.version)
        return fresh
    return memory


def dump_memory(memory: FleetMemory) -> str:
    """JSON with sorted keys, so that equal memories are equal texts."""
    return msgspec.json.encode(memory, order="sorted").decode()
