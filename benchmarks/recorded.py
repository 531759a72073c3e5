"""The recorded ladder frames, and as many synthetic ones as a benchmark wants, made from them."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from ib_platform.marketdata.book import LadderBook, LadderUpdate
from ib_platform.marketdata.frames import DECODER_VERSION
from ib_platform.marketdata.ladder import LadderRows, decode_ladder
from ib_platform.streamer.decode import Row, trade_date_of_ns
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


def ladder_rows(frames: int, contracts: int) -> Iterator[Row]:
    """Rows of ``ladder_frames`` as the decoder makes them: the recorded day again and again, a new
    epoch each time, spread evenly over 22 hours of one trade date for each contract."""
    recorded = updates()
    each = frames // contracts
    step = int(timedelta(hours=22) / timedelta(microseconds=1)) * 1000 // each
    begin = int(START.timestamp()) * 1_000_000_000
    for contract in range(contracts):
        user = f"user{contract}"
        for seq in range(each):
            turn, index = divmod(seq, len(recorded))
            update, at = recorded[index], begin + step * seq
            yield (
                trade_date_of_ns(at), at, 700000001 + contract, user, f"{user}-run", seq,
                turn + 1, update.window, update.role.value, update.top_price, update.tick,
                update.sizes, update.last_price, update.last_size, update.suspect,
                DECODER_VERSION,
            )  # fmt: skip
