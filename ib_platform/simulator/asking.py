"""What clients ask for: parameters and bodies as they come, checked, and the refusals.

Nothing a client sends may end in a traceback: whatever cannot be understood is a ``Refusal``, which
``answering`` turns into an error body like IBKR's (Web API page, section 2.4).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import wraps
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from aiohttp import web

from ib_platform.simulator.guard import Handler, reply

_CONID = re.compile(r"([0-9]{1,10})(?:@[A-Za-z0-9.:_]{1,20})?", re.ASCII)
_FALSE = ("false", "0", "")
_SHOWN = 40


class Refusal(Exception):
    """Answered with ``status`` and ``{"error": text, "statusCode": status}``."""

    def __init__(self, text: str, status: int = 400) -> None:
        super().__init__(text)
        self.status = status


def answering(handler: Handler) -> Handler:
    """The handler, with its refusals as answers."""

    @wraps(handler)
    async def answer(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except Refusal as refusal:
            body = {"error": str(refusal), "statusCode": refusal.status}
            return reply(body, refusal.status)

    return answer


def conid_of(value: object) -> int:
    """``700000001``, ``"700000001"`` or ``"700000001@CME"``. Raises Refusal."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    match = _CONID.fullmatch(str(value)) if is_number or isinstance(value, str) else None
    if match is None:
        raise Refusal(f"Bad Request: not a conid: {str(value)[:_SHOWN]!r}")
    return int(match[1])


def conids_of(text: str, most: int) -> dict[str, int]:
    """Conids by the words that they were asked for with, each once. Raises Refusal for none, for
    too many and for anything else."""
    words = dict.fromkeys(word.strip() for word in text.split(",") if word.strip())
    if not words:
        raise Refusal("Bad Request: conids required")
    if len(words) > most:
        raise Refusal(f"Bad Request: {len(words)} conids, at most {most} are allowed")
    return {word: conid_of(word) for word in words}


def required(values: Mapping[str, Any], *names: str) -> str:
    """The first of ``names`` that is there, as text. Raises Refusal."""
    for name in names:
        value = values.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    raise Refusal(f"Bad Request: {names[0]} required")


def says(value: object, default: bool = False) -> bool:
    """A switch, as JSON or as text."""
    if value is None:
        return default
    return value is True or (isinstance(value, str) and value.lower() not in _FALSE)


async def body_of(request: web.Request) -> Mapping[str, Any]:
    """The object in a JSON or form body; empty for no body. Raises Refusal for anything else."""
    raw = await request.read()
    if not raw.strip():
        return {}
    try:
        body = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        form = dict(parse_qsl(raw.decode("utf-8", "replace")))
        if not form:
            raise Refusal("Bad Request: the body is neither JSON nor a form") from None
        return form
    if not isinstance(body, dict):
        raise Refusal("Bad Request: the body is not a JSON object")
    return body
