"""Kinds of faults of market data: entitlement, silence, expiry, contracts."""

from __future__ import annotations

from ib_platform.simulator.fault_spec import FaultKind, FaultSpec, Parameter, Specs, Subject

_DATA = Subject.DATA

SPECS: Specs = {
    FaultKind.NO_DATA: FaultSpec(
        _DATA,
        "7",
        "Ladders are silent, field 6509 has another value; session and heartbeats are well.",
        "The live user whose data is lent to the paper user has logged in on another device (N), "
        "data is delayed (D), or the yearly acknowledgement is missing (O). Nothing else tells.",
        by_symbol=True,
        parameters={
            "availability": Parameter(
                "N", "field 6509", ("N", "D", "DB", "O", "OB", "Y", "Z", "ZB", "i")
            )
        },
    ),
    FaultKind.SILENT_LADDER: FaultSpec(
        _DATA,
        "2",
        "Ladders send nothing; a new request of the ladder stays without an answer too.",
        "Heartbeats go on, the session is authenticated, and no row comes any more. A client "
        "that trusts its subscriptions does not notice.",
        by_symbol=True,
    ),
    FaultKind.LADDER_NOT_ENTITLED: FaultSpec(
        _DATA,
        "7",
        "Ladders send nothing, quotes go on and say real-time.",
        "The user has the exchange's top of book (L1) but not its depth (L2). IBKR's reaction to "
        "the request is not known; silence is the hardest one to tell.",
        by_symbol=True,
    ),
    FaultKind.QUOTES_EXPIRED: FaultSpec(
        _DATA,
        "10",
        "Quote subscriptions (smd) end without a word.",
        "A quote subscription ends after 15 minutes unless it is asked for again.",
        instant=True,
        by_symbol=True,
    ),
    FaultKind.LADDERS_EXPIRED: FaultSpec(
        _DATA,
        "10",
        "Ladder subscriptions (sbd) end without a word.",
        "Not known of IBKR: nobody has watched a ladder long enough. A client should survive it.",
        instant=True,
        by_symbol=True,
    ),
    FaultKind.CONTRACT_GONE: FaultSpec(
        _DATA,
        "also",
        "The front month is no longer listed, and its ladder is silent.",
        "The contract has expired or is about to: /trsrv/futures lists the next months only, and "
        "whoever streams the old one by number gets nothing.",
        by_symbol=True,
    ),
    FaultKind.HOLIDAY: FaultSpec(
        _DATA,
        "also",
        "The market is closed today: schedules list no session, ladders and quotes stand still.",
        "A holiday that no weekly pattern tells. Silence is right, and must not raise an alarm.",
        by_symbol=True,
    ),
    FaultKind.TRADING_HALTED: FaultSpec(
        _DATA,
        "also",
        "Quotes and ladders stand still; the last price, field 31, reads H and the price.",
        "A price limit was hit: the market is open, the session is well, nothing moves.",
        by_symbol=True,
    ),
}
