"""The closed lists of words that code, SQL, health payloads, Dagster and docs share."""

from __future__ import annotations

from enum import StrEnum


class PodState(StrEnum):
    """State of one paper user's pod (gateway and streamer together)."""

    STARTING = "STARTING"
    DOWN = "DOWN"
    NO_SSO = "NO_SSO"
    SSO_ONLY = "SSO_ONLY"
    AUTHENTICATED = "AUTHENTICATED"
    STREAMING = "STREAMING"
    COMPETING = "COMPETING"
    PENALTY = "PENALTY"
    MAINTENANCE = "MAINTENANCE"
    LOCKED = "LOCKED"
    REFUSED_LIVE = "REFUSED_LIVE"


class ContractState(StrEnum):
    """State of one contract's ladder inside a streamer."""

    WARMING_UP = "WARMING_UP"
    LIVE = "LIVE"
    SILENT = "SILENT"
    NO_DATA = "NO_DATA"
    MARKET_CLOSED = "MARKET_CLOSED"
    NOT_ASSIGNED = "NOT_ASSIGNED"


class Cause(StrEnum):
    """Why a span is missing (gap) or must not be trusted (suspect window)."""

    STREAMER_DIED = "streamer_died"
    GATEWAY_DIED = "gateway_died"
    DISCONNECTED = "disconnected"
    SESSION_LOST = "session_lost"
    COMPETING_LOGIN = "competing_login"
    NO_ENTITLEMENT = "no_entitlement"
    SILENT_LADDER = "silent_ladder"
    RESUBSCRIBED = "resubscribed"
    SUBSCRIPTION_EXPIRED = "subscription_expired"
    RATE_LIMITED = "rate_limited"
    MAINTENANCE = "maintenance"
    NOT_ASSIGNED = "not_assigned"
    SPOOL_DAMAGED = "spool_damaged"
    DISK_FULL = "disk_full"
    LATE_STAMPS = "late_stamps"
    CLOCK_STEP = "clock_step"
    QUARANTINED = "quarantined"
    CROSSED_BOOK = "crossed_book"
    UNDECODABLE = "undecodable"
    UNKNOWN = "unknown"


class StreamEventKind(StrEnum):
    """Kinds of rows in ``stream_events``; written by the streamer through its spool."""

    RUN_STARTED = "run_started"
    RUN_STOPPED = "run_stopped"
    RUN_RECOVERED = "run_recovered"
    CONNECTED = "connected"
    DISCONNECTED = "disconnected"
    SUBSCRIBE_REQUESTED = "subscribe_requested"
    UNSUBSCRIBED = "unsubscribed"
    SESSION_CHANGED = "session_changed"
    LADDER_SILENT = "ladder_silent"
    SPOOL_TORN = "spool_torn"
    FRAMES_LOST = "frames_lost"
    LATE_STAMPS = "late_stamps"
    CLOCK_STEP = "clock_step"
    CAPABILITY = "capability"
    BATCH_REFUSED = "batch_refused"
    BATCH_RESENT = "batch_resent"


class LadderMode(StrEnum):
    """What happens to the open ladders of a session when a further one is requested (unproven at
    IBKR): all go on, an earlier one stops, or the further one never comes."""

    MULTIPLEX = "multiplex"
    REPLACE = "replace"
    FIRST_WINS = "first_wins"


class SpoolFill(StrEnum):
    """How full a spool's budget is: less than 80 %, more, or spent, when frames are refused."""

    WELL = "well"
    ALARM = "alarm"
    SPENT = "spent"


class Verdict(StrEnum):
    """Headline of a quality report row, per trade date and contract."""

    AVAILABLE = "available"
    DEGRADED = "degraded"
    PENDING = "pending"
    MISSING = "missing"


class FrameSource(StrEnum):
    """Who sends the frames of a streamer run: IBKR, a simulated market, or a recorded capture."""

    IBKR = "ibkr"
    SIMULATED = "simulated"
    REPLAYED = "replayed"


class CheckVerdict(StrEnum):
    """What a quality check says of one contract and trade date. ``report``: a count that nobody
    judges; ``not_applicable``: it makes no sense there; ``unknown``: it could not be measured."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    REPORT = "report"
    NOT_APPLICABLE = "not_applicable"
    UNKNOWN = "unknown"
