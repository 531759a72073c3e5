"""Bodies of IBKR's answers, as plain values: exact keys, IBKR's own spelling. Pure.

Sources: Web API page, section 2, and the forms of ``auth/status`` that the observed page lists.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from typing import Any

import msgspec

from ib_platform.config import PaperUser
from ib_platform.simulator.catalogue import SimulatedContract
from ib_platform.simulator.session import SessionStatus

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


def user_id(user: PaperUser) -> int:
    """A number that stays the same for a username, as IBKR's does."""
    return 100_000_000 + zlib.crc32(user.username.encode()) % 100_000_000


def auth_status(status: SessionStatus) -> Json:
    """``authStatus``: in full when authenticated, else with empty server information."""
    known = status.authenticated
    body: Json = {
        "authenticated": status.authenticated,
        "established": status.authenticated,
        "competing": status.competing,
        "connected": status.connected,
        "message": status.message,
        "MAC": MAC,
        "serverInfo": {
            "serverName": SERVER_NAME if known else None,
            "serverVersion": SERVER_VERSION if known else None,
        },
    }
    return body | {"hardware_info": _HARDWARE} if known else body


def ssodh_answer(status: SessionStatus) -> Json:
    """Answer of ``ssodh/init``; a session that is still starting says authenticated false."""
    return {
        "passed": True,
        "authenticated": status.authenticated,
        "connected": status.connected,
        "competing": status.competing,
        "hardware_info": _HARDWARE,
    }


def tickle(user: PaperUser, session_id: str, sso_expires_ms: int, status: SessionStatus) -> Json:
    return {
        "session": session_id,
        "ssoExpires": sso_expires_ms,
        "collission": False,
        "userId": user_id(user),
        "hmds": {"error": "no bridge"},
        "iserver": {"authStatus": auth_status(status)},
    }


def sso_validate(user: PaperUser, *, login_ms: int, accessed_ms: int, expires_ms: int) -> Json:
    """``LOGIN_TYPE`` 2 is paper; instants are unix milliseconds, EXPIRES is what remains."""
    return {
        "USER_ID": user_id(user),
        "USER_NAME": user.username,
        "RESULT": True,
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
        "LOGIN_TYPE": 2,
        "PAPER_USER_NAME": user.username,
        "features": {"env": "PROD", "realtime": True},
        "region": "NJ",
    }


def brokerage_accounts(user: PaperUser, session_id: str) -> Json:
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
        "isPaper": True,
    }


def portfolio_accounts(user: PaperUser) -> list[Json]:
    account = user.account
    parent = {
        "mmc": [],
        "accountId": "",
        "isMParent": False,
        "isMChild": False,
        "isMultiplex": False,
    }
    return [
        {
            "id": account,
            "accountId": account,
            "accountVan": account,
            "accountTitle": "",
            "displayName": account,
            "accountAlias": None,
            "accountStatus": 1_644_814_800_000,
            "currency": "USD",
            "type": "DEMO",
            "tradingType": "PMRGN",
            "ibEntity": "IBLLC-US",
            "clearingStatus": "O",
            "faclient": False,
            "covestor": False,
            "brokerageAccess": True,
            "parent": parent,
            "desc": account,
        }
    ]


def futures(months: Iterable[SimulatedContract]) -> list[Json]:
    """Entries of ``/trsrv/futures`` for one symbol, farthest first: IBKR does not sort them.

    Dates are integers YYYYMMDD."""
    ordered = sorted(months, key=lambda contract: contract.expiry, reverse=True)
    return [
        {
            "symbol": contract.product.symbol,
            "conid": contract.conid,
            "underlyingConid": contract.product.underlying_conid,
            "expirationDate": _day(contract),
            "ltd": _day(contract),
            "shortFuturesCutOff": _day(contract),
            "longFuturesCutOff": _day(contract),
        }
        for contract in ordered
    ]


def contract_info(contract: SimulatedContract) -> Json:
    product = contract.product
    return {
        "con_id": contract.conid,
        "symbol": product.symbol,
        "instrument_type": "FUT",
        "exchange": product.exchange,
        "local_symbol": contract.local_symbol,
        "trading_class": product.symbol,
        "valid_exchanges": product.exchange,
        "currency": "USD",
        "multiplier": product.multiplier,
        "maturity_date": f"{contract.expiry:%Y%m%d}",
        "expiry_full": f"{contract.expiry:%Y%m}",
        "contract_month": f"{contract.expiry:%Y%m}",
        "underlying_con_id": product.underlying_conid,
        "company_name": product.name,
        "r_t_h": False,
        "smart_available": False,
        "cfi_code": "",
        "cusip": None,
        "classifier": None,
        "text": None,
    }


def contract_rules(contract: SimulatedContract) -> Json:
    tick = float(contract.product.tick)
    return {
        "increment": tick,
        "incrementDigits": -int(contract.product.tick.as_tuple().exponent),
        "incrementRules": [{"lowerEdge": 0.0, "increment": tick}],
        "sizeIncrement": 1,
        "defaultSize": 1,
    }


def sts_args(user: PaperUser, status: SessionStatus) -> Json:
    return {
        "connected": status.connected,
        "authenticated": status.authenticated,
        "competing": status.competing,
        "message": status.message,
        "fail": "",
        "serverName": SERVER_NAME,
        "serverVersion": SERVER_VERSION,
        "username": user.username,
    }


def sts_pieces(before: SessionStatus, after: SessionStatus) -> list[Json]:
    """A change of the session as IBKR tells it: one message for each key that changed."""
    keys = ("connected", "authenticated", "competing", "message")
    return [
        {"topic": "sts", "args": {key: getattr(after, key)}}
        for key in keys
        if getattr(before, key) != getattr(after, key)
    ]


def encode(body: object) -> bytes:
    """JSON without spaces: clients in the field compare exact strings."""
    return msgspec.json.encode(body)


def _day(contract: SimulatedContract) -> int:
    return int(f"{contract.expiry:%Y%m%d}")
