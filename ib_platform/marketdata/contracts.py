"""From a product and a month word to one futures contract. PURE.

Source of the rows: ``GET /trsrv/futures`` (``ibkr_web_api.md`` section 2.2): dates are integers
YYYYMMDD, rows come unsorted, only contracts that have not expired are listed, and an unknown symbol
is absent or empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

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


class _Row(msgspec.Struct):
    conid: int
    expiration: int | str = msgspec.field(name="expirationDate")
    last_trade: int | str | None = msgspec.field(default=None, name="ltd")


def decode_futures(payload: bytes) -> dict[str, tuple[FutureMonth, ...]]:
    """Answer of ``/trsrv/futures`` by symbol, each sorted by expiration date.

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
    return tuple(sorted((m for m in months if m is not None), key=lambda m: m.expiration))


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
    key: ContractKey, futures: dict[str, tuple[FutureMonth, ...]], today: date
) -> FutureMonth:
    """The contract that ``key`` means on ``today`` (a trade date).

    ``front`` is the nearest one not past its last trading day, ``next`` the one after it, and
    ``YYYY-MM`` the one whose expiration date lies in that month.

    Raises:
        ConfigurationError: unknown symbol, or no such month; the message names what there is.
    """
    listed = futures.get(key.symbol, ())
    tradable = [month for month in listed if month.last_day >= today]
    name = f"{key.symbol}.{key.exchange}.{key.month}"
    if not tradable:
        known = ", ".join(sorted(symbol for symbol, months in futures.items() if months))
        raise ConfigurationError(
            f"contract {name}: IBKR lists no future that still trades on {today} for symbol "
            f"{key.symbol!r}; symbols with futures in the same answer: {known or 'none'}. "
            "Correct the symbol in the configuration."
        )
    position = {"front": 0, "next": 1}.get(key.month)
    if position is None:
        matching = [month for month in tradable if month.month == key.month]
    else:
        matching = tradable[position : position + 1]
    if not matching:
        available = ", ".join(f"{m.month} (expires {m.expiration})" for m in tradable)
        raise ConfigurationError(
            f"contract {name}: no such month on {today}; available: {available}. "
            "Correct the months in the configuration."
        )
    return matching[0]
