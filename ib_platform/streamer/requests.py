"""What goes out over the websocket, each with the event that records it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ib_platform.ibkr.messages import (
    subscribe_ladder,
    subscribe_quote,
    unsubscribe_ladders,
    unsubscribe_quote,
)
from ib_platform.states import Cause, StreamEventKind


@dataclass(frozen=True, slots=True)
class Request:
    """An event to record, and the text to send after it (None: nothing to send).

    Events about a ladder carry its contract and conid; events about a quote have them in their
    detail, since they begin no epoch.
    """

    kind: StreamEventKind
    text: str | None
    cause: Cause | None = None
    contract: str | None = None
    conid: int | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def requests_ladder(self) -> bool:
        return self.kind is StreamEventKind.SUBSCRIBE_REQUESTED and self.contract is not None


def ladder_request(account: str, key: str, conid: int, cause: Cause | None, why: str) -> Request:
    return Request(
        StreamEventKind.SUBSCRIBE_REQUESTED,
        subscribe_ladder(account, conid),
        cause,
        key,
        conid,
        {"topic": "sbd", "why": why},
    )


def quote_request(key: str, conid: int, why: str) -> Request:
    return Request(
        StreamEventKind.SUBSCRIBE_REQUESTED,
        subscribe_quote(conid),
        detail={"topic": "smd", "why": why, "contract": key, "conid": conid},
    )


def silence(key: str, conid: int, cause: Cause, reason: str | None) -> Request:
    """An event only: nothing comes of this ladder, and why."""
    detail = {"reason": reason} if reason else {}
    return Request(StreamEventKind.LADDER_SILENT, None, cause, key, conid, detail)


def end_ladders(
    account: str, conids: Mapping[str, int], cause: Cause | None, **detail: str
) -> list[Request]:
    """Events of these ladders' ends, with the one ``ubd`` that ends every ladder of the account:
    the others must be asked for again."""
    last = len(conids) - 1
    return [
        Request(
            StreamEventKind.UNSUBSCRIBED,
            unsubscribe_ladders(account) if position == last else None,
            cause,
            key,
            conid,
            {"topic": "ubd", **detail},
        )
        for position, (key, conid) in enumerate(conids.items())
    ]


def end_quotes(conids: Mapping[str, int]) -> list[Request]:
    return [
        Request(
            StreamEventKind.UNSUBSCRIBED,
            unsubscribe_quote(conid),
            detail={"topic": "umd", "contract": key, "conid": conid},
        )
        for key, conid in conids.items()
    ]


async def carry_out(
    requests: list[Request],
    record: Callable[[Request], None],
    send: Callable[[str], Awaitable[None]],
) -> None:
    """Record each request, then send it: no request may go out that the record does not know."""
    for request in requests:
        record(request)
        if request.text is not None:
            await send(request.text)
