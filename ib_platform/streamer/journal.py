"""What goes into the spool while the disk may be full: frames, events, and the account of losses.

A frame that the spool refuses is lost and counted. An event that it refuses waits in memory, and
goes in, stamped as it happened and in order, before the next frame does: a reader of the spool
never sees a frame of a world that the events before it do not describe.
"""

from __future__ import annotations

import errno
import logging
from collections import Counter, deque
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from ib_platform.clocks import Clocks
from ib_platform.errors import SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.spool import Spool

logger = logging.getLogger(__name__)
MOST_WAITING = 1000
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NANOS = 1_000_000_000


def cause_of_refusal(error: BaseException) -> Cause:
    """Why the spool refused: no room on the disk, or a disk that does not work."""
    reason = error.__cause__
    if isinstance(reason, OSError) and reason.errno not in _NO_ROOM:
        return Cause.SPOOL_DAMAGED
    return Cause.DISK_FULL


@dataclass(frozen=True, slots=True)
class Loss:
    """Frames that are being lost: how many, why, and the earliest and latest of their stamps (ns
    since 1970): not the first and last one, where the clock was set meanwhile."""

    frames: int
    earliest_ns: int
    latest_ns: int
    cause: Cause
    error: str

    def and_one(self, received_ns: int) -> Loss:
        """Another frame is lost."""
        return replace(
            self,
            frames=self.frames + 1,
            earliest_ns=min(self.earliest_ns, received_ns),
            latest_ns=max(self.latest_ns, received_ns),
        )


@dataclass(frozen=True, slots=True)
class _Event:
    """An event that waits, with the stamps of its moment."""

    kind: StreamEventKind
    stamps: tuple[int, int]
    fields: dict[str, Any] = field(default_factory=dict)


class Journal:
    """Writes one run's frames and events. One thread at a time.

    ``lost``: frames of the run that the spool refused, all together; ``lost_by``: by cause, as in
    the record. ``losing``: the loss that goes on now. All outlive connections.
    """

    def __init__(self, spool: Spool, clocks: Clocks | None = None) -> None:
        self._spool = spool
        self._clocks = clocks or Clocks()
        self._waiting: deque[_Event] = deque()
        self._dropped = 0
        self._recovered: Cause | None = None
        self.lost = 0
        self.lost_by: Counter[Cause] = Counter()
        self.losing: Loss | None = None

    def frame(self, received_ns: int, monotonic_ns: int, connection: int, payload: bytes) -> bool:
        """Write a received message; False when it is lost. Never raises SpoolError."""
        try:
            self.catch_up(received_ns)
            self._spool.append_frame(received_ns, monotonic_ns, connection, payload)
        except SpoolError as error:
            self._lose(received_ns, error)
            return False
        return True

    def event(self, kind: StreamEventKind, **fields: Any) -> None:
        """Write an event now, or as soon as the spool takes it. Never raises SpoolError.

        ``fields`` are those of ``Spool.append_event``.
        """
        self._waiting.append(_Event(kind, (self._clocks.wall(), self._clocks.monotonic()), fields))
        if len(self._waiting) > MOST_WAITING:
            # The newest tell what holds now; how many are missing is said with them.
            self._waiting.popleft()
            self._dropped += 1
        try:
            self._write_waiting()
        except SpoolError as error:
            logger.error("an event waits until the spool takes it: %s: %s", kind.value, error)

    def event_now(self, kind: StreamEventKind, *, last: bool = False, **fields: Any) -> None:
        """Write an event, after all that wait and the end of a loss. ``last``: of the run, so that
        no frame comes any more and a loss ends here, whether there is room for frames or not.

        Raises:
            SpoolError: then it is not kept at all.
        """
        self._write_waiting()
        self._end_loss(None, last=last)
        self._spool.append_event(kind, **fields)

    def catch_up(self, now_ns: int | None = None) -> None:
        """Write the events that wait, then the loss that they end with.

        Raises:
            SpoolError: the spool still refuses; what was not written goes on waiting.
        """
        self._write_waiting()
        self._end_loss(now_ns)

    def _end_loss(self, now_ns: int | None, *, last: bool = False) -> None:
        if (loss := self.losing) is None:
            return
        if not last:
            # An event may still fit where no frame may go: that would be no end of the loss, and
            # one such event for each frame would take the room that loading needs.
            self._spool.require_room()
        end = self._clocks.wall() if now_ns is None else now_ns
        detail = {
            "lost_frames": loss.frames,
            "begin": _iso(min(loss.earliest_ns, end)),
            "end": _iso(max(loss.latest_ns, end)),
            "error": loss.error,
        }
        self._spool.append_event(StreamEventKind.FRAMES_LOST, cause=loss.cause, detail=detail)
        logger.error("the spool takes frames again; lost: %d", loss.frames)
        self.losing, self._recovered = None, loss.cause

    def take_recovery(self) -> Cause | None:
        """The cause of a loss that has ended since the last call: books must be asked for anew."""
        cause, self._recovered = self._recovered, None
        return cause

    def _write_waiting(self) -> None:
        while self._waiting:
            event = self._waiting[0]
            fields = event.fields
            if self._dropped:
                fields = fields | {
                    "detail": (fields.get("detail") or {}) | {"events_dropped": self._dropped}
                }
            self._spool.append_event(event.kind, stamps=event.stamps, **fields)
            self._waiting.popleft()
            self._dropped = 0

    def _lose(self, received_ns: int, error: SpoolError) -> None:
        self.lost += 1
        loss = self.losing
        if loss is None:
            logger.critical("frames are lost: %s", error)
            loss = Loss(0, received_ns, received_ns, cause_of_refusal(error), str(error))
        self.lost_by[loss.cause] += 1
        self.losing = loss.and_one(received_ns)


def _iso(instant_ns: int) -> str:
    """ISO 8601 UTC, to the microsecond."""
    return datetime.fromtimestamp(instant_ns / _NANOS, UTC).isoformat()
