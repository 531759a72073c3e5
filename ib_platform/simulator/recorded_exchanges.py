"""Recorded REST answers by what was asked. Pure; ``recorded_answers`` serves them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from urllib.parse import parse_qsl

from ib_platform.ibkr.capture_format import Exchange

_DATA = (
    "/trsrv/",
    "/contract/",
    "/iserver/contract/",
    "/iserver/secdef/",
    "/iserver/marketdata/snapshot",
    "/iserver/marketdata/history",
)
_OF_THE_SESSION = (401, 403, 429)
_Question = tuple[str, str, tuple[tuple[str, str], ...]]


class RecordedExchanges:
    """Answers by question. One that was recorded several times is given in that order, and the
    last of them again and again."""

    def __init__(self, exchanges: Iterable[Exchange]) -> None:
        self._answers: defaultdict[_Question, deque[Exchange]] = defaultdict(deque)
        for exchange in exchanges:
            status = exchange.status
            if status is None or status in _OF_THE_SESSION or status >= 500:
                continue
            if exchange.path.startswith(_DATA):
                question = _question(exchange.method, exchange.path, exchange.query)
                self._answers[question].append(exchange)

    def __len__(self) -> int:
        return sum(len(recorded) for recorded in self._answers.values())

    def take(self, method: str, path: str, query: str) -> Exchange | None:
        """The next answer to a question; None when it was never asked in the recording."""
        recorded = self._answers.get(_question(method, path, query))
        if recorded is None:
            return None
        return recorded.popleft() if len(recorded) > 1 else recorded[0]


def _question(method: str, path: str, query: str) -> _Question:
    """The order of a query's parts does not matter."""
    return method, path, tuple(sorted(parse_qsl(query, keep_blank_values=True)))
