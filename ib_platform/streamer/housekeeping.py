"""What a streamer does beside the frame's way: rows for people, and a watch on its own stalls.

None of it may disturb streaming: a database that is away costs heartbeat rows, nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ib_platform.config import ClickHouse
from ib_platform.errors import WarehouseError
from ib_platform.health import StreamerHealth
from ib_platform.states import Cause, StreamEventKind
from ib_platform.streamer.resolution import ContractRow
from ib_platform.streamer.spool import Spool
from ib_platform.warehouse.connect import Client, connect, warehouse_errors

if TYPE_CHECKING:
    import pyarrow

logger = logging.getLogger(__name__)
STALL = 0.25
"""A stall of the event loop over this many seconds makes stamps late (design section 4)."""
_STALL_LOOK = 0.05
_CONNECT_TIMEOUT = 2
_READ_TIMEOUT = 10
_NANOS = 1_000_000_000


def heartbeats_table(health: StreamerHealth, at: datetime) -> pyarrow.Table:
    """One row of the table ``heartbeats``. ``at``: an aware instant, kept to the millisecond."""
    frames, loader = health.frames, health.loader
    return _table(
        [
            ("at", "timestamp", [_milliseconds(at)]),
            ("paper_user", "string", [health.paper_user]),
            ("run_id", "string", [health.run_id]),
            ("state", "string", [health.state.value]),
            ("received", "uint64", [frames.received]),
            ("spooled", "uint64", [frames.spooled]),
            ("stored", "uint64", [frames.stored]),
            ("undecodable", "uint64", [frames.undecodable]),
            ("lag_seconds", "float64", [loader.lag_seconds]),
            ("spool_bytes", "uint64", [loader.pending_bytes]),
        ]
    )


def contracts_table(rows: Sequence[ContractRow]) -> pyarrow.Table:
    """Rows of the table ``contracts``, in the same order."""
    return _table(
        [
            ("contract", "string", [row.contract for row in rows]),
            ("conid", "uint64", [row.conid for row in rows]),
            ("symbol", "string", [row.symbol for row in rows]),
            ("exchange", "string", [row.exchange for row in rows]),
            ("calendar", "string", [row.calendar for row in rows]),
            ("expiry", "date32", [row.expiry for row in rows]),
            ("last_trade_date", "date32", [row.last_trade_date for row in rows]),
            ("multiplier", "float64", [row.multiplier for row in rows]),
            ("resolved_at", "timestamp", [_milliseconds(row.resolved_at) for row in rows]),
        ]
    )


def _milliseconds(instant: datetime) -> datetime:
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def _table(columns: Sequence[tuple[str, str, list[Any]]]) -> pyarrow.Table:
    # Arrow, like all inserts: Client.insert would import numpy and pandas for a row every 5 s.
    import pyarrow

    kinds = {"timestamp": pyarrow.timestamp("ms", tz="UTC")}
    arrays = [
        pyarrow.array(values, kinds.get(kind) or getattr(pyarrow, kind)())
        for _, kind, values in columns
    ]
    return pyarrow.Table.from_arrays(arrays, names=[name for name, _, _ in columns])


class RowWriter:
    """A thread that writes ``contracts`` (until it succeeds) and ``heartbeats`` (once)."""

    def __init__(self, settings: ClickHouse, every: float) -> None:
        self._settings = settings
        self._every = every
        self._health: StreamerHealth | None = None
        self._contracts: queue.SimpleQueue[ContractRow] = queue.SimpleQueue()
        self._unwritten: list[ContractRow] = []
        self._client: Client | None = None
        self._failing = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rows", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Write once more and end the thread; waits for it no longer than a read may take."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(_READ_TIMEOUT + 1)

    def contract(self, row: ContractRow) -> None:
        """Take a row for the table ``contracts``. Does not block."""
        self._contracts.put(row)

    def observed(self, health: StreamerHealth) -> None:
        """Take the newest health: what the next heartbeat row says. Does not block."""
        self._health = health

    def _run(self) -> None:
        while not self._stopping.wait(self._every):
            self._write()
        self._write()
        self._close()

    def _write(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._unwritten.append(self._contracts.get_nowait())
        try:
            if self._unwritten:
                self._insert("contracts", contracts_table(self._unwritten))
                self._unwritten.clear()
            if (health := self._health) is not None:
                self._insert("heartbeats", heartbeats_table(health, datetime.now(UTC)))
        except WarehouseError as error:
            self._close()
            if not self._failing:
                logger.warning("heartbeats are not written: %s", error)
            self._failing = True
            return
        if self._failing:
            logger.info("heartbeats are written again")
        self._failing = False

    def _insert(self, table: str, rows: pyarrow.Table) -> None:
        if self._client is None:
            self._client = connect(
                self._settings,
                role="heartbeats",
                connect_timeout=_CONNECT_TIMEOUT,
                read_timeout=_READ_TIMEOUT,
            )
        with warehouse_errors(self._settings, f"insert into {table}"):
            self._client.insert_arrow(table, rows)

    def _close(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.close()
            self._client = None


async def watch_stalls(spool: Spool) -> None:
    """Record each stall of the event loop over 250 ms as an event ``late_stamps``.

    Its detail names the span (ISO 8601 UTC) in which a frame may bear a late stamp.
    """
    while True:
        before, before_ns = time.monotonic(), time.time_ns()
        await asyncio.sleep(_STALL_LOOK)
        late = time.monotonic() - before - _STALL_LOOK
        if late > STALL:
            detail = {
                "begin": datetime.fromtimestamp(before_ns / _NANOS, UTC).isoformat(),
                "end": datetime.now(UTC).isoformat(),
                "stall_ms": round(late * 1000),
            }
            logger.warning("the event loop stood still for %.0f ms", late * 1000)
            spool.append_event(StreamEventKind.LATE_STAMPS, cause=Cause.LATE_STAMPS, detail=detail)


async def sync_regularly(spool: Spool, every: float) -> None:
    """fsync the spool every ``every`` seconds, in a thread. Raises SpoolError."""
    while True:
        await asyncio.sleep(every)
        await asyncio.to_thread(spool.sync)
