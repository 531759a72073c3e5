"""Keeps what the frames have proven about several ladders: on disk, in the record, in health."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from ib_platform.health import LadderCapability
from ib_platform.states import StreamEventKind
from ib_platform.streamer.capability import is_news
from ib_platform.streamer.capability_words import why_not_held
from ib_platform.streamer.durable_json import replace_json
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.subscriptions import Subscriptions

logger = logging.getLogger(__name__)


def read_capability(file: Path) -> LadderCapability | None:
    """What is stored; None when nothing is, or it cannot be read (said in the log): then it is
    proven again."""
    try:
        return msgspec.json.decode(file.read_bytes(), type=LadderCapability)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        logger.warning("%s: cannot be used, what it said will be proven again: %s", file, error)
        return None


def write_capability(file: Path, capability: LadderCapability) -> None:
    """Replace the file atomically. Raises OSError."""
    replace_json(file, capability)


class CapabilityKeeper:
    """Hands the stored capability to health and subscriptions, and stores what is concluded."""

    def __init__(
        self,
        file: Path,
        state: StreamerState,
        subscriptions: Subscriptions,
    ) -> None:
        self._file = file
        self._state = state
        self._subscriptions = subscriptions
        self._use(read_capability(file))

    @property
    def why_not_held(self) -> str:
        """Why some contracts are left out, for people; empty when nothing is proven."""
        known = self._state.capability
        return "" if known is None else why_not_held(known, str(self._file))

    def look(self) -> None:
        """Store news, if the frames have proven any; the record tells of it."""
        found = self._subscriptions.news()
        if found is not None and is_news(found, self._state.capability):
            capability = LadderCapability(
                found.mode, found.ladders, self._state.clocks.utc(), found.evidence
            )
            logger.warning(
                "several ladders: %s, %d at a time: %s",
                found.mode.value,
                found.ladders,
                found.evidence,
            )
            self._state.journal.event(
                StreamEventKind.CAPABILITY,
                connection=self._state.connections,
                detail={
                    "mode": found.mode.value,
                    "ladders": found.ladders,
                    "evidence": found.evidence,
                },
            )
            self._use(capability)
            try:
                write_capability(self._file, capability)
            except OSError as error:
                logger.error("%s: not stored, the next run proves it again: %s", self._file, error)
        self._state.tracker.hold_only(self._subscriptions.not_held, self.why_not_held)

    def _use(self, capability: LadderCapability | None) -> None:
        self._state.capability = self._subscriptions.capability = capability
