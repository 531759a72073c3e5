"""When a product's continuous series changes from one contract to the next. PURE.

The rule is the one by which ``front`` is recorded (see ``roll``), applied to every contract that
the record knows. A series changes at the border of a trade date only, and never goes back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from ib_platform.marketdata.contracts import FutureMonth

Rule = Literal["last_trade", "volume"]
_FRONT, _NEXT = "front", "next"


@dataclass(frozen=True, slots=True)
class Resolution:
    """``word`` (``front``, ``next`` or ``2026-12``) meant ``contract`` on ``trade_date``, as found
    out at ``resolved_at``."""

    word: str
    contract: FutureMonth
    trade_date: date
    resolved_at: datetime


@dataclass(frozen=True, slots=True)
class PlannedRoll:
    """From the start of ``roll_date`` on, the series is ``contract``. ``previous``: None where the
    series begins. ``reason``: why on this date, for people."""

    roll_date: date
    previous: FutureMonth | None
    contract: FutureMonth
    rule: Rule
    reason: str


def plan_rolls(
    resolutions: Sequence[Resolution], rule: Rule, days_before_last_trade: int, today: date
) -> list[PlannedRoll]:
    """The rolls of one product up to ``today`` (a trade date), ascending; the first one begins the
    series.

    ``last_trade``: a contract is left on the first trade date on which fewer than
    ``days_before_last_trade`` days are left until its last trading day. The contracts are those
    that ``front`` or ``next`` ever meant; where neither is recorded, those of all months.

    ``volume``: what ``front`` meant on each trade date, since it was the streamer that compared the
    volumes then. Without a record of ``front`` the calendar decides, and the reason says so.
    """
    fronts = _front_by_date(resolutions)
    if rule == "volume" and fronts:
        return [roll for roll in _recorded(fronts) if roll.roll_date <= today]
    note = " (rule volume, but front was not recorded)" if rule == "volume" else ""
    followed = [r for r in resolutions if r.word in (_FRONT, _NEXT)] or resolutions
    planned = _by_calendar(followed, days_before_last_trade, note)
    return [roll for roll in planned if roll.roll_date <= today]


def next_trade_date(day: date) -> date:
    """The first trade date after ``day``: Monday to Friday."""
    following = day + timedelta(days=1)
    saturday = 5
    over_the_weekend = 7 - following.weekday() if following.weekday() >= saturday else 0
    return following + timedelta(days=over_the_weekend)


def _by_calendar(resolutions: Sequence[Resolution], days: int, note: str) -> Iterator[PlannedRoll]:
    previous: FutureMonth | None = None
    begin = min((r.trade_date for r in resolutions), default=date.max)
    for contract in _contracts(resolutions):
        last = contract.last_day - timedelta(days=days)
        if last < begin:
            # The rule has left it before the series comes to it: it was never the front month.
            continue
        reason = "the series begins: first trade date on which the rule's contract is recorded"
        if previous is not None:
            reason = (
                f"{_name(previous)} trades until {previous.last_day}, and fewer than {days} days "
                "are left"
                if days
                else f"{_name(previous)} has traded for the last time on {previous.last_day}"
            )
        yield PlannedRoll(begin, previous, contract, "last_trade", reason + note)
        previous, begin = contract, next_trade_date(last)


def _recorded(fronts: Sequence[Resolution]) -> Iterator[PlannedRoll]:
    previous: FutureMonth | None = None
    for front in fronts:
        contract = front.contract
        if previous is not None and contract.last_day <= previous.last_day:
            # Another paper user may have decided anew, and otherwise: a series never goes back.
            continue
        reason = "the series begins: first trade date on which front is recorded"
        if previous is not None:
            reason = (
                f"from here on front meant {_name(contract)}: it had traded more than "
                f"{_name(previous)}, or {_name(previous)} had come to its latest day"
            )
        yield PlannedRoll(front.trade_date, previous, contract, "volume", reason)
        previous = contract


def _front_by_date(resolutions: Sequence[Resolution]) -> list[Resolution]:
    """What ``front`` meant on each trade date, ascending: the last resolution of a date counts."""
    fronts = sorted(
        (r for r in resolutions if r.word == _FRONT), key=lambda r: (r.trade_date, r.resolved_at)
    )
    return list({r.trade_date: r for r in fronts}.values())


def _contracts(resolutions: Sequence[Resolution]) -> list[FutureMonth]:
    """Each contract once, by last trading day: what is known about it last counts."""
    newest = sorted(resolutions, key=lambda r: r.resolved_at)
    contracts = {r.contract.conid: r.contract for r in newest}.values()
    return sorted(contracts, key=lambda c: (c.last_day, c.conid))


def _name(contract: FutureMonth) -> str:
    return f"{contract.symbol} {contract.month}"
