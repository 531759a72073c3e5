"""What a websocket is told first, and whose session it claims. Pure.

``system`` with the username, ``act`` with the accounts, ``sts`` with the session's state, in this
order on every recorded connection (64 of 64). The observed page has ``act`` in parts too, and
clients must live with any order, so both are parameters.
"""

from __future__ import annotations

import re
from random import Random

import msgspec

from ib_platform.simulator import shapes
from ib_platform.simulator.parameters import Share, parameters
from ib_platform.simulator.session_states import SessionStatus
from ib_platform.simulator.shapes import Json
from ib_platform.simulator.users import SimulatedUser

WAITING = b'{"message":"waiting for session"}'
_LATER_KEYS = ("acctProps", "aliases", "allowFeatures", "chartPeriods")
"""What a second ``act`` brings when it comes in parts."""
_SESSION_COOKIE = re.compile(r"(?:^|;)\s*api=(\{[^}]*\}|[^;]*)")


@parameters
class GreetingParameters:
    """``act_in_parts_share``: how often a second ``act`` brings the rest of the keys.
    ``shuffled``: the messages come in any order. ``require_session_cookie``: a websocket without
    the cookie ``api`` of the current session waits for a session for ever; a gateway knows its
    session by itself, so that this is off."""

    act_in_parts_share: Share = 0.0
    shuffled: bool = False
    require_session_cookie: bool = False


def greeting(
    user: SimulatedUser,
    session_id: str,
    status: SessionStatus,
    parameters: GreetingParameters,
    luck: Random,
) -> list[Json]:
    """The messages of a greeting, in the order in which they are sent."""
    accounts = shapes.brokerage_accounts(user, session_id)
    messages: list[Json] = [
        {"topic": "system", "success": user.username, "isFT": False, "isPaper": user.is_paper}
    ]
    if luck.random() < parameters.act_in_parts_share:
        first = {key: value for key, value in accounts.items() if key not in _LATER_KEYS}
        later = {key: accounts[key] for key in _LATER_KEYS if key in accounts}
        messages += [{"topic": "act", "args": first}, {"topic": "act", "args": later}]
    else:
        messages.append({"topic": "act", "args": accounts})
    messages.append({"topic": "sts", "args": shapes.sts_args(user, status)})
    if parameters.shuffled:
        luck.shuffle(messages)
    return messages


def claimed_session(cookies: str) -> str | None:
    """Session id in the cookie ``api``: ``api={"session":"<id>"}`` or ``api=<id>``; None if there
    is none. ``cookies`` is the header as it came: the first form is no legal cookie, and parsers
    of cookies lose it."""
    match = _SESSION_COOKIE.search(cookies)
    if match is None:
        return None
    text = match[1].strip().strip('"')
    if not text.startswith("{"):
        return text
    try:
        session = msgspec.json.decode(text, type=dict[str, str]).get("session")
    except (msgspec.DecodeError, UnicodeError):
        return None
    return session
