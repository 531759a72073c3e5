"""Content faults of ladders: rows as they should be -> rows as a client should survive them. Pure.

Each function takes rows as they go over the wire and returns new ones; what a ladder view knows is
not touched, so the next undisturbed frame tells changes against what was meant to be shown.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from random import Random
from typing import Any

import msgspec

from ib_platform.marketdata.ladder import WINDOW_ROWS
from ib_platform.simulator.fault_kinds import FaultKind
from ib_platform.simulator.ladder_rows import MIDDLE_ROW, Row
from ib_platform.simulator.market import Market

WireRow = dict[str, Any]
CONTENT_FAULTS = (
    FaultKind.CROSSED_BOOK,
    FaultKind.DUPLICATED_ROWS,
    FaultKind.REORDERED_ROWS,
    FaultKind.NUMERIC_VALUES,
)


def mangled(
    rows: list[Row], kinds: Collection[FaultKind], market: Market, luck: Random
) -> list[WireRow]:
    """The rows with all the faults of ``kinds``, whichever come together."""
    if FaultKind.CROSSED_BOOK in kinds:
        rows = crossed(rows, market)
    wire: list[WireRow] = msgspec.to_builtins(rows)
    if FaultKind.DUPLICATED_ROWS in kinds:
        wire = duplicated(wire, luck)
    if FaultKind.REORDERED_ROWS in kinds:
        wire = reordered(wire, luck)
    if FaultKind.NUMERIC_VALUES in kinds:
        wire = [numeric(row) for row in wire]
    return wire


def encode_mangled(account: str, conid: int, rows: list[WireRow]) -> bytes:
    """The frame on the wire, like ``encode_ladder``."""
    return msgspec.json.encode({"topic": f"sbd+{account}+{conid}", "data": rows})


def crossed(rows: list[Row], market: Market) -> list[Row]:
    """A bid stands above the best ask, or an ask below the best bid if the window ends there.

    Every frame says so, and tells the touch that is crossed. Where a side is missing, or its rows
    lie outside the window, nothing changes.
    """
    if not rows:
        return rows
    top = _tick(rows[0], market) + rows[0].row
    for touch, step, side in ((market.best_ask, 1, "bid"), (market.best_bid, -1, "ask")):
        if touch is None:
            continue
        right, wrong = top - touch, top - (touch + step)
        if not (0 <= right < WINDOW_ROWS and 0 <= wrong < WINDOW_ROWS):
            continue
        window = market.windows.around(top - MIDDLE_ROW)
        lie = msgspec.structs.replace(window[wrong].without_size(), **{side: "1"})
        others = [row for row in rows if row.row not in (right, wrong)]
        return [*others, window[right], lie]
    return rows


def duplicated(rows: list[WireRow], luck: Random) -> list[WireRow]:
    """One row or several come twice; the copy stands anywhere behind the original."""
    doubled = list(rows)
    for row in luck.sample(rows, k=max(1, len(rows) // 5)) if rows else []:
        position = next(i for i, other in enumerate(doubled) if other is row)
        doubled.insert(luck.randint(position + 1, len(doubled)), dict(row))
    return doubled


def reordered(rows: list[WireRow], luck: Random) -> list[WireRow]:
    """The same rows in another order, if there is another one."""
    shuffled = list(rows)
    luck.shuffle(shuffled)
    if shuffled == rows:
        shuffled.reverse()
    return shuffled


def numeric(row: WireRow) -> WireRow:
    """Prices and sizes as numbers, as IBKR's guide of 2021 has them; ``size @ price`` stays."""
    changed = dict(row)
    for side in ("bid", "ask"):
        if side in changed:
            changed[side] = int(changed[side])
    if " @ " not in changed["price"]:
        changed["price"] = float(changed["price"].replace(",", ""))
    return changed


def _tick(row: Row, market: Market) -> int:
    price = Decimal(row.price.rpartition(" @ ")[2].replace(",", ""))
    return int(price / market.contract.product.tick)
