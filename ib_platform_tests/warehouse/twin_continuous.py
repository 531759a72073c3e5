"""Continuous series in plain Python: what the view ``continuous_bars`` must say."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from ib_platform.warehouse.rolls import RollRow
from ib_platform_tests.warehouse.series import Bar

Line = tuple[str, Bar, Decimal | None]


def continuous(bars: Iterable[Bar], rolls: Sequence[RollRow]) -> list[Line]:
    """(contract, bar, adjustment) of each bar that belongs to the series, by conid and start."""
    lines: list[Line] = []
    for bar in sorted(bars, key=lambda bar: (bar.start, bar.conid)):
        past = [roll for roll in rolls if roll.roll_date <= bar.trade_date]
        if past and past[-1].to_conid == bar.conid:
            later = [roll.difference for roll in rolls[len(past) :]]
            lines.append((past[-1].to_contract, bar, _sum(later)))
    return lines


def _sum(differences: Sequence[Decimal | None]) -> Decimal | None:
    known = [difference for difference in differences if difference is not None]
    return sum(known, Decimal(0)) if len(known) == len(differences) else None
