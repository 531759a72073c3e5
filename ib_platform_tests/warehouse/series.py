"""Contracts and one-minute bars made by hand, for the rolls and continuous series over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from ib_platform.marketdata.calendar import trade_date_span
from ib_platform.warehouse.rolls import RollRow

ES = "ES.CME"
MONTHS = {1: date(2026, 9, 18), 2: date(2026, 12, 18), 3: date(2027, 3, 19)}
"""Expiration by conid."""
WHEN = datetime(2027, 2, 1, 12, tzinfo=UTC)
PRICES = ("mid_open", "mid_high", "mid_low", "mid_close", "bid_close", "ask_close")
TRADES = ("last_trade_open", "last_trade_high", "last_trade_low", "last_trade_close")


@dataclass(frozen=True)
class Bar:
    """A bar of ``size`` that starts ``minute`` minutes into its trade date. ``sound``: complete."""

    conid: int
    trade_date: date
    minute: int
    close: str | None
    sound: bool = True
    crossed: int = 0
    size: str = "1m"

    @property
    def start(self) -> datetime:
        return trade_date_span(self.trade_date)[0] + timedelta(minutes=self.minute)

    def row(self) -> dict[str, Any]:
        close = None if self.close is None else Decimal(self.close)
        prices: dict[str, Any] = dict.fromkeys((*PRICES, *TRADES), close)
        if close is not None:
            prices |= {"mid_high": close + 1, "mid_low": close - 1, "ask_close": close + 2}
        return {
            "trade_date": self.trade_date,
            "conid": self.conid,
            "bar_size": self.size,
            "bar_start": self.start,
            "bar_end": self.start + timedelta(minutes=1),
            **prices,
            "microprice_close": None if close is None else float(close),
            "complete": self.sound,
            "closed": True,
            "crossed_states": self.crossed,
        }


def insert_bars(client: Any, bars: Iterable[Bar]) -> None:
    rows = [bar.row() for bar in bars]
    client.insert("bars", [list(row.values()) for row in rows], list(rows[0]))


def resolve(
    client: Any,
    word: str,
    conid: int,
    day: date,
    *,
    expiry: date | None = None,
    hour: int = 0,
    product: str = ES,
) -> None:
    """A row of ``contracts``: ``word`` meant ``conid`` on ``day``."""
    symbol, exchange = product.split(".")
    at = trade_date_span(day)[0] + timedelta(hours=hour)
    client.insert(
        "contracts",
        [
            [
                f"{product}.{word}", conid, symbol, exchange, "cme_equity_index",
                expiry or MONTHS.get(conid), at, day,
            ]
        ],
        [
            "contract", "conid", "symbol", "exchange", "calendar", "expiry", "resolved_at",
            "trade_date",
        ],
    )  # fmt: skip


def resolve_two_rolls(client: Any) -> None:
    """``front`` and ``next`` of ES over two rolls: 1 to 2 on 21 September, 2 to 3 in December."""
    for word, conid, day in (
        ("front", 1, date(2026, 8, 3)),
        ("next", 2, date(2026, 8, 3)),
        ("front", 2, date(2026, 9, 21)),
        ("next", 3, date(2026, 9, 21)),
        ("front", 3, date(2026, 12, 21)),
    ):
        resolve(client, word, conid, day)


def roll(day: date, old: int | None, new: int, difference: str | None, **changes: Any) -> RollRow:
    """A row of ``rolls``."""
    values: dict[str, Any] = {
        "product": ES,
        "roll_date": day,
        "from_conid": old,
        "from_contract": None if old is None else f"{ES}.{old}",
        "to_conid": new,
        "to_contract": f"{ES}.{new}",
        "rule": "last_trade",
        "reason": "by hand",
        "difference": None if difference is None else Decimal(difference),
        "difference_at": None if difference is None else datetime(2026, 9, 1, tzinfo=UTC),
        "difference_reason": "",
    }
    return RollRow(**{**values, **changes})


def closes(client: Any, column: str = "mid_close") -> Sequence[tuple[Any, ...]]:
    """(contract, ``column``) of the continuous series, by time."""
    return client.query(  # type: ignore[no-any-return]
        f"SELECT contract, {column} FROM continuous_bars ORDER BY bar_start, conid"
    ).result_rows
