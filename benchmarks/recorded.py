"""The recorded ladder frames, and as many synthetic ones as a benchmark wants, made from them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.calendar import trade_date_of
from ib_platform.marketdata.frames import DECODER_VERSION
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.marketdata.prices import to_decimal
from ib_platform_tests.support import capture_path

START = datetime(2026, 11, 16, 23, 0, tzinfo=UTC)
"""Monday 17:00 Chicago: the trade date of the made frames is 2026-11-17."""


def ladder_payloads() -> list[bytes]:
    """The 1,525 recorded ladder frames as received."""
    with gzip.open(capture_path(), "rt", encoding="utf-8") as lines:
        messages = (json.loads(line) for line in lines)
        return [
            message["msg"].encode()
            for message in messages
            if message["dir"] == "in" and message["msg"].startswith('{"topic":"sbd')
        ]


def updates() -> list[LadderUpdate]:
    """The recorded frames, decoded and reduced in one epoch."""
    book, found = LadderBook(), []
    for payload in ladder_payloads():
        rows = decode_ladder(payload)
        assert isinstance(rows, LadderRows)
        update = book.apply(rows)
        assert isinstance(update, LadderUpdate)
        found.append(update)
    return found


def ladder_rows(frames: int, contracts: int) -> Iterator[dict[str, Any]]:
    """Rows of ``ladder_frames``: the recorded day again and again, a new epoch each time, spread
    evenly over 22 hours of one trade date for each of ``contracts`` contracts."""
    recorded = updates()
    each = frames // contracts
    step = timedelta(hours=22) / each
    for contract in range(contracts):
        for seq in range(each):
            turn, index = divmod(seq, len(recorded))
            update, at = recorded[index], START + step * seq
            yield {
                "trade_date": trade_date_of(at),
                "received_at": at,
                "conid": 700000001 + contract,
                "paper_user": f"user{contract}",
                "run_id": f"user{contract}-run",
                "seq": seq,
                "epoch": turn + 1,
                "window": update.window,
                "role": update.role.value,
                "top_price": _decimal(update.top_price),
                "tick": _decimal(update.tick),
                "sizes": list(update.sizes),
                "last_price": _decimal(update.last_price),
                "last_size": update.last_size,
                "suspect": update.suspect,
                "decoder_version": DECODER_VERSION,
            }


def _decimal(nanos: int | None) -> Decimal | None:
    return None if nanos is None else to_decimal(nanos)
