"""What must not leave the machine: which JSON keys hold it, and what it looks like. PURE."""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum


class Secret(StrEnum):
    """Kinds of secrets. Each kind is masked in its own way, see ``masks``."""

    ACCOUNT = "account"
    USERNAME = "username"
    USER_ID = "user_id"
    TOKEN = "token"
    MAC = "mac"
    HARDWARE = "hardware"
    ADDRESS = "address"
    ADDRESS6 = "address6"
    EMAIL = "email"
    PERSON = "person"
    SERVER = "server"


_KEYS: dict[Secret, str] = {
    Secret.ACCOUNT: "account accountid accountvan accountcode accounts acct acctid acctcode "
    "selectedaccount",
    Secret.USERNAME: "user username papername paperusername loginname credential wbid",
    Secret.USER_ID: "userid uid entityid customerid",
    Secret.TOKEN: "session sessionid sessiontoken token accesstoken refreshtoken oauthtoken "
    "authorization cookie setcookie api tst challenge challengeresponse nonce password passwd "
    "secret xsessuuid signature",
    Secret.MAC: "mac macaddress",
    Secret.HARDWARE: "hardwareinfo machineid deviceid",
    Secret.ADDRESS: "ip ipaddress clientip remoteip host hostname",
    Secret.EMAIL: "email emailaddress mail",
    Secret.PERSON: "fullname firstname lastname middlename holdername accounttitle accountalias "
    "alias aliases phone phonenumber street address",
    Secret.SERVER: "servername server",
}
_KIND_OF_KEY = {key: kind for kind, keys in _KEYS.items() for key in keys.split()}
_NOT_IN_KEYS = re.compile(r"[^a-z0-9]")

NOT_A_USER_ID = frozenset({"conid", "conidex", "underlyingconid", "underconid", "underlyingconids"})
"""Keys whose numbers are contracts, whatever else looks like them."""

PATTERNS: dict[Secret, str] = {
    Secret.EMAIL: r"[A-Za-z0-9._%+'-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}",
    Secret.MAC: r"(?<![0-9A-Fa-f])(?<![0-9A-Fa-f][:-])[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"
    r"(?![0-9A-Fa-f]|[:-][0-9A-Fa-f])",
    Secret.ADDRESS6: r"(?<![0-9A-Za-z])(?<![0-9A-Za-z][:.])"
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){1,6}:"
    r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{1,4}|(?<=::))(?![0-9A-Za-z]|[:.][0-9A-Fa-f])",
    Secret.ADDRESS: r"(?<![0-9.])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![0-9]|\.[0-9])",
    Secret.SERVER: r"(?<![A-Za-z0-9])Jif[A-Z][0-9]{3,}(?![A-Za-z0-9])",
    Secret.ACCOUNT: r"(?<![A-Za-z0-9])D?[A-Z][0-9]{6,12}[A-Z]?(?![A-Za-z0-9])",
    Secret.TOKEN: r"[A-Za-z0-9_+/=.~-]{16,}",
}
"""What secrets look like inside any text, in the order in which they are tried."""

PLAIN_WORDS = frozenset(
    ("all", "none", "null", "true", "false", "yes", "no", "ok", "unknown", "failed")
    + ("system", "sbd", "smd", "sts", "act", "tic", "ech", "hb", "ubd", "umd")
)
"""Words that stand under telling keys and tell nothing; replacing them would spoil messages."""

_PIECE = re.compile(r"[A-Za-z0-9_~-]+")
_HEXADECIMAL = re.compile(r"[0-9a-f-]{16,}|[0-9A-F-]{16,}")
_LONG_PIECE = 20
_MANY_DIGITS = 4
_DIGIT, _LOWER, _UPPER = re.compile("[0-9]"), re.compile("[a-z]"), re.compile("[A-Z]")


def kind_of_key(key: str) -> Secret | None:
    """What the values under this key are; spelling is ignored: ``USER_NAME`` is ``userName``."""
    return _KIND_OF_KEY.get(plain_key(key))


def plain_key(key: str) -> str:
    """Letters and digits of a key, in lower case."""
    return _NOT_IN_KEYS.sub("", key.lower())


def is_really(kind: Secret, text: str) -> bool:
    """Whether what a pattern has found is a secret of that kind, beyond its looks."""
    match kind:
        case Secret.ADDRESS | Secret.ADDRESS6:
            return _is_address(text)
        case Secret.TOKEN:
            return random_piece(text) is not None
        case _:
            return True


def _is_address(text: str) -> bool:
    """``10:00:00`` and ``10.40.1`` are none, and ``::`` names nobody."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return text != "::"


def random_piece(text: str) -> int | None:
    """Where the first piece of a run that nobody would write by hand begins."""
    pieces = _PIECE.finditer(text)
    return next((piece.start() for piece in pieces if _looks_random(piece[0])), None)


def _looks_random(piece: str) -> bool:
    """Long hexadecimal numbers, and long runs with digits and letters in disorder. Words, paths,
    topics, times and plain numbers are not like that."""
    digits = len(_DIGIT.findall(piece))
    lower, upper = _LOWER.search(piece) is not None, _UPPER.search(piece) is not None
    if _HEXADECIMAL.fullmatch(piece):
        return digits > 0 and (lower or upper)
    if len(piece) < _LONG_PIECE or not digits:
        return False
    return (lower and upper) or (digits >= _MANY_DIGITS and piece.isalnum() and (lower or upper))
