"""One book at one instant: the last state before it, and whether that was still the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ib_platform.marketdata.calendar import trade_dates_between
from ib_platform.research.contracts import NamedContract
from ib_platform.research.selection import final_dates, from_record
from ib_platform.research.span import as_text, to_datetime, trade_date_at
from ib_platform.states import Cause
from ib_platform.warehouse.late_inputs import LOOK_BACK
from ib_platform.warehouse.spans import SECOND
from ib_platform.warehouse.sql import query

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

_LAST_STATE = """
SELECT *, toUnixTimestamp64Nano(received_at) AS received_at_ns
FROM {source}
WHERE conid = {{conid:UInt64}} AND trade_date = {{day:Date}}
  AND received_at <= {{at:DateTime64(9, 'UTC')}}
ORDER BY received_at DESC, seq DESC LIMIT 1
"""
_GAPS = """
SELECT cause, begin, end FROM gaps
WHERE trade_date = {day:Date} AND begin <= {at:DateTime64(9, 'UTC')}
  AND end > {at:DateTime64(9, 'UTC')}
  AND if({key:String} = '', conid = {conid:UInt64}, contract = {key:String})
ORDER BY begin LIMIT 1
"""
_FOLLOWED = """
SELECT toUnixTimestamp64Nano(end) FROM spells
WHERE trade_date = {day:Date} AND conid = {conid:UInt64} AND run_id = {run_id:String}
  AND epoch = {epoch:UInt32}
"""
_DOUBTS = """
SELECT DISTINCT cause FROM suspect_windows
WHERE trade_date IN {days:Array(Date)} AND conid = {conid:UInt64} AND run_id = {run_id:String}
  AND begin <= {at:DateTime64(9, 'UTC')}
  AND (end > {received_at:DateTime64(9, 'UTC')} OR begin = {received_at:DateTime64(9, 'UTC')})
ORDER BY cause
"""


@dataclass(frozen=True)
class BookGap:
    """A gap: nothing was recorded in [begin, end), UTC to the microsecond."""

    cause: Cause
    begin: datetime
    end: datetime


@dataclass(frozen=True)
class BookState:
    """A row of ``depth``. ``received_at`` is UTC to the microsecond, ``received_at_ns`` is exact.

    ``sizes``: signed size by price from the highest, bid > 0, ask < 0; prices without a size are
    left out. ``suspect``: itself, or a suspect window that reaches from it to the instant asked
    for; ``doubts`` are the causes of the latter.
    """

    received_at: datetime
    received_at_ns: int
    age_seconds: float
    sizes: dict[Decimal, int]
    tick: Decimal
    best_bid: Decimal | None
    best_ask: Decimal | None
    role: str
    epoch: int
    window: int
    run_id: str
    paper_user: str
    seq: int
    two_sided: bool
    crossed: bool
    locked: bool
    complete: bool
    suspect: bool
    doubts: tuple[Cause, ...]


@dataclass(frozen=True)
class Book:
    """The answer of ``book_at``.

    ``known``: the ladder was being followed at ``at``, so that ``state`` was the book then.
    Otherwise ``why_unknown`` is a sentence, ``gap`` the gap that ``at`` lies in, if it does, and
    ``state`` the last one before, if there is one in the week before.
    """

    contract: str
    conid: int
    at: datetime
    state: BookState | None
    gap: BookGap | None
    why_unknown: str | None

    @property
    def known(self) -> bool:
        return self.why_unknown is None


def read_book(client: Client, contract: NamedContract, at: int) -> Book:
    """The book of ``contract`` at ``at``, nanoseconds since the UTC epoch."""
    day = trade_date_at(at)
    conid = contract.conid_on(day)
    bound = {"conid": conid, "day": day, "at": as_text(at), "key": contract.key or ""}
    gap = _gap(client.query(_GAPS, bound).result_rows)
    row = _last_row(client, conid, day, at)
    state = None if row is None else _state(client, row, day, at)
    followed = None if row is None else _followed_until(client, row, bound)
    return Book(
        contract.name, conid, to_datetime(at), state, gap, _why_unknown(at, state, gap, followed)
    )


def _why_unknown(
    at: int, state: BookState | None, gap: BookGap | None, followed_until: int | None
) -> str | None:
    if gap is not None:
        return f"a gap from {gap.begin.isoformat()} to {gap.end.isoformat()}: {gap.cause.value}"
    if state is None:
        return "no book state was recorded in the week before"
    if at == state.received_at_ns or (followed_until is not None and at < followed_until):
        return None
    if followed_until is None:
        return "no build says yet whether the ladder was still followed"
    return (
        f"the ladder was followed until {to_datetime(followed_until).isoformat()}, as far as built"
    )


def _last_row(client: Client, conid: int, day: date, at: int) -> dict[str, Any] | None:
    final = final_dates(client)
    for earlier in _days_back(day):
        bound = {"conid": conid, "day": earlier, "at": as_text(at)}
        source = "depth"
        if earlier not in final:
            source, bound = f"({query('depth')})", bound | from_record(earlier)
        rows = list(client.query(_LAST_STATE.format(source=source), bound).named_results())
        if rows:
            return rows[0]
    return None


def _days_back(day: date) -> Iterator[date]:
    first = datetime.combine(day - LOOK_BACK, datetime.min.time(), UTC)
    last = datetime.combine(day, datetime.min.time(), UTC)
    yield from reversed(list(trade_dates_between(first, last)))


def _state(client: Client, row: dict[str, Any], day: date, at: int) -> BookState:
    received = row["received_at_ns"]
    doubts = client.query(
        _DOUBTS,
        {
            "days": sorted({row["trade_date"], day}),
            "at": as_text(at),
            "received_at": as_text(received),
            **{name: row[name] for name in ("conid", "run_id")},
        },
    ).result_rows
    causes = tuple(Cause(cause) for (cause,) in doubts)
    names = (
        "tick", "best_bid", "best_ask", "role", "epoch", "window", "run_id", "paper_user", "seq",
        "two_sided", "crossed", "locked", "complete",
    )  # fmt: skip
    return BookState(
        received_at=to_datetime(received),
        received_at_ns=received,
        age_seconds=(at - received) / SECOND,
        sizes={
            row["top_price"] - number * row["tick"]: size
            for number, size in enumerate(row["sizes"])
            if size
        },
        suspect=row["suspect"] or bool(causes),
        doubts=causes,
        **{name: row[name] for name in names},
    )


def _followed_until(client: Client, row: dict[str, Any], bound: dict[str, Any]) -> int | None:
    keys = {name: row[name] for name in ("run_id", "epoch")}
    ends = client.query(_FOLLOWED, {**bound, **keys}).result_rows
    return max((end for (end,) in ends), default=None)


def _gap(rows: Sequence[Sequence[Any]]) -> BookGap | None:
    if not rows:
        return None
    cause, begin, end = rows[0]
    return BookGap(Cause(cause), _aware(begin), _aware(end))


def _aware(instant: datetime) -> datetime:
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
