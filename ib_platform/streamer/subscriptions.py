"""Which requests to send over the websocket, and when. PURE planning, and a thin sender.

A request that is sent too early is dropped silently by the gateway, and a ladder may fall silent
while heartbeats go on (observed page; reference section 3.6): so what was asked for is compared
with what arrives, again and again. A ladder is re-requested only when it is silent, since that
costs about 3 s of its deeper levels. Ending one ladder needs the account-wide ``ubd``, which ends
all of them: the remaining ones are asked for again.
"""

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

ANSWER_DUE = 10.0
"""A ladder that has sent nothing this long after its request is asked for again."""
_LONGEST_PATIENCE = 60.0
QUOTE_RENEWAL = 540.0
"""Quotes end by themselves after 15 minutes; they are renewed after 9."""


@dataclass(frozen=True, slots=True)
class LadderSight:
    """What the tracker sees of a ladder. ``last_frame``: monotonic seconds, None before any.
    ``silent``: nothing came although the market is open and something was due."""

    last_frame: float | None
    market_open: bool
    silent: bool


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


@dataclass
class _Open:
    """A ladder that was asked for on this connection."""

    conid: int
    asked_at: float
    asked_times: int = 1
    renewal: Cause | None = None
    silence_reported: bool = False
    quote_asked_at: float | None = None

    def answered(self, sight: LadderSight) -> bool:
        return sight.last_frame is not None and sight.last_frame >= self.asked_at

    def patience(self) -> float:
        return float(min(ANSWER_DUE * 2 ** (self.asked_times - 1), _LONGEST_PATIENCE))


class Subscriptions:
    """Ladders and quotes of one account: desired, asked for, and what to do next."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._desired: dict[str, int] = {}
        self._open: dict[str, _Open] = {}
        self._interrupted: dict[str, Cause] = {}

    def desire(self, conids: Mapping[str, int]) -> None:
        """Contract keys to stream from now on, and what they resolved to."""
        self._desired = dict(conids)

    def forget(self, cause: Cause | None = None) -> None:
        """The connection or the session ended: the server has forgotten every subscription.

        The next requests of the ladders that were open name the ``cause``.
        """
        if cause is not None:
            self._interrupted.update(dict.fromkeys(self._open, cause))
        self._open.clear()

    def renew(self, cause: Cause) -> None:
        """Ask again for every open ladder with the next plan: its book is not to be trusted."""
        for ladder in self._open.values():
            ladder.renewal = cause

    def plan(self, now: float, sights: Mapping[str, LadderSight]) -> list[Request]:
        """What to send now (monotonic seconds). The plan counts as carried out."""
        requests = self._remove_unwanted(now)
        for key, conid in self._desired.items():
            ladder = self._open.get(key)
            if ladder is None:
                ladder = self._open[key] = _Open(conid, now)
                cause = self._interrupted.pop(key, None)
                requests.append(self._ladder_request(key, conid, cause, "new"))
            elif ladder.renewal is not None:
                requests.append(self._ladder_request(key, conid, ladder.renewal, "renewal"))
                ladder.renewal, ladder.asked_at, ladder.asked_times = None, now, 1
            elif (sight := sights.get(key)) is not None:
                requests += self._watch(key, ladder, sight, now)
            if ladder.quote_asked_at is None or now - ladder.quote_asked_at >= QUOTE_RENEWAL:
                requests.append(
                    _quote_request(key, conid, renewed=ladder.quote_asked_at is not None)
                )
                ladder.quote_asked_at = now
        return requests

    def farewell(self) -> list[Request]:
        """Everything that ends this connection's subscriptions."""
        requests = self._unsubscribe(list(self._open), cause=None)
        self._open.clear()
        return requests

    def _remove_unwanted(self, now: float) -> list[Request]:
        unwanted = [
            key for key, open_ in self._open.items() if self._desired.get(key) != open_.conid
        ]
        requests = self._unsubscribe(unwanted, Cause.NOT_ASSIGNED)
        for key in unwanted:
            if key in self._desired:
                # The contract has rolled: its next request follows at once and says why.
                self._interrupted[key] = Cause.RESUBSCRIBED
            del self._open[key]
        if unwanted:
            for key, ladder in self._open.items():
                ladder.asked_at, ladder.asked_times = now, 1
                cause = Cause.RESUBSCRIBED
                requests.append(
                    self._ladder_request(key, ladder.conid, cause, "ended_with_another")
                )
        return requests

    def _unsubscribe(self, keys: list[str], cause: Cause | None) -> list[Request]:
        requests = []
        for position, key in enumerate(keys):
            last = position == len(keys) - 1
            requests.append(
                Request(
                    StreamEventKind.UNSUBSCRIBED,
                    unsubscribe_ladders(self._account) if last else None,
                    cause,
                    key,
                    self._open[key].conid,
                    {"topic": "ubd"},
                )
            )
        for key in keys:
            conid = self._open[key].conid
            detail = {"topic": "umd", "contract": key, "conid": conid}
            text = unsubscribe_quote(conid)
            requests.append(Request(StreamEventKind.UNSUBSCRIBED, text, detail=detail))
        return requests

    def _watch(self, key: str, ladder: _Open, sight: LadderSight, now: float) -> list[Request]:
        """Ask again for a ladder that does not answer or has fallen silent in open hours."""
        if not sight.market_open:
            return []
        requests = []
        if not sight.silent:
            ladder.silence_reported = False
        elif not ladder.silence_reported:
            ladder.silence_reported = True
            cause = Cause.SILENT_LADDER
            kind = StreamEventKind.LADDER_SILENT
            requests.append(Request(kind, None, cause, key, ladder.conid))
        if ladder.answered(sight):
            due = sight.silent
            ladder.asked_times = 0 if due else 1
            why = "silent"
        else:
            due = now - ladder.asked_at >= ladder.patience()
            why = "no_answer"
        if due:
            ladder.asked_at = now
            ladder.asked_times += 1
            requests.append(self._ladder_request(key, ladder.conid, Cause.SILENT_LADDER, why))
        return requests

    def _ladder_request(self, key: str, conid: int, cause: Cause | None, why: str) -> Request:
        return Request(
            StreamEventKind.SUBSCRIBE_REQUESTED,
            subscribe_ladder(self._account, conid),
            cause,
            key,
            conid,
            {"topic": "sbd", "why": why},
        )


def _quote_request(key: str, conid: int, *, renewed: bool) -> Request:
    return Request(
        StreamEventKind.SUBSCRIBE_REQUESTED,
        subscribe_quote(conid),
        detail={
            "topic": "smd",
            "why": "renewal" if renewed else "new",
            "contract": key,
            "conid": conid,
        },
    )


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
