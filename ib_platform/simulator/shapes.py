"""Bodies of IBKR's answers, as plain values: exact keys, IBKR's own spelling. Pure.

Sources: Web API page, section 2, and the forms of ``auth/status`` that the observed page lists.
"""

from __future__ import annotations

import zlib
from typing import Any

import msgspec

from ib_platform.simulator.session_states import SessionStatus
from ib_platform.simulator.users import SimulatedUser

Json = dict[str, Any]
SERVER_NAME = "SimZ00001"
SERVER_VERSION = "Build 10.45.1a, Jan 5, 2026 9:00:00 AM"
MAC = "02:00:00:00:00:01"
NO_BRIDGE: Json = {"error": "Bad Request: no bridge", "statusCode": 400}
INIT_REFUSED: Json = {
    "error": "There was an error processing the request. Please try again.",
    "statusCode": 500,
}
_HARDWARE = f"5afe0001|{MAC}"


def user_id(user: SimulatedUser) -> int:
    """A number that stays the same for a username, as IBKR's does."""
    return 100_000_000 + zlib.crc32(user.username.encode()) % 100_000_000


def auth_status(status: SessionStatus) -> Json:
    """``authStatus`` in its three observed forms: in full; connected without a session, with empty
    server information; and the bare one of four keys before any connection."""
    bare: Json = {
        "authenticated": status.authenticated,
        "competing": status.competing,
        "connected": status.connected,
        "MAC": MAC,
    }
    if not status.connected:
        return bare
    known = status.authenticated
    body = bare | {
        "established": known,
        "message": status.message,
        "serverInfo": {
            "serverName": SERVER_NAME if known else None,
            "serverVersion": SERVER_VERSION if known else None,
        },
    }
    return body | {"hardware_info": _HARDWARE} if known else body


def full_auth_status(status: SessionStatus) -> Json:
    """Answer of ``auth/status``: the same, with ``fail`` where there is a connection."""
    body = auth_status(status)
    return body | {"fail": status.fail} if status.connected else body


def one_user(user: SimulatedUser) -> Json:
    """``one/user``: a proof of paper that is independent of ``sso/validate``. The keys beside
    ``ispaper`` are our choice: only that one was reported."""
    return {
        "id": user_id(user),
        "username": user.username,
        "ispaper": user.is_paper,
        "accts": {user.account: {"isPaper": user.is_paper}},
    }


def ssodh_answer(status: SessionStatus) -> Json:
    """Answer of ``ssodh/init``; a session that is still starting says authenticated false."""
    return {
        "passed": True,
        "authenticated": status.authenticated,
        "connected": status.connected,
        "competing": status.competing,
        "hardware_info": _HARDWARE,
    }


def tickle(
    user: SimulatedUser, session_id: str, sso_expires_ms: int, status: SessionStatus
) -> Json:
    return {
        "session": session_id,
        "ssoExpires": sso_expires_ms,
        "collission": False,
        "userId": user_id(user),
        "hmds": {"error": "no bridge"},
        "iserver": {"authStatus": auth_status(status)},
    }


def sparse_tickle(body: Json) -> Json:
    """The same without the keys that are missing at times."""
    missing = ("ssoExpires", "collission", "userId")
    return {key: value for key, value in body.items() if key not in missing}


def sso_validate(
    user: SimulatedUser, *, login_ms: int, accessed_ms: int, expires_ms: int, result: bool = True
) -> Json:
    """``LOGIN_TYPE`` 2 is paper; instants are unix milliseconds, EXPIRES is what remains."""
    return {
        "USER_ID": user_id(user),
        "USER_NAME": user.username,
        "RESULT": result,
        "AUTH_TIME": login_ms,
        "SF_ENABLED": False,
        "IS_FREE_TRIAL": False,
        "CREDENTIAL": user.username,
        "IP": "127.0.0.1",
        "EXPIRES": expires_ms,
        "QUALIFIED_FOR_MOBILE_AUTH": None,
        "LANDING_APP": "UNIVERSAL",
        "IS_MASTER": False,
        "lastAccessed": accessed_ms,
        "LOGIN_TYPE": 2 if user.is_paper else 1,
        "PAPER_USER_NAME": user.username if user.is_paper else "",
        "features": {"env": "PROD", "realtime": True},
        "region": "NJ",
    }


def brokerage_accounts(user: SimulatedUser, session_id: str) -> Json:
    """``/iserver/accounts``; the websocket's ``act`` carries the same."""
    properties = {
        "hasChildAccounts": False,
        "supportsCashQty": True,
        "noFXConv": False,
        "isProp": False,
        "supportsFractions": True,
        "allowCustomerTime": False,
    }
    return {
        "accounts": [user.account],
        "acctProps": {user.account: properties},
        "aliases": {user.account: user.account},
        "allowFeatures": {
            "showGFIS": True,
            "snapshotRefreshTimeout": 30,
            "allowedAssetTypes": "STK,FUT,FOP",
        },
        "chartPeriods": {"FUT": ["*"]},
        "groups": [],
        "profiles": [],
        "selectedAccount": user.account,
        "serverInfo": {"serverName": SERVER_NAME, "serverVersion": SERVER_VERSION},
        "sessionId": f"{session_id[:8]}.00000001",
        "isFT": False,
        "isPaper": user.is_paper,
    }


def sts_args(user: SimulatedUser, status: SessionStatus) -> Json:
    return {
        "connected": status.connected,
        "authenticated": status.authenticated,
        "competing": status.competing,
        "message": status.message,
        "fail": status.fail,
        "serverName": SERVER_NAME,
        "serverVersion": SERVER_VERSION,
        "username": user.username,
    }


def sts_pieces(before: SessionStatus, after: SessionStatus) -> list[Json]:
    """A change of the session as IBKR tells it: one message for each key that changed."""
    keys = ("connected", "authenticated", "competing", "message", "fail")
    return [
        {"topic": "sts", "args": {key: getattr(after, key)}}
        for key in keys
        if getattr(before, key) != getattr(after, key)
    ]


def socket_error(topic: str, error: str) -> bytes:
    """The websocket's error object on the wire."""
    return encode({"error": error, "topic": topic})


def encode(body: object) -> bytes:
    """JSON without spaces: clients in the field compare exact strings."""
    return msgspec.json.encode(body)
