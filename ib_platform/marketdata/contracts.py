"""From a product and a month word to one futures contract. PURE.

Source of the rows: ``GET /trsrv/futures`` (``ibkr_web_api.md`` section 2.2): dates are integers
YYYYMMDD, rows come unsorted, only contracts that have not expired are listed, and an unknown symbol
is absent or empty.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import msgspec

from ib_platform.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class FutureMonth:
    """One contract of a futures product. ``last_trade``: the last day it trades, if said."""

    symbol: str
    conid: int
    expiration: date
    last_trade: date | None = None

    @property
    def last_day(self) -> date:
        """Last day on which it can be recorded."""
        return self.last_trade or self.expiration

    @property
    def month(self) -> str:
        """Month of the expiration date, like ``2026-12``. It is not always the delivery month:
        crude oil for December expires in November."""
        return f"{self.expiration:%Y-%m}"


@dataclass(frozen=True, slots=True)
class ContractKey:
    """Parts of a contract key ``SYMBOL.EXCHANGE.month``."""

    symbol: str
    exchange: str
    month: str

    @classmethod
    def parse(cls, key: str) -> ContractKey:
        """Raises ConfigurationError for anything but three parts."""
        parts = key.split(".")
        if len(parts) != 3 or not all(parts):
            raise ConfigurationError(
                f"{key!r} is not a contract key; it looks like CL.NYMEX.front or ES.CME.2026-12"
            )
        return cls(*parts)

    def __str__(self) -> str:
        return f"{self.symbol}.{self.exchange}.{self.month}"

    @property
    def product(self) -> str:
        """Symbol and exchange, like ``CL.NYMEX``: what ``front`` and ``next`` are months of."""
        return f"{self.symbol}.{self.exchange}"


class _Row(msgspec.Struct):
    conid: int
    expiration: int | str = msgspec.field(name="expirationDate")
    last_trade: int | str | None = msgspec.field(default=None, name="ltd")


def decode_futures(payload: bytes) -> dict[str, tuple[FutureMonth, ...]]:
    """Answer of ``/trsrv/futures`` by symbol, each sorted by last trading day.

    Rows that cannot be read are left out: a contract without a conid or a date cannot be asked for.

    Raises:
        ValueError: the answer is not a JSON object of lists.
    """
    try:
        answer = msgspec.json.decode(payload, type=dict[str, list[msgspec.Raw]])
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"not an answer of /trsrv/futures: {error}") from error
    return {symbol: _months(symbol, rows) for symbol, rows in answer.items()}


def _months(symbol: str, rows: Sequence[msgspec.Raw]) -> tuple[FutureMonth, ...]:
    months = (_month(symbol, raw) for raw in rows)
    return tuple(
        sorted((m for m in months if m is not None), key=lambda m: (m.last_day, m.expiration))
    )


def _month(symbol: str, raw: msgspec.Raw) -> FutureMonth | None:
    try:
        row = msgspec.json.decode(raw, type=_Row)
    except msgspec.DecodeError:
        return None
    expiration = _day(row.expiration)
    if expiration is None:
        return None
    return FutureMonth(symbol, row.conid, expiration, _day(row.last_trade))


def _day(value: int | str | None) -> date | None:
    try:
        return datetime.strptime(str(value), "%Y%m%d").date()
    except ValueError:
        return None


def choose_month(
    key: ContractKey,
    futures: Mapping[str, Sequence[FutureMonth]],
    today: date,
    front_from: date | None = None,
) -> FutureMonth:
    """The contract that ``key`` means on ``today`` (a trade date).

    ``front`` is the nearest one whose last trading day is ``front_from`` (see ``roll``) or later,
    ``next`` the one after it, and ``YYYY-MM`` the one whose expiration date lies in that month.
    Without ``front_from``, ``front`` lasts until its last trading day.

    Raises:
        ConfigurationError: unknown symbol, or no such month; the message names what there is.
    """
    tradable = [month for month in futures.get(key.symbol, ()) if month.last_day >= today]
    if not tradable:
        raise ConfigurationError(_no_future(key, futures, today))
    first = front_from or today
    position = {"front": 0, "next": 1}.get(key.month)
    if position is None:
        matching = [month for month in tradable if month.month == key.month]
    else:
        fronts = [month for month in tradable if month.last_day >= first]
        matching = fronts[position : position + 1]
    if not matching:
        raise ConfigurationError(_no_month(key, tradable, today, first))
    return matching[0]


def _no_future(key: ContractKey, futures: Mapping[str, Sequence[FutureMonth]], today: date) -> str:
    known = ", ".join(sorted(symbol for symbol, months in futures.items() if months))
    return (
        f"contract {key}: IBKR lists no future that still trades on {today} for symbol "
        f"{key.symbol!r}; symbols with futures in the same answer: {known or 'none'}. "
        "Correct the symbol in the configuration."
    )


def _no_month(
    key: ContractKey, tradable: Sequence[FutureMonth], today: date, front_from: date
) -> str:
    available = ", ".join(f"{m.month} (expires {m.expiration})" for m in tradable)
    why = f"no such month on {today}"
    if key.month in ("front", "next") and front_from > today:
        why = f"no such month on {today} that trades until {front_from}, as the roll rule asks"
    elif key.month < tradable[0].month and key.month not in ("front", "next"):
        why = f"that month lies in the past: on {today}, nothing that expires in it trades any more"
    hint = "".join(
        f" {key.month} means the month of expiration; the {key.month} delivery may be the one "
        f"that expires {m.expiration}: then write {m.month}."
        for m in tradable
        if _month_after(m.expiration) == key.month
    )
    return (
        f"contract {key}: {why}; available: {available}.{hint} "
        "Correct the months in the configuration."
    )


def delivery_note(
    key: ContractKey,
    month: FutureMonth,
    delivery: str | None,
    listed: Sequence[FutureMonth],
) -> str | None:
    """What a person who wrote ``YYYY-MM`` and meant the delivery month should read, else None.

    ``month`` is what ``key`` chose, ``delivery`` its delivery month (``2027-01``; None: unknown).
    """
    if key.month != month.month or delivery in (None, key.month):
        return None
    earlier = [m for m in listed if _month_after(m.expiration) == key.month]
    wanted = (
        f"the {key.month} delivery expires {earlier[0].expiration}: write {earlier[0].month} for it"
        if earlier
        else f"the {key.month} delivery is not listed any more"
    )
    return (
        f"contract {key}: {key.month} means the month of expiration; this one expires "
        f"{month.expiration} and is the {delivery} delivery; {wanted}"
    )


def require_exchange(key: ContractKey, conid: int, exchange: str | None) -> None:
    """``exchange``: where IBKR says that ``conid`` trades; None (not said) refuses nothing.

    Raises:
        ConfigurationError: another exchange than the key's.
    """
    if exchange is not None and exchange != key.exchange:
        raise ConfigurationError(
            f"contract {key}: IBKR lists it (conid {conid}) on exchange {exchange}, the "
            f"configuration says {key.exchange}. Correct the exchange in the configuration."
        )


def _month_after(day: date) -> str:
    return f"{(day.replace(day=1) + timedelta(days=31)):%Y-%m}"
