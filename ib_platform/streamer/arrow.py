"""Rows -> Arrow tables with exactly the types that the tables' columns take.

pyarrow is imported on first use: it costs some 40 MB that other processes need not pay.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from ib_platform.streamer.decode import (
    FRAMES,
    LADDER_FRAMES,
    QUOTE_FRAMES,
    STREAM_EVENTS,
    Row,
)

if TYPE_CHECKING:
    import pyarrow

_STAMPS = "trade_date:date received_at:ns conid:u64 paper_user:text run_id:text seq:u64"
_COLUMNS = {
    FRAMES: "trade_date:date received_at:ns monotonic_ns:u64 paper_user:text run_id:text "
    "connection:u32 seq:u64 topic:text conid:u64 payload:bytes decode_error:text "
    "decoder_version:u16",
    LADDER_FRAMES: f"{_STAMPS} epoch:u32 window:u32 role:text top_price:price tick:price "
    "sizes:sizes last_price:price last_size:i32 suspect:bool decoder_version:u16",
    QUOTE_FRAMES: f"{_STAMPS} updated_at:ms last:price last_prefix:text last_size:i32 bid:price "
    "bid_size:i32 ask:price ask_size:i32 volume:i64 availability:text decoder_version:u16",
    STREAM_EVENTS: "trade_date:date at:ns paper_user:text run_id:text event_no:u64 kind:text "
    "cause:text contract:text conid:u64 after_seq:u64 detail:text",
}
COLUMNS: dict[str, tuple[tuple[str, str], ...]] = {
    table: tuple((name, kind) for name, _, kind in (c.partition(":") for c in columns.split()))
    for table, columns in _COLUMNS.items()
}
"""Per table the columns in order, each with the kind of its values."""


def to_arrow(table: str, rows: Sequence[Row]) -> pyarrow.Table:
    """The rows of ``table`` as one Arrow table of one chunk, in the same order."""
    import pyarrow as pa

    columns = COLUMNS[table]
    values = zip(*rows, strict=True) if rows else repeat(())
    arrays = [_build(pa, kind, column) for (_, kind), column in zip(columns, values, strict=False)]
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


def _build(pa: Any, kind: str, values: Sequence[Any]) -> pyarrow.Array:
    if kind == "price":
        return _decimals(pa, values)
    if kind == "sizes":
        flat = pa.array(chain.from_iterable(values), pa.int32())
        offsets = array("i", [0])
        for sizes in values:
            offsets.append(offsets[-1] + len(sizes))
        return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), flat)
    types = {
        "date": pa.date32(),
        "ns": pa.timestamp("ns", tz="UTC"),
        "ms": pa.timestamp("ms", tz="UTC"),
        "u16": pa.uint16(),
        "u32": pa.uint32(),
        "u64": pa.uint64(),
        "i32": pa.int32(),
        "i64": pa.int64(),
        "text": pa.string(),
        "bytes": pa.binary(),
        "bool": pa.bool_(),
    }
    return pa.array(values, types[kind])


def _decimals(pa: Any, values: Sequence[int | None]) -> pyarrow.Array:
    """Nanos as Decimal128(18, 9): a decimal is its scaled integer in 16 bytes, little-endian.

    Ten times faster than a ``decimal.Decimal`` per value.
    """
    assert sys.byteorder == "little"
    nanos = pa.array(values, pa.int64())
    halves = array("q", bytes(16 * len(values)))
    halves[0::2] = array("q", (value or 0 for value in values))
    halves[1::2] = array("q", (-1 if value is not None and value < 0 else 0 for value in values))
    buffers = [nanos.buffers()[0], pa.py_buffer(halves)]
    return pa.Array.from_buffers(pa.decimal128(18, 9), len(values), buffers)
