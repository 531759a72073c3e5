"""The last words of a run: why it ended, and the balance of its frames."""

from __future__ import annotations

import logging

from ib_platform.errors import LiveAccountError, SpoolError
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.health import StreamerState
from ib_platform.streamer.journal import cause_of_refusal

logger = logging.getLogger(__name__)


def end_of_run(error: BaseException | None) -> tuple[Cause | None, dict[str, str]]:
    """Cause and detail of RUN_STOPPED. None: the run was asked to stop, which needs no cause."""
    if error is None:
        return None, {}
    cause = Cause.STREAMER_DIED
    if isinstance(error, SpoolError):
        cause = cause_of_refusal(error)
    elif isinstance(error, LiveAccountError):
        cause = Cause.SESSION_LOST
    return cause, {"error": type(error).__name__}


def say_the_end(state: StreamerState, error: BaseException | None) -> None:
    """Say balance and cause in the record, durably, before anything that may take its time."""
    cause, why = end_of_run(error)
    balance = {"received": state.received, "spooled": state.spool.frames_written}
    if state.journal.lost:
        balance["lost"] = state.journal.lost
    try:
        state.journal.event_now(
            StreamEventKind.RUN_STOPPED, last=True, cause=cause, detail={**balance, **why}
        )
        state.spool.sync()
    except SpoolError as refusal:
        logger.error("the end of the run is not on disk: %s", refusal)
