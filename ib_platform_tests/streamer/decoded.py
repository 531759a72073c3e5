"""Ladders and quotes made by hand, and which decoded rows a run of them must have in ClickHouse."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from ib_platform.config import ClickHouse
from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.frames import LADDER, QUOTE, classify
from ib_platform.marketdata.ladder import WINDOW_ROWS, LadderRows, decode_ladder
from ib_platform.marketdata.quotes import Quote, decode_quote
from ib_platform_tests.streamer.spools import query

Row = tuple[Any, ...]
_TOP_CENTS = 6_000
_NANOS_PER_CENT = 10_000_000


def full_ladder(number: int, conid: int = 1) -> bytes:
    """A frame with all rows; another number has other sizes and, mostly, another window."""
    top = _TOP_CENTS + number % 3
    return _ladder(conid, [_row(row, top, number + row) for row in range(WINDOW_ROWS)])


def delta_ladder(number: int, after: int, conid: int = 1) -> bytes:
    """Two rows of the window that ``full_ladder(after)`` lays."""
    top, first = _TOP_CENTS + after % 3, number % (WINDOW_ROWS - 1)
    return _ladder(conid, [_row(row, top, number + row) for row in (first, first + 1)])


def quote(number: int, conid: int = 1) -> bytes:
    """A bid and its size; another number has others."""
    fields = {"84": f"{60 + number / 100:.2f}", "88": str(number + 1)}
    return json.dumps({"topic": f"smd+{conid}", "conid": conid, **fields}).encode()


def _ladder(conid: int, rows: list[dict[str, Any]]) -> bytes:
    return json.dumps({"topic": f"sbd+DU1000001+{conid}", "data": rows}).encode()


def _row(row: int, top_cents: int, size: int) -> dict[str, Any]:
    side = "ask" if row < WINDOW_ROWS // 2 else "bid"
    price = f"{(top_cents - row) / 100:.2f}"
    return {"row": row, "focus": 0, "price": price, side: str(size + 1)}


def assert_decoded(settings: ClickHouse, runs: Mapping[str, Sequence[bytes]]) -> None:
    """Every frame of a ladder or a quote has its decoded row, what it says is what its run's frames
    say in their order, and there is no other row. Physical rows: nothing is merged."""
    names = ", ".join(f"'{run}'" for run in runs)
    for table, columns, wanted in (
        (
            "ladder_frames",
            "epoch, window, toString(role), top_price, sizes",
            [row for run, payloads in runs.items() for row in ladder_rows(run, payloads)],
        ),
        (
            "quote_frames",
            "bid, bid_size",
            [row for run, payloads in runs.items() for row in quote_rows(run, payloads)],
        ),
    ):
        sql = f"SELECT run_id, seq, conid, {columns} FROM {table} WHERE run_id IN ({names})"
        stored = [tuple(map(_plain, row)) for row in query(settings, f"{sql} ORDER BY run_id, seq")]
        assert stored == sorted(wanted, key=lambda row: row[:2]), table


def _plain(value: Any) -> Any:
    """Prices in nanos, arrays as tuples."""
    if isinstance(value, Decimal):
        return int(value.scaleb(9))
    return tuple(value) if isinstance(value, list) else value


def ladder_rows(run_id: str, payloads: Sequence[bytes]) -> list[Row]:
    """Of a run whose frames these are, from 0 on; without ``suspect``, which a refusal changes."""
    books: dict[int, LadderBook] = {}
    rows = []
    for seq, payload in enumerate(payloads):
        kind = classify(payload)
        if kind.topic == LADDER and kind.conid is not None:
            frame = decode_ladder(payload)
            assert isinstance(frame, LadderRows)
            update = books.setdefault(kind.conid, LadderBook()).apply(frame)
            assert isinstance(update, LadderUpdate)
            said = update.epoch, update.window, update.role.value, update.top_price, update.sizes
            rows.append((run_id, seq, kind.conid, *said))
    return rows


def quote_rows(run_id: str, payloads: Sequence[bytes]) -> list[Row]:
    """The same of quotes."""
    rows = []
    for seq, payload in enumerate(payloads):
        kind = classify(payload)
        if kind.topic == QUOTE and kind.conid is not None:
            found = decode_quote(payload)
            assert isinstance(found, Quote)
            rows.append((run_id, seq, kind.conid, found.bid, found.bid_size))
    return rows
