"""Texts sent over the gateway's websocket, and the control messages that come back.

Sources: ``ibkr_ladder_observed.md`` (what real traffic looks like) and ``ibkr_web_api.md`` section
3. Nothing here raises on odd input: an unreadable message is None, an unreadable field is None.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import msgspec

from ib_platform.marketdata.quotes import QUOTE_FIELDS

KEEP_ALIVE = "tic"
"""Keeps the websocket of an otherwise silent client open; at least once a minute."""


def subscribe_ladder(account: str, conid: int) -> str:
    """Asks for the price ladder of ``conid``. Sent again, it brings a new full frame."""
    return f"sbd+{account}+{conid}"


def unsubscribe_ladders(account: str) -> str:
    """Ends all ladders of the account: there is no way to end just one."""
    return f"ubd+{account}"


def subscribe_quote(conid: int) -> str:
    """Asks for the quote fields that we record; the subscription ends by itself after 15 min."""
    return f"smd+{conid}+{json.dumps({'fields': list(QUOTE_FIELDS)}, separators=(',', ':'))}"


def unsubscribe_quote(conid: int) -> str:
    return f"umd+{conid}+{{}}"


class SessionStatus(msgspec.Struct, frozen=True):
    """State of the brokerage session; None = not said.

    Both the answer of ``auth/status`` and the pieces of ``sts`` messages are of this shape.
    """

    authenticated: bool | None = None
    connected: bool | None = None
    competing: bool | None = None
    message: str | None = None
    fail: str | None = None

    def merged_with(self, piece: SessionStatus) -> SessionStatus:
        """This state, with what ``piece`` says put over it: ``sts`` comes in pieces."""
        return SessionStatus(
            *(
                old if new is None else new
                for old, new in zip(
                    msgspec.structs.astuple(self), msgspec.structs.astuple(piece), strict=True
                )
            )
        )

    @property
    def usable(self) -> bool:
        """Whether market data may be requested: authenticated, connected and not competing."""
        return bool(self.authenticated) and self.connected is not False and not self.competing


def session_status(fields: object) -> SessionStatus:
    """Session state out of a decoded JSON object; fields of another type count as not said."""
    if not isinstance(fields, dict):
        return SessionStatus()

    def flag(key: str) -> bool | None:
        return value if isinstance(value := fields.get(key), bool) else None

    def text(key: str) -> str | None:
        return value if isinstance(value := fields.get(key), str) else None

    return SessionStatus(
        authenticated=flag("authenticated"),
        connected=flag("connected"),
        competing=flag("competing"),
        message=text("message"),
        fail=text("fail"),
    )


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """``system`` message that comes every 10 s. ``sent_ms``: the server's clock, unix ms."""

    sent_ms: int


@dataclass(frozen=True, slots=True)
class Welcome:
    """First ``system`` message of a connection: whose login it is. None: it does not say."""

    is_paper: bool | None
    username: str | None = None


def read_control(payload: bytes) -> Heartbeat | Welcome | SessionStatus | None:
    """Meaning of a ``system`` or ``sts`` message; None for every other message."""
    try:
        message = msgspec.json.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    if message.get("topic") == "sts":
        return session_status(message.get("args"))
    if message.get("topic") != "system":
        return None
    sent_ms, is_paper = message.get("hb"), message.get("isPaper")
    if isinstance(sent_ms, int) and not isinstance(sent_ms, bool):
        return Heartbeat(sent_ms)
    username = message.get("success")
    return Welcome(
        is_paper if isinstance(is_paper, bool) else None,
        username if isinstance(username, str) else None,
    )
