"""Failures of websockets and ladders while the session is well, as data (see ``table``)."""

from __future__ import annotations

from ib_platform.simulator.fault_spec import FaultKind
from ib_platform.states import Cause, ContractState, PodState, StreamEventKind
from ib_platform_tests.failures.table import Failure

SILENT_AFTER = 8.0
"""``limits.silent_after`` here. Whoever waits for a ladder notices its silence within twice this
time; the simulated market of these tests never pauses for so long (``test_streams``)."""
_SOON = {"silent_after": SILENT_AFTER}
_GONE, _SILENT = StreamEventKind.DISCONNECTED, StreamEventKind.LADDER_SILENT

OF_STREAMS = (
    Failure(
        row="2",
        what="the gateway closes the websocket",
        fault=FaultKind.WEBSOCKET_CLOSED,
        state=ContractState.WARMING_UP,
        told_by="contract",
        noticed=10,
        lasts=None,
        back=45,
        cured_by="a new websocket, with every ladder and quote asked for anew",
        event=(_GONE, Cause.DISCONNECTED),
        gap=Cause.DISCONNECTED,
    ),
    Failure(
        row="2",
        what="a dead websocket: open for TCP, nothing comes, new ones are dead too",
        slow=True,
        fault=FaultKind.HALF_OPEN,
        state=PodState.AUTHENTICATED,
        told_by="streamer",
        noticed=24,
        lasts=None,
        back=60,
        cured_by="given up after `heartbeat_timeout` without a message (12 s here); a new one",
        event=(_GONE, Cause.DISCONNECTED),
        gap=Cause.DISCONNECTED,
    ),
    Failure(
        row="2",
        what="heartbeats stop, ladders go on",
        slow=True,
        fault=FaultKind.NO_HEARTBEATS,
        state=PodState.STREAMING,
        told_by="streamer",
        noticed=None,
        lasts=16,
        back=45,
        cured_by="none needed: any message is a sign of life",
        event=None,
        gap=None,
    ),
    Failure(
        row="2",
        what="one ladder falls silent, heartbeats and the other one go on",
        fault=FaultKind.SILENT_LADDER,
        symbol="CL",
        limits=_SOON,
        state=ContractState.SILENT,
        told_by="contract",
        says="yet no ladder frame comes",
        noticed=2 * SILENT_AFTER,
        lasts=None,
        back=45,
        cured_by="that ladder is asked for again, at once and after 10, 20, 40 s; a new websocket "
        "only if no ladder is live",
        event=(_SILENT, Cause.SILENT_LADDER),
        gap=Cause.SILENT_LADDER,
    ),
    Failure(
        row="10",
        what="one ladder ends without a word",
        slow=True,
        fault=FaultKind.LADDERS_EXPIRED,
        symbol="CL",
        limits=_SOON,
        # SILENT before, for as long as it takes to ask again.
        state=ContractState.WARMING_UP,
        told_by="contract",
        noticed=2 * SILENT_AFTER,
        lasts=None,
        back=45,
        cured_by="that ladder is asked for again at once",
        event=(_SILENT, Cause.SILENT_LADDER),
        gap=Cause.SILENT_LADDER,
    ),
    Failure(
        row="10",
        what="quotes end without a word",
        slow=True,
        fault=FaultKind.QUOTES_EXPIRED,
        state=PodState.STREAMING,
        told_by="streamer",
        noticed=None,
        lasts=None,
        back=45,
        cured_by="quotes are asked for again every 9 minutes, a tenth more or less: IBKR ends them "
        "after 15",
        event=None,
        gap=None,
    ),
    Failure(
        row="7",
        what="no data though authenticated: field 6509 is not real time",
        fault=FaultKind.NO_DATA,
        symbol="CL",
        limits=_SOON,
        parameters={"availability": "N"},
        state=ContractState.NO_DATA,
        told_by="contract",
        says="while that one is logged in on another device",
        noticed=2 * SILENT_AFTER,
        lasts=None,
        back=45,
        cured_by="a person: the reason in /status names the live user's login; at once asked for "
        "again when 6509 is real time",
        event=(_SILENT, Cause.NO_ENTITLEMENT),
        gap=Cause.NO_ENTITLEMENT,
    ),
    Failure(
        row="11",
        what="the websocket is closed while the streamer sends",
        slow=True,
        fault=FaultKind.CLOSED_DURING_SEND,
        state=PodState.AUTHENTICATED,
        told_by="streamer",
        noticed=60,
        lasts=None,
        back=60,
        cured_by="a new websocket, and another one while that happens again, with growing pauses; "
        "an old one is never used again",
        event=(_GONE, Cause.DISCONNECTED),
        gap=Cause.DISCONNECTED,
    ),
)
