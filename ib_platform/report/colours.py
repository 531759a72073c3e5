"""Colours of the page: one per cause, told apart by people who see few colours too.

Hues are those of Okabe and Ito (2008) and of Paul Tol's muted scheme.
"""

from __future__ import annotations

from collections.abc import Mapping

from ib_platform.marketdata.phases import MarketPhase
from ib_platform.states import Cause, CheckVerdict, Verdict

RECORDED = "#2a7f62"
BID, ASK, PRICE, LAST = "#0072b2", "#d55e00", "#5b6470", "#1b1f24"
INK, FAINT, GRID = "#1b1f24", "#6b7480", "#e3e6ea"
OF_CAUSE: Mapping[str, str] = {
    Cause.STREAMER_DIED: "#d55e00",
    Cause.GATEWAY_DIED: "#882255",
    Cause.DISCONNECTED: "#0072b2",
    Cause.SESSION_LOST: "#332288",
    Cause.COMPETING_LOGIN: "#aa4499",
    Cause.NO_ENTITLEMENT: "#661100",
    Cause.SILENT_LADDER: "#e69f00",
    Cause.RESUBSCRIBED: "#56b4e9",
    Cause.SUBSCRIPTION_EXPIRED: "#88ccee",
    Cause.RATE_LIMITED: "#999933",
    Cause.MAINTENANCE: "#b4bbc4",
    Cause.NOT_ASSIGNED: "#d5dae0",
    Cause.SPOOL_DAMAGED: "#cc6677",
    Cause.DISK_FULL: "#6699cc",
    Cause.LATE_STAMPS: "#ddcc77",
    Cause.CLOCK_STEP: "#117733",
    Cause.QUARANTINED: "#44aa99",
    Cause.CROSSED_BOOK: "#cc79a7",
    Cause.UNDECODABLE: "#f0e442",
    Cause.UNKNOWN: "#000000",
}
OF_PHASE: Mapping[str, str] = {
    MarketPhase.OPEN: "#dcefe6",
    MarketPhase.PRE_OPEN: "#fdf1d0",
    MarketPhase.MAINTENANCE: "#eceff2",
    MarketPhase.EARLY_CLOSE: "#e4dff0",
    MarketPhase.CLOSED: "#eceff2",
    MarketPhase.HOLIDAY: "#e4dff0",
    MarketPhase.HALTED: "#fbe0dc",
}
OF_VERDICT: Mapping[str, str] = {
    Verdict.AVAILABLE: "good",
    Verdict.DEGRADED: "fair",
    Verdict.PENDING: "plain",
    Verdict.MISSING: "bad",
    CheckVerdict.PASS: "good",
    CheckVerdict.WARN: "fair",
    CheckVerdict.FAIL: "bad",
    CheckVerdict.REPORT: "plain",
    CheckVerdict.NOT_APPLICABLE: "plain",
    CheckVerdict.UNKNOWN: "fair",
}
"""Class in the page's style sheet, by verdict of a date and of a check."""
