"""What a kind of fault is: its name, whether it lasts, its parameters, and what it means.

The kinds themselves are described in ``faults_of_sessions``, ``faults_of_data``,
``faults_of_transport`` and ``faults_of_content``; ``fault_kinds`` brings them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Value = str | int | float | bool


class FaultKind(StrEnum):
    """Names as they stand in scenario files, at the control endpoint and in the documentation."""

    # session
    LOGIN_LOST = "login_lost"
    BROKERAGE_LOST = "brokerage_lost"
    AUTHENTICATION_STUCK = "authentication_stuck"
    INIT_REFUSED = "init_refused"
    NO_BRIDGE = "no_bridge"
    SSO_NOT_VALID = "sso_not_valid"
    NO_SESSION_TEXT = "no_session_text"
    COMPETING_LOGIN = "competing_login"
    SESSION_ID_CHANGED = "session_id_changed"
    USER_LOCKED = "user_locked"
    # login page
    LOGIN_PAGE = "login_page"
    LOGIN_FAILS = "login_fails"
    # market data
    NO_DATA = "no_data"
    SILENT_LADDER = "silent_ladder"
    LADDER_NOT_ENTITLED = "ladder_not_entitled"
    QUOTES_EXPIRED = "quotes_expired"
    LADDERS_EXPIRED = "ladders_expired"
    CONTRACT_GONE = "contract_gone"
    HOLIDAY = "holiday"
    TRADING_HALTED = "trading_halted"
    # websocket
    WEBSOCKET_CLOSED = "websocket_closed"
    CLOSED_DURING_SEND = "closed_during_send"
    HALF_OPEN = "half_open"
    NO_HEARTBEATS = "no_heartbeats"
    HEARTBEAT_SKEW = "heartbeat_skew"
    TEXT_FRAMES = "text_frames"
    # gateway and HTTP
    GATEWAY_DOWN = "gateway_down"
    GATEWAY_HANGS = "gateway_hangs"
    SLOW_ANSWERS = "slow_answers"
    HTTP_ERROR = "http_error"
    MAINTENANCE = "maintenance"
    ACCESS_DENIED = "access_denied"
    PENALTY_BOX = "penalty_box"
    REQUEST_LIMIT = "request_limit"
    EMPTY_TICKLE = "empty_tickle"
    # ladder content
    DUPLICATED_ROWS = "duplicated_rows"
    REORDERED_ROWS = "reordered_rows"
    CROSSED_BOOK = "crossed_book"
    RELAID_WINDOW = "relaid_window"
    LAID_AROUND_ZERO = "laid_around_zero"
    NUMERIC_VALUES = "numeric_values"
    # frames
    DUPLICATED_FRAMES = "duplicated_frames"
    UNKNOWN_TOPIC = "unknown_topic"
    ECHO_TEXT = "echo_text"
    TRUNCATED_JSON = "truncated_json"
    GIANT_FRAME = "giant_frame"
    NOTIFICATION = "notification"


class Subject(StrEnum):
    """Chapters of the list of kinds."""

    SESSION = "session"
    LOGIN_PAGE = "login page"
    DATA = "market data"
    WEBSOCKET = "websocket"
    GATEWAY = "gateway and HTTP"
    CONTENT = "ladder content"
    FRAMES = "frames"


@dataclass(frozen=True, slots=True)
class Parameter:
    """``default`` also gives the type. ``choices``: the only values, if there are any; ``least``
    and ``most``: the range of a number."""

    default: Value
    meaning: str
    choices: tuple[str, ...] = ()
    least: float | None = None
    most: float | None = None


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """``does``: at the simulator. ``at_ibkr``: when real IBKR does so, and what a user sees.

    ``row``: row of the table of failure modes in the notes on IBKR's Web API, "also" for its list
    of further injections, "observed" for what the recorded logs show. ``instant``: happens once
    and is over; else it lasts. ``by_symbol``: whether it can be limited to a contract symbol.
    """

    subject: Subject
    row: str
    does: str
    at_ibkr: str
    instant: bool = False
    by_symbol: bool = False
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


Specs = Mapping[FaultKind, FaultSpec]
